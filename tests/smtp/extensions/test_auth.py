"""AUTH."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp import replies
from smtpgw.smtp.events import AuthAborted, AuthAsked, AuthResponse
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.extensions.auth import Auth
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class AuthTests(ExtensionContract, SynchronousTestCase):
    """The exchange on the wire (RFC 4954)."""

    extension = Auth()

    def make_driver(self):
        """Greeted, with two mechanisms."""
        driver = CoreDriver(facts=Facts(mechanisms=("PLAIN", "LOGIN")))
        driver.feed(b"EHLO c\r\n")
        return driver

    def test_offer(self):
        """Only with mechanisms, and only to those who are nobody yet."""
        self.assertEqual(self.extension.offer(Facts(mechanisms=("PLAIN", "LOGIN"))), "AUTH PLAIN LOGIN")
        self.assertIsNone(self.extension.offer(Facts()))
        self.assertIsNone(self.extension.offer(Facts(mechanisms=("PLAIN",), is_authenticated=True)))

    def test_initial_response(self):
        """Decoded; "=" is an empty one; none is none."""
        for argument, initial in ((b"plain YWI=", b"ab"), (b"PLAIN =", b""), (b"PLAIN", None)):
            driver = self.make_driver()
            driver.feed(b"AUTH " + argument + b"\r\n")
            self.assertEqual(driver.events[-1], AuthAsked("PLAIN", initial))

    def test_refused(self):
        """Unknown mechanism 504, bad base64 501, nothing 501, too much 501, twice 503, in a transaction 503."""
        for command, code in (
            (b"AUTH FOO", b"504 5.5.4 "),
            (b"AUTH PLAIN x", b"501 5.5.2 "),
            (b"AUTH", b"501 5.5.4 "),
            (b"AUTH PLAIN YWI= YWI=", b"501 5.5.4 "),
        ):
            self.assertEqual(self.make_driver().feed(command + b"\r\n")[:10], code)
        driver = self.make_driver()
        driver.feed(b"MAIL FROM:<a@x>\r\n")
        self.assertEqual(driver.feed(b"AUTH PLAIN YWI=\r\n")[:10], b"503 5.5.1 ")
        driver = self.make_driver()
        driver.session.facts.is_authenticated = True
        self.assertEqual(driver.feed(b"AUTH PLAIN YWI=\r\n")[:10], b"503 5.5.1 ")

    def test_exchange(self):
        """Challenge, response, success; what is pipelined waits."""
        driver = self.make_driver()
        driver.feed(b"AUTH LOGIN\r\ndXNlcg==\r\nNOOP\r\n")
        self.assertEqual(driver.events[-1], AuthAsked("LOGIN", None))
        driver.session.challenge(b"User:")
        self.assertEqual(driver.run(), b"334 VXNlcjo=\r\n")
        self.assertEqual(driver.events[-1], AuthResponse(b"user"))
        driver.session.authenticated()
        self.assertEqual(driver.run(), b"235 2.7.0 Authentication successful.\r\n250 2.0.0 Ok\r\n")
        self.assertNotIn(b"AUTH", driver.feed(b"EHLO c\r\n"))

    def test_refused_login(self):
        """The refusal is said, and commands are commands again."""
        driver = self.make_driver()
        driver.feed(b"AUTH PLAIN YWI=\r\n")
        driver.session.refuse(replies.TROUBLE)
        self.assertEqual(driver.run(), replies.encode(replies.TROUBLE))
        self.assertEqual(driver.feed(b"NOOP\r\n"), replies.OK)

    def test_aborted(self):
        """An asterisk ends it, bad base64 ends it, a line of more than 12,288 octets ends it."""
        for line, code in ((b"*", b"501 5.7.0 "), (b"!", b"501 5.5.2 "), (b"A" * 12288, b"500 5.5.2 ")):
            driver = self.make_driver()
            driver.feed(b"AUTH LOGIN\r\n")
            driver.session.challenge(b"User:")
            driver.run()
            self.assertEqual(driver.feed(line + b"\r\n")[:10], code)
            self.assertEqual(driver.events[-1], AuthAborted())
            self.assertEqual(driver.feed(b"NOOP\r\n"), replies.OK)

    def test_long_response(self):
        """A response may be longer than a command."""
        driver = self.make_driver()
        driver.feed(b"AUTH LOGIN\r\n")
        driver.session.challenge(b"")
        driver.run()
        driver.feed(b"A" * 12284 + b"\r\n")
        self.assertEqual(driver.events[-1], AuthResponse(b"\0" * 9213))

    def test_guessing(self):
        """Each refused login counts as a bad command."""
        driver = CoreDriver(facts=Facts(mechanisms=("PLAIN",)), errors=3)
        driver.feed(b"EHLO c\r\n")
        for _ in range(4):
            driver.feed(b"AUTH PLAIN YWI=\r\n")
            driver.session.refuse(replies.BAD_PARAMETER)
            driver.run()
        self.assertTrue(driver.is_closed)
        self.assertTrue(driver.sent.endswith(replies.encode(replies.TOO_MANY_ERRORS)))
