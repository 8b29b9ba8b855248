"""SIZE."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extension import Facts, MailFields
from smtpgw.smtp.extensions.size import Size
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class SizeTests(ExtensionContract, SynchronousTestCase):
    """A message that is too large is refused as early as it can be."""

    extension = Size()

    def proper(self, keyword):
        return "SIZE=1"

    @holds("1870", "4", "The limit stands behind SIZE in what is offered, if there is one.")
    def test_offer(self):
        """The limit is announced, if there is one."""
        self.assertEqual(self.extension.offer(Facts(message_size=5)), "SIZE 5")
        self.assertEqual(self.extension.offer(Facts()), "SIZE")

    def test_declared(self):
        """The declared size is kept; over the limit it is 552 5.3.4; without a limit anything goes."""
        fields = MailFields()
        self.assertIsNone(self.extension.mail_parameter("SIZE", "1000", fields, Facts(message_size=1000)))
        self.assertEqual(fields.size_octets, 1000)
        refusal = self.extension.mail_parameter("SIZE", "1001", fields, Facts(message_size=1000))
        self.assertEqual((refusal.code, refusal.status), (552, "5.3.4"))
        self.assertIsNone(self.extension.mail_parameter("SIZE", "9" * 20, fields, Facts()))

    def test_bad_values(self):
        """Digits, at most 20 of them."""
        for value in (None, "", "1.5", "-1", "+1", "0x1", "\u0661", "9" * 21, "1_000"):
            with self.subTest(value):
                self.assertEqual(self.extension.mail_parameter("SIZE", value, MailFields(), Facts()).code, 501)

    @holds("1870", "6.1", "A declared size above the limit is 552 at MAIL, and no transaction begins.")
    def test_mail(self):
        """A refused MAIL is told of, and leaves no transaction."""
        driver = CoreDriver(message_size=10)
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x> SIZE=11\r\n")[:10], b"552 5.3.4 ")
        self.assertEqual(
            [(stage, answer.code, subject) for stage, answer, subject in driver.rejected], [("mail", 552, "a@x")]
        )
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x> SIZE=10\r\n")[:3], b"250")

    @holds("1870", "6.3", "Content above the limit is read to its end and is 552, whatever was declared.")
    def test_content(self):
        """What was declared does not matter in the end: content over the limit is read, dropped, and 552 5.3.4."""
        driver = CoreDriver(message_size=10)
        driver.feed(b"EHLO c\r\nMAIL FROM:<a@x> SIZE=1\r\nRCPT TO:<b@x>\r\nDATA\r\n")
        self.assertEqual(driver.feed(b"123456\r\n"), b"")
        self.assertEqual(driver.feed(b"1\r\nMAIL FROM:<evil@x>\r\n"), b"")
        self.assertTrue(driver.reception.intakes[0].is_abandoned)
        self.assertEqual(driver.feed(b".\r\nNOOP\r\n").splitlines()[0][:10], b"552 5.3.4 ")
        self.assertEqual(
            driver.feed(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n12345678\r\n.\r\n")[-7:], b"00001\r\n"
        )
        self.assertEqual(driver.reception.messages[0].content, b"12345678\r\n")
