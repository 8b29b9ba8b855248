"""SMTPUTF8."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.smtp.extension import Facts, MailFields
from smtpgw.smtp.extensions.smtputf8 import SmtpUtf8
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver

_ADDRESS = "jürgen@müller.example".encode()


class SmtpUtf8Tests(ExtensionContract, SynchronousTestCase):
    """Non-ASCII addresses are for transactions that asked for them."""

    extension = SmtpUtf8()

    def test_no_value(self):
        """The parameter stands alone."""
        fields = MailFields()
        self.assertEqual(self.extension.mail_parameter("SMTPUTF8", "1", fields, Facts()).code, 501)
        self.assertIsNone(self.extension.mail_parameter("SMTPUTF8", None, fields, Facts()))
        self.assertTrue(fields.smtputf8)

    @holds("6531", "3.4", "As a server, MAIL with SMTPUTF8 lets the addresses of its transaction be UTF-8.")
    def test_with(self):
        """Addresses are taken, and the envelope says so."""
        driver = CoreDriver()
        driver.feed(b"EHLO c\r\nMAIL FROM:<%s> SMTPUTF8\r\nRCPT TO:<%s>\r\nDATA\r\n.\r\n" % (_ADDRESS, _ADDRESS))
        envelope = driver.reception.messages[0].envelope
        self.assertTrue(envelope.smtputf8)
        self.assertEqual(envelope.reverse_path, Mailbox("jürgen", "müller.example"))
        self.assertEqual(envelope.recipients[0].mailbox, Mailbox("jürgen", "müller.example"))

    @holds(
        "6531",
        "3.5",
        "An address that is not ASCII is 550 5.6.7 in MAIL and 553 5.6.7 in RCPT where MAIL was without SMTPUTF8.",
    )
    def test_without(self):
        """550 5.6.7 for a sender, 553 5.6.7 for a recipient; nobody is asked about them."""
        driver = CoreDriver()
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<%s>\r\n" % _ADDRESS)[:10], b"550 5.6.7 ")
        driver.feed(b"MAIL FROM:<a@x>\r\n")
        self.assertEqual(driver.feed(b"RCPT TO:<%s>\r\n" % _ADDRESS)[:10], b"553 5.6.7 ")
        self.assertEqual(driver.reception.rcpts, [])
        self.assertEqual(len(driver.reception.mails), 1)
