"""Where the log of a gateway goes, and who writes it."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any, cast

from twisted.application.service import Application
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from smtpgw.config.schema import LogConfig, LogFormat, LogLevel
from smtpgw.log.service_log import EventLog, LineLog, install, line_log
from smtpgw.model.notice import Connected, HostTrouble, Queued
from tests.log.test_output import MemorySink
from tests.service.notices import CLIENT, entry

TROUBLE = HostTrouble("b.example", "mx", "192.0.2.9", "connect", "refused", 7, None)


@implementer(IReactorFromThreads)
class ThreadedClock(Clock):
    """A clock that other threads may ask for something."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Callable[[], object]] = []

    def callFromThread(self, callable: Callable[..., object], *args: object, **kwargs: object) -> None:  # noqa: A002 - Twisted's
        self.asked.append(partial(callable, *args, **kwargs))

    def run_what_threads_asked_for(self) -> None:
        for call in self.asked:
            call()


class LineLogTests(SynchronousTestCase):
    """A log that writes its lines itself."""

    def make(self, **config: object) -> tuple[LineLog, MemorySink]:
        sink = MemorySink()
        return line_log(LogConfig(**config), sink, lambda: 1000.0, {}), sink  # type: ignore[arg-type]

    def test_format(self) -> None:
        """JSON anywhere but on a terminal; the configuration has the last word."""
        for is_terminal, wanted, environ, begin in (
            (False, LogFormat.AUTO, {}, b"{"),
            (True, LogFormat.AUTO, {}, b"\x1b[2m1970-"),
            (True, LogFormat.AUTO, {"NO_COLOR": "1"}, b"1970-"),
            (True, LogFormat.AUTO, {"TERM": "dumb"}, b"1970-"),
            (False, LogFormat.HUMAN, {}, b"1970-"),
            (True, LogFormat.JSON, {}, b"{"),
        ):
            sink = MemorySink()
            sink.is_terminal = is_terminal
            line_log(LogConfig(format=wanted), sink, lambda: 1000.0, environ).publish(Queued(entry()))
            self.assertTrue(sink.taken[0].startswith(begin), sink.taken)

    def test_level(self) -> None:
        """What is less important than asked for is not written."""
        log, sink = self.make(level=LogLevel.WARN)
        log.publish(Connected(CLIENT))
        log.publish(TROUBLE)
        self.assertEqual([json.loads(line)["event"] for line in sink.taken], ["host.trouble"])

    def test_one_log(self) -> None:
        """Mail and Twisted's events, in the order in which they came."""
        log, sink = self.make()
        clock = Clock()
        log.start(clock)
        logger = Logger("ns", observer=LogPublisher(log.observer))
        logger.info("one")
        log.publish(Connected(CLIENT))
        self.assertEqual(sink.taken, [])
        logger.error("two")
        lines = [json.loads(line) for line in b"".join(sink.taken).splitlines()]
        self.assertEqual([line["event"] for line in lines], ["log", "smtp.connect", "log"])
        log.stop()
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_other_threads(self) -> None:
        """What another thread says is written in the reactor's."""
        log, sink = self.make()
        reactor = ThreadedClock()
        log.start(reactor)
        logger = Logger("ns", observer=LogPublisher(log.observer))
        thread = Thread(target=logger.error, args=("from a thread",))
        thread.start()
        thread.join()
        self.assertEqual(sink.taken, [])
        reactor.run_what_threads_asked_for()
        self.assertIn(b"from a thread", b"".join(sink.taken))

    def test_losses_are_told(self) -> None:
        """In the format of the log."""
        log, sink = self.make()
        log.start(Clock())
        sink.room = 0
        for _ in range(10_000):
            log.publish(Queued(entry()))
        sink.room = None
        log.stop()
        last = json.loads(b"".join(sink.taken).splitlines()[-1])
        self.assertEqual((last["event"], last["level"]), ("log.lost", "warn"))
        self.assertGreater(last["lines"], 1000)


class InstallTests(SynchronousTestCase):
    """Under twistd, under twist, and in somebody else's application."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        here = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, here)

    def install(self, options: Mapping[str, object] | None) -> tuple[Any, object]:
        application = Application("gateway")
        log = install(LogConfig(), application, options, lambda: 1000.0, {})
        return log, application.getComponent(ILogObserver)

    def test_twistd_file(self) -> None:
        """--logfile names the file; a daemon's is twistd.log; relative names start in the current folder."""
        for options, name in (
            ({"nodaemon": 1, "logfile": "gw.log"}, "gw.log"),
            ({"nodaemon": 0, "logfile": None}, "twistd.log"),
            ({"nodaemon": 0, "logfile": str(self.folder / "abs.log"), "syslog": 0, "logger": None}, "abs.log"),
        ):
            log, observer = self.install(options)
            self.assertIsInstance(log, LineLog)
            self.assertIs(observer, log.observer)
            log.publish(Queued(entry()))
            line = json.loads((self.folder / name).read_bytes())
            self.assertEqual((line["event"], line["ts"]), ("msg.queued", "1970-01-01T00:16:40.000Z"))

    def test_twistd_standard_output(self) -> None:
        """-n without --logfile, and --logfile=-."""
        path = self.folder / "stdout"
        saved = os.dup(1)
        self.addCleanup(os.close, saved)
        sys.stdout.flush()
        for options in ({"nodaemon": 1, "logfile": None}, {"nodaemon": 1, "logfile": "-"}):
            with path.open("wb") as stream:
                os.dup2(stream.fileno(), 1)
                try:
                    self.install(options)[0].publish(Queued(entry()))
                finally:
                    os.dup2(saved, 1)
            self.assertEqual(json.loads(path.read_bytes())["event"], "msg.queued")

    def test_daemon_and_standard_output(self) -> None:
        """A daemon has none."""
        self.assertRaises(OSError, self.install, {"nodaemon": 0, "logfile": "-"})

    def test_file_that_can_not_be_opened(self) -> None:
        """Told at the start."""
        self.assertRaises(OSError, self.install, {"nodaemon": 1, "logfile": "/nowhere/x.log"})

    def test_log_of_somebody_else(self) -> None:
        """--syslog, --logger, or an application composed by hand: their log stays theirs."""
        for options in ({"nodaemon": 1, "syslog": 1}, {"nodaemon": 1, "logger": "a.b"}, None, {}):
            log, observer = self.install(options)
            self.assertIsInstance(log, EventLog)
            self.assertIsNone(observer)

    def test_twist(self) -> None:
        """Under twist its log is kept; our lines go where it goes."""
        path = self.folder / "twist.log"
        with path.open("w") as stream:
            log, observer = self.install({"logFile": stream, "reactor": None})
            log.publish(Queued(entry()))
        self.assertIsNone(observer)
        self.assertEqual(json.loads(path.read_bytes())["event"], "msg.queued")


def _observer(events: list[dict[str, Any]]) -> ILogObserver:
    return cast(ILogObserver, events.append)


class EventLogTests(SynchronousTestCase):
    """Lines as events of twisted.logger."""

    def test_events(self) -> None:
        """With level, text and fields; escaped, for syslog keeps what it gets."""
        events: list[dict[str, Any]] = []
        log = EventLog(LogLevel.INFO, Logger("smtpgw", observer=LogPublisher(_observer(events))))
        log.start(Clock())
        log.publish(Queued(entry("\x1b[2J@b.example")))
        log.publish(TROUBLE)
        log.stop()
        self.assertEqual([event["log_level"].name for event in events], ["info", "warn"])
        self.assertTrue(str(events[0]["line"]).startswith("msg.queued qid="), events[0]["line"])
        self.assertTrue(str(events[0]["line"]).isprintable())
        self.assertEqual(events[1]["fields"]["waiting"], 7)

    def test_level(self) -> None:
        """The level of the configuration holds here, too."""
        events: list[dict[str, Any]] = []
        log = EventLog(LogLevel.ERROR, Logger("smtpgw", observer=LogPublisher(_observer(events))))
        log.publish(TROUBLE)
        self.assertEqual(events, [])
