"""AUTH."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import AuthAborted, AuthAsked, AuthResponse
from smtpgw.smtp.extension import Facts, MailFields
from smtpgw.smtp.extensions.auth import Auth
from tests.clauses import holds
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

    def proper(self, keyword):
        return "AUTH=<>"

    @holds("4954", "4", "AUTH in clear text is 538 where it is offered under TLS only.")
    def test_clear_text(self):
        """538 before TLS, 502 where there is no AUTH at all, and nothing is offered."""
        driver = CoreDriver(facts=Facts(tls_available=True, auth_after_tls=True))
        self.assertNotIn(b"AUTH", driver.feed(b"EHLO c\r\n"))
        self.assertEqual(driver.feed(b"AUTH PLAIN AGEAYg==\r\n")[:11], b"538 5.7.11 ")
        driver = CoreDriver(facts=Facts(tls_active=True, auth_after_tls=True))
        self.assertEqual(driver.feed(b"AUTH PLAIN AGEAYg==\r\n")[:10], b"502 5.5.1 ")

    @holds("4954", "6", "Where AUTH is required other commands are 530 before it.")
    @holds("6409", "4.3", "Where the listener requires AUTH nothing is taken before it.")
    def test_required(self):
        """530 for all but the few that may come before AUTH; afterwards everything is served."""
        driver = CoreDriver(facts=Facts(mechanisms=("PLAIN",)), requires_auth=True, errors=100)
        for greeting in (b"", b"EHLO c\r\n"):
            driver.feed(greeting)
            for command in (b"MAIL FROM:<a@x>", b"RCPT TO:<a@x>", b"DATA", b"VRFY a", b"HELP", b"EXPN a", b"FOO", b""):
                said = driver.feed(command + b"\r\n")
                self.assertEqual(said, b"530 5.7.0 Authentication required\r\n", command)
            self.assertEqual(driver.feed(b"NOOP\r\nRSET\r\n"), replies.OK * 2)
        driver.feed(b"AUTH PLAIN AGEAYg==\r\n")
        driver.session.authenticated()
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x>\r\n")[-14:], replies.MAIL_OK)

    def test_required_behind_tls(self):
        """First TLS, then AUTH, each with its own words; after the handshake the login must come again."""
        driver = CoreDriver(
            facts=Facts(tls_available=True, mechanisms=("PLAIN",)), requires_auth=True, requires_tls=True
        )
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<>\r\n"), replies.encode(replies.TLS_NEEDED))
        driver.feed(b"STARTTLS\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<>\r\n"), replies.encode(replies.AUTH_NEEDED))

    def test_login_before_tls_is_forgotten(self):
        """What was said in clear text does not count under TLS."""
        driver = CoreDriver(facts=Facts(tls_available=True, mechanisms=("PLAIN",)), requires_auth=True)
        driver.feed(b"EHLO c\r\nAUTH PLAIN AGEAYg==\r\n")
        driver.session.authenticated()
        driver.run()
        driver.feed(b"STARTTLS\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<>\r\n"), replies.encode(replies.AUTH_NEEDED))

    @holds("4954", "5", "The AUTH parameter of MAIL is checked, and then taken for <>.")
    def test_mail_parameter(self):
        """A mailbox in xtext or <>; only where there is AUTH; nothing of it is kept."""
        for value in ("<>", "a@x.example", "a+2Bb@x.example"):
            fields = MailFields()
            self.assertIsNone(self.extension.mail_parameter("AUTH", value, fields, Facts()))
            self.assertEqual(fields, MailFields())
        for value in (None, "", "a", "<a@x>", "a+2b@x", "a=b@x", "+0D+0A@x", "+20a@x", "a@" + "x" * 500, "<"):
            answer = self.extension.mail_parameter("AUTH", value, MailFields(), Facts())
            self.assertIs(answer, replies.BAD_PARAMETER, value)
        driver = self.make_driver()
        driver.feed(b"AUTH PLAIN AGEAYg==\r\n")
        driver.session.authenticated()
        driver.run()
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x> AUTH=<>\r\n"), replies.MAIL_OK)
        driver = CoreDriver(facts=Facts())
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x> AUTH=<>\r\n")[:10], b"555 5.5.4 ")

    def test_empty_challenge(self):
        """It has the space behind its code."""
        driver = self.make_driver()
        driver.feed(b"AUTH PLAIN\r\n")
        driver.session.challenge(b"")
        self.assertEqual(driver.run(), b"334 \r\n")

    def test_421(self):
        """Whoever guesses too often is sent away, also in the middle of an exchange."""
        for lines in (b"AUTH PLAIN YWI=\r\nNOOP\r\n", b"AUTH LOGIN\r\n"):
            driver = self.make_driver()
            driver.feed(lines)
            driver.session.refuse(reply(421, "4.7.0", "Too many wrong logins"))
            self.assertEqual(driver.run(), b"421 4.7.0 Too many wrong logins\r\n")
            self.assertTrue(driver.is_closed)

    def test_long_initial_response(self):
        """A token of some thousand octets may stand behind AUTH, and nothing else may be as long."""
        driver = self.make_driver()
        driver.feed(b"AUTH PLAIN " + b"YWFh" * 3000 + b"\r\n")
        self.assertEqual(driver.events[-1], AuthAsked("PLAIN", b"aaa" * 3000))
        for line in (b"AUTH PLAIN " + b"YWFh" * 3070, b"NOOP " + b"x" * 2100, b"AUTHX " + b"x" * 2100):
            driver = self.make_driver()
            for begin in range(0, len(line), 100):
                driver.feed(line[begin : begin + 100])
                self.assertLessEqual(driver.session.buffered_octets, 12288)
            self.assertEqual(driver.feed(b"\r\nNOOP\r\n"), b"500 5.5.2 Line too long\r\n250 2.0.0 Ok\r\n")
