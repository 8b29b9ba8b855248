"""Twisted's events as lines of our log."""

from twisted.logger import ILogObserver, Logger, LogLevel, LogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smtpgw.log.lines import DEBUG, ERROR, INFO, WARN, Fields
from smtpgw.log.observer import TwistedEvents


class ObserverTests(SynchronousTestCase):
    """What a Logger says."""

    def setUp(self) -> None:
        self.lines: list[tuple[int, Fields]] = []
        self.observe(DEBUG)

    def observe(self, least: int) -> None:
        def take(time: float, level: int, event: str, fields: Fields) -> None:
            self.assertGreater(time, 1e9)
            self.assertEqual(event, "log")
            self.lines.append((level, fields))

        observer = TwistedEvents(take, least)
        self.assertTrue(verifyObject(ILogObserver, observer))
        self.log = Logger("a.namespace", observer=LogPublisher(observer))

    def test_levels(self) -> None:
        """Twisted's five are our four."""
        for level in LogLevel.iterconstants():
            self.log.emit(level, "said {what}", what=level.name)
        self.assertEqual([level for level, _ in self.lines], [DEBUG, INFO, WARN, ERROR, ERROR])
        self.assertEqual(self.lines[2][1], {"ns": "a.namespace", "text": "said warn"})

    def test_least(self) -> None:
        """What is less important than asked for is not even formatted."""
        self.observe(WARN)
        self.log.info("{broken}", broken=type("Broken", (), {"__format__": lambda *_: self.fail("formatted")})())
        self.log.error("x")
        self.assertEqual([level for level, _ in self.lines], [ERROR])

    def test_failure(self) -> None:
        """With its traceback, whose end is what counts."""
        try:
            raise ValueError("why\x1b[2J")
        except ValueError:
            self.log.failure("it broke")
        ((level, fields),) = self.lines
        self.assertEqual((level, fields["text"]), (ERROR, "it broke"))
        self.assertIn("builtins.ValueError: why", str(fields["traceback"]))

    def test_long(self) -> None:
        """Neither text nor traceback grows without bound."""
        self.log.error("{text}", text="x" * 100_000, log_failure=Failure(ValueError("y" * 100_000)))
        ((_, fields),) = self.lines
        self.assertEqual(len(str(fields["text"])), 4000)
        self.assertLess(len(str(fields["traceback"])), 17_000)
        self.assertTrue(str(fields["traceback"]).rstrip().endswith("y"))

    def test_chatter(self) -> None:
        """A line for every factory and port is for who debugs."""
        self.log.info("Starting factory {factory!r}", factory=1)
        self.log.info("SmtpFactory starting on 2525")
        self.assertEqual([level for level, _ in self.lines], [DEBUG, INFO])

    def test_chatter_of_old_code(self) -> None:
        """The same from twisted.python.log, which has no levels of its own."""
        events = TwistedEvents(lambda time, level, event, fields: self.lines.append((level, fields)), DEBUG)
        for text in (
            "SmtpFactory starting on 2525",
            "(UDP Port 53211 Closed)",
            "Starting protocol <x>",
            "mail starting on time",
        ):
            events(
                {
                    "log_time": 2e9,
                    "log_level": LogLevel.info,
                    "log_namespace": "log_legacy",
                    "log_format": "{log_text}",
                    "log_text": text,
                }
            )
        self.assertEqual([level for level, _ in self.lines], [DEBUG] * 3 + [INFO])
