"""An extension that only has a keyword, and one that a user adds."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields, RcptFields
from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from tests.smtp.fakes import CoreDriver


class Priority(Extension):
    """One MAIL parameter, one RCPT parameter, one verb."""

    keyword = "XPRIORITY"
    mail_parameters = ("XPRIO",)
    rcpt_parameters = ("XNOW",)
    verbs = ("XHURRY",)

    def mail_parameter(self, keyword, value, fields, facts):
        return None if value == "1" else replies.BAD_PARAMETER

    def rcpt_parameter(self, keyword, value, fields, facts):
        return None if value is None else replies.BAD_PARAMETER

    def command(self, verb, argument, facts):
        return replies.CANNOT_VERIFY if argument == b"please" else replies.ARGUMENT_NEEDED


class AddedExtensionTests(SynchronousTestCase):
    """One object in the list is all that an extension needs."""

    def make_driver(self):
        driver = CoreDriver(extensions=(*EXTENSIONS, Priority()))
        self.assertIn(b"XPRIORITY\r\n", driver.feed(b"EHLO c\r\n"))
        return driver

    def test_parameters(self):
        """Of MAIL and RCPT, each read by it, each refused when given twice or wrong."""
        driver = self.make_driver()
        self.assertEqual(driver.feed(b"MAIL FROM:<> XPRIO=2\r\n")[:10], b"501 5.5.4 ")
        self.assertEqual(driver.feed(b"MAIL FROM:<> xprio=1\r\n")[:4], b"250 ")
        for parameters, code in (
            (b"XNOW=1", b"501 5.5.4 "),
            (b"XNOW XNOW", b"501 5.5.4 "),
            (b"XPRIO=1", b"555 5.5.4 "),
            (b"XNOW", b"250 2.1.5 "),
        ):
            self.assertEqual(driver.feed(b"RCPT TO:<a@x> " + parameters + b"\r\n")[:10], code)

    def test_verb(self):
        """In any case, with its argument."""
        driver = self.make_driver()
        self.assertEqual(driver.feed(b"xhurry please \r\n")[:4], b"252 ")
        self.assertEqual(driver.feed(b"XHURRY\r\n")[:4], b"501 ")


class BaseTests(SynchronousTestCase):
    """The base claims nothing."""

    def test_nothing(self):
        """It is an error of ours to ask it for more than its keyword."""
        extension = Extension()
        self.assertRaises(NotImplementedError, extension.mail_parameter, "X", None, MailFields(), Facts())
        self.assertRaises(NotImplementedError, extension.rcpt_parameter, "X", None, RcptFields(), Facts())
        self.assertRaises(NotImplementedError, extension.command, "X", b"", Facts())
