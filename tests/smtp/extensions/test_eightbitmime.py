"""8BITMIME."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import BodyType
from smtpgw.smtp.extension import Facts, MailFields
from smtpgw.smtp.extensions.eightbitmime import EightBitMime
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class EightBitMimeTests(ExtensionContract, SynchronousTestCase):
    """Eight bits go through, and what the client declared is known."""

    extension = EightBitMime()

    def proper(self, keyword):
        return "BODY=7BIT"

    def test_values(self):
        """Two values, in any case; BINARYMIME, which is not offered, is 555."""
        for value, body in (("7BIT", BodyType.SEVEN_BIT), ("8bitmime", BodyType.EIGHT_BIT)):
            fields = MailFields()
            self.assertIsNone(self.extension.mail_parameter("BODY", value, fields, Facts()))
            self.assertIs(fields.body, body)
        self.assertEqual(self.extension.mail_parameter("BODY", "BinaryMime", MailFields(), Facts()).code, 555)
        self.assertEqual(self.extension.mail_parameter("BODY", "9BIT", MailFields(), Facts()).code, 501)
        self.assertEqual(self.extension.mail_parameter("BODY", None, MailFields(), Facts()).code, 501)

    @holds("6152", "3", "As a server, octets above 127 are kept as they came, and the envelope says what BODY said.")
    def test_through(self):
        """All octets but CR, LF and NUL arrive as they were sent; the envelope says how."""
        octets = bytes(octet for octet in range(1, 256) if octet not in b"\r\n")
        driver = CoreDriver()
        driver.feed(b"EHLO c\r\nMAIL FROM:<a@x> BODY=8BITMIME\r\nRCPT TO:<b@x>\r\nDATA\r\n" + octets + b"\r\n.\r\n")
        message = driver.reception.messages[0]
        self.assertEqual((message.content, message.envelope.body), (octets + b"\r\n", BodyType.EIGHT_BIT))
