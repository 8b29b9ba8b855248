"""DSN."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import NO_PARAMETERS, MailParameters, Notify, Recipient, Returned
from smtpgw.smtp.extensions.dsn import Dsn
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver

_EHLO = b"EHLO c\r\n"


class DsnTests(ExtensionContract, SynchronousTestCase):
    """What the sender wants to hear of is in the envelope (RFC 3461)."""

    extension = Dsn()

    def proper(self, keyword):
        return {"RET": "RET=FULL", "ENVID": "ENVID=a"}[keyword]

    def envelope(self, mail=b"", rcpt=b""):
        """What a transaction with these parameters comes to."""
        driver = CoreDriver()
        driver.feed(_EHLO + b"MAIL FROM:<a@x>" + mail + b"\r\nRCPT TO:<b@x>" + rcpt + b"\r\nDATA\r\n.\r\n")
        return driver.reception.messages[0].envelope

    @holds("3461", "4.3", "RET is FULL or HDRS, in any case, and is in the envelope.")
    @holds("3461", "4.4", "ENVID is xtext of at most 100 characters, and is in the envelope, decoded.")
    def test_mail(self):
        """Read, decoded, kept."""
        self.assertEqual(
            self.envelope(b" RET=hdrs ENVID=QQ+2B314").parameters,
            MailParameters(envelope_id="QQ+314", returned=Returned.HEADERS),
        )
        self.assertIs(self.envelope(b" RET=FULL").parameters.returned, Returned.FULL)
        self.assertEqual(self.envelope(b" ENVID=" + b"e" * 100).parameters.envelope_id, "e" * 100)
        self.assertIs(self.envelope(b" SIZE=5").parameters, NO_PARAMETERS)

    @holds("3461", "4.1", "NOTIFY is NEVER alone, or a list of SUCCESS, FAILURE and DELAY.")
    @holds("3461", "4.2", "ORCPT has at most 500 characters, and is in the envelope, decoded.")
    def test_rcpt(self):
        """Read, decoded, kept with the recipient."""
        for value, notify in (
            (b"NEVER", Notify()),
            (b"never", Notify()),
            (b"SUCCESS,DELAY", Notify(success=True, delay=True)),
            (b"failure", Notify(failure=True)),
        ):
            recipients = self.envelope(rcpt=b" NOTIFY=" + value).recipients
            self.assertEqual(recipients, (Recipient(Mailbox("b", "x"), notify),))
        original = self.envelope(rcpt=b" ORCPT=rfc822;B+2Bc@x").recipients[0].original
        self.assertEqual(original, "rfc822;B+c@x")
        longest = b"rfc822;" + b"o" * 493
        self.assertEqual(self.envelope(rcpt=b" ORCPT=" + longest).recipients[0].original, longest.decode())

    def test_bad_values(self):
        """501, and the transaction goes on."""
        driver = CoreDriver(errors=100)
        driver.feed(_EHLO)
        for value in (b"RET=BODY", b"RET", b"ENVID", b"ENVID=+0D+0A", b"ENVID=+2b", b"ENVID=" + b"e" * 101):
            self.assertEqual(driver.feed(b"MAIL FROM:<a@x> " + value + b"\r\n")[:10], b"501 5.5.4 ", value)
        driver.feed(b"MAIL FROM:<a@x>\r\n")
        for value in (
            b"NOTIFY",
            b"NOTIFY=NEVER,SUCCESS",
            b"NOTIFY=SUCCESS,,DELAY",
            b"NOTIFY=SUCCESS,",
            b"NOTIFY=SOMETIMES",
            b"ORCPT",
            b"ORCPT=a@x",
            b"ORCPT=rfc822;a+0Ab",
            b"ORCPT=rfc822;" + b"o" * 494,
            "ORCPT=utf-8;jürgen@x".encode(),
            b"NOTIFY=NEVER NOTIFY=NEVER",
        ):
            self.assertEqual(driver.feed(b"RCPT TO:<b@x> " + value + b"\r\n")[:10], b"501 5.5.4 ", value)

    def test_unicode_original(self):
        """With SMTPUTF8 an original address may have any character, without it only encoded."""
        recipient = "RCPT TO:<b@x> ORCPT=utf-8;jürgen@x\r\n".encode()
        driver = CoreDriver()
        driver.feed(_EHLO + b"MAIL FROM:<a@x> SMTPUTF8\r\n" + recipient + b"DATA\r\n.\r\n")
        self.assertEqual(driver.reception.messages[0].envelope.recipients[0].original, "utf-8;jürgen@x")
        self.assertEqual(self.envelope(rcpt=rb" ORCPT=utf-8;j\x{FC}@x").recipients[0].original, "utf-8;jü@x")
