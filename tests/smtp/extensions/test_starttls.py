"""STARTTLS."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.events import Signal
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.extensions.starttls import StartTls
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class StartTlsTests(ExtensionContract, SynchronousTestCase):
    """Nothing from before the handshake is left after it."""

    extension = StartTls()

    def test_offer(self):
        """Only when it can be done, and was not done yet."""
        self.assertIsNone(self.extension.offer(Facts()))
        self.assertIsNone(self.extension.offer(Facts(tls_available=True, tls_active=True)))

    def test_replies(self):
        """501 with an argument, 503 when active, 502 when there is no TLS here."""
        for argument, facts, code in (
            (b"x", Facts(tls_available=True), 501),
            (b"", Facts(tls_available=True, tls_active=True), 503),
            (b"", Facts(), 502),
        ):
            self.assertEqual(self.extension.command("STARTTLS", argument, facts).code, code)

    def test_begins(self):
        """220 without a status; the driver is told to begin."""
        driver = CoreDriver()
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"STARTTLS\r\n")[:4], b"220 ")
        self.assertIn(Signal.TLS_ASKED, driver.events)

    @holds(
        "3207",
        "4.2",
        "As a server, STARTTLS forgets name, transaction and login of the client, and is not offered again.",
    )
    def test_everything_is_forgotten(self):
        """The client's name, the transaction, the login: all must be said again."""
        driver = CoreDriver()
        driver.feed(b"EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n")
        driver.session.facts.is_authenticated = True
        driver.feed(b"STARTTLS\r\n")
        session = driver.session
        self.assertEqual((session.helo, session.mail, session.recipients), ("", None, []))
        self.assertFalse(session.facts.is_authenticated or session.facts.in_transaction)
        for command in (b"DATA\r\n", b"RCPT TO:<b@x>\r\n", b"MAIL FROM:<a@x>\r\n"):
            self.assertEqual(driver.feed(command)[:10], b"503 5.5.1 ")
        self.assertNotIn(b"STARTTLS", driver.feed(b"EHLO c\r\n"))
        self.assertEqual(driver.feed(b"STARTTLS\r\n")[:10], b"503 5.5.1 ")

    def test_input_behind_it(self):
        """A whole command behind it, or part of one: the connection ends, and nothing of it is run."""
        for rest in (b"MAIL FROM:<evil@x>\r\n", b"X", b"\r\n", b"\x16\x03\x01"):
            with self.subTest(rest):
                driver = CoreDriver()
                driver.feed(b"EHLO c\r\n")
                self.assertEqual(driver.feed(b"STARTTLS\r\n" + rest)[:4], b"421 ")
                self.assertTrue(driver.is_closed)
                self.assertEqual(driver.feed(b"NOOP\r\n"), b"")
                self.assertEqual(driver.reception.mails, [])

    @holds(
        "3207", "4", "Where TLS is required MAIL, RCPT and DATA are 530 before it; EHLO, NOOP and STARTTLS are served."
    )
    def test_required(self):
        """Before TLS nothing but EHLO, HELO, NOOP, QUIT and STARTTLS; afterwards everything."""
        driver = CoreDriver(requires_tls=True)
        for command in (b"MAIL FROM:<a@x>", b"RCPT TO:<a@x>", b"DATA", b"RSET", b"VRFY a", b"HELP", b"AUTH X", b"FOO"):
            self.assertEqual(driver.feed(command + b"\r\n")[:10], b"530 5.7.0 ")
        self.assertEqual(driver.feed(b"EHLO c\r\n")[:4], b"250-")
        self.assertEqual(driver.feed(b"NOOP\r\n")[:4], b"250 ")
        driver.feed(b"STARTTLS\r\n")
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x>\r\n")[:4], b"250 ")
