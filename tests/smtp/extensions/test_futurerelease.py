"""FUTURERELEASE."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extension import Facts
from smtpgw.smtp.extensions.futurerelease import FutureRelease, read_date_time
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver

_NOW = 1_000_000_000.5


class FutureReleaseTests(ExtensionContract, SynchronousTestCase):
    """A message that is not to leave before its time (RFC 4865)."""

    extension = FutureRelease()
    offered = Facts(future_release_seconds=3600, now=lambda: _NOW)

    def proper(self, keyword):
        return {"HOLDFOR": "HOLDFOR=60", "HOLDUNTIL": "HOLDUNTIL=2001-09-09T02:00:00Z"}[keyword]

    def make_driver(self):
        """Greeted, where an hour is offered."""
        driver = CoreDriver(future_release_seconds=3600, now=lambda: _NOW)
        driver.feed(b"EHLO c\r\n")
        return driver

    def test_in_ehlo(self):
        """With both limits; not without time, and not without a clock."""
        self.assertIn(b"FUTURERELEASE 3600 2001-09-09T02:46:40Z\r\n", self.make_driver().sent)
        self.assertNotIn(b"FUTURERELEASE", CoreDriver(future_release_seconds=3600).feed(b"EHLO c\r\n"))
        self.assertNotIn(b"FUTURERELEASE", CoreDriver(now=lambda: _NOW).feed(b"EHLO c\r\n"))

    def test_twice(self):
        """Each only once, and only one of both."""
        for twice in (b"HOLDFOR=60 HOLDFOR=60", b"HOLDFOR=60 HOLDUNTIL=2001-09-09T02:00:00Z"):
            self.assertEqual(self.make_driver().feed(b"MAIL FROM:<> " + twice + b"\r\n")[:10], b"501 5.5.4 ")

    def test_parameters(self):
        """What is held is in the envelope; what is too long, or no time, is 501."""
        for value, seconds, until in (
            (b"HOLDFOR=3600", 3600, 0),
            (b"HOLDUNTIL=2001-09-09T02:46:40Z", 0, _NOW + 3599.5),
            (b"HOLDUNTIL=2001-09-09t04:46:40+02:00", 0, _NOW + 3599.5),
        ):
            driver = self.make_driver()
            driver.feed(b"MAIL FROM:<a@x> " + value + b"\r\nRCPT TO:<b@x>\r\nDATA\r\n.\r\n")
            parameters = driver.reception.messages[0].envelope.parameters
            self.assertEqual((parameters.hold_seconds, parameters.hold_until), (seconds, until))
        for value in (
            b"HOLDFOR=3601",
            b"HOLDFOR=0",
            b"HOLDFOR=060",
            b"HOLDFOR=-1",
            b"HOLDFOR=9999999999",
            b"HOLDFOR",
            b"HOLDUNTIL",
            b"HOLDUNTIL=2001-09-09T02:46:42Z",
            b"HOLDUNTIL=2001-09-09",
        ):
            self.assertEqual(self.make_driver().feed(b"MAIL FROM:<> " + value + b"\r\n")[:10], b"501 5.5.4 ", value)


class DateTimeTests(SynchronousTestCase):
    """RFC 3339 section 5.6."""

    def test_values(self):
        """Zones, fractions and leap seconds; nothing else."""
        for text, unix in (
            ("1970-01-01T00:00:01Z", 1),
            ("1970-01-01T01:00:01.5+01:00", 1.5),
            ("2016-12-31T23:59:60Z", 1483228800),
            ("1985-04-12T23:20:50.52z", 482196050.52),
            ("1969-12-31T23:59:59Z", None),
            ("2001-02-30T00:00:00Z", None),
            ("2001-02-03T24:00:00Z", None),
            ("2001-02-03T00:00:61Z", None),
            ("2001-02-03T00:00:00", None),
            ("2001-02-03T00:00:00+24:00", None),
            ("2001-02-03 00:00:00Z", None),
            ("0001-01-01T00:00:00+23:59", None),
            ("٢٠٠١-02-03T00:00:00Z", None),
        ):
            self.assertEqual(read_date_time(text), unix, text)

    @settings(max_examples=200, deadline=None)
    @given(
        st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})", fullmatch=True)
    )
    def test_any(self, text):
        """Whatever looks like a date is one, or is not; nothing is raised."""
        unix = read_date_time(text)
        self.assertTrue(unix is None or unix > 0)
