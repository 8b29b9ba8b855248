"""DELIVERBY."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import DeliverBy
from smtpgw.smtp.extension import Facts, MailFields
from smtpgw.smtp.extensions.deliverby import DeliverByTime
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class DeliverByTests(ExtensionContract, SynchronousTestCase):
    """How long delivery may take (RFC 2852)."""

    extension = DeliverByTime()
    offered = Facts(deliver_by=60)

    def proper(self, keyword):
        return "BY=120;R"

    def test_in_ehlo(self):
        """Where the rules say so, with the shortest time if there is one."""
        self.assertIn(b"DELIVERBY 60\r\n", CoreDriver(deliver_by=True, deliver_by_seconds=60).feed(b"EHLO c\r\n"))
        self.assertIn(b"DELIVERBY\r\n", CoreDriver(deliver_by=True).feed(b"EHLO c\r\n"))
        self.assertNotIn(b"DELIVERBY", CoreDriver().feed(b"EHLO c\r\n"))

    def test_twice(self):
        """A parameter that is given twice is refused."""
        driver = CoreDriver(deliver_by=True)
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<> BY=1;R BY=1;R\r\n")[:10], b"501 5.5.4 ")

    def test_values(self):
        """Seconds, mode, trace; with mode R only a time that is left."""
        for value, expected in (
            ("120;R", DeliverBy(120, True)),
            ("60;r", DeliverBy(60, True)),
            ("+120;NT", DeliverBy(120, False, True)),
            ("-120;n", DeliverBy(-120, False)),
            ("0;N", DeliverBy(0, False)),
            ("999999999;rt", DeliverBy(999_999_999, True, True)),
            ("59;R", None),
            ("0;R", None),
            ("-1;R", None),
            ("1000000000;R", None),
            ("12", None),
            ("12;", None),
            ("12;X", None),
            ("12;RTT", None),
            ("--1;N", None),
            ("\uff11;N", None),
            ("", None),
        ):
            fields = MailFields()
            answer = self.extension.mail_parameter("BY", value, fields, self.offered)
            self.assertEqual((answer is None, fields.deliver_by), (expected is not None, expected), value)

    def test_kept(self):
        """It is in the envelope; where it is not offered it is an unknown parameter."""
        driver = CoreDriver(deliver_by=True)
        driver.feed(b"EHLO c\r\nMAIL FROM:<a@x> BY=90;N\r\nRCPT TO:<b@x>\r\nDATA\r\n.\r\n")
        self.assertEqual(driver.reception.messages[0].envelope.parameters.deliver_by, DeliverBy(90, False))
        driver = CoreDriver()
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x> BY=90;N\r\n")[:10], b"555 5.5.4 ")
