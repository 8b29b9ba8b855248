"""RFC 8314: TLS for submission."""

# mypy: no-check-untyped-defs

from smtpgw.config.schema import TlsConfig
from smtpgw.model.envelope import Client, Envelope, Recipient, TlsFacts
from smtpgw.service.trace import TraceHeader
from tests.accounts.rig import UsersCase
from tests.clauses import does_not_hold, holds
from tests.net.test_server_auth_driver import AuthCase
from tests.net.test_server_half_closed import StartTlsTransport
from tests.rfc.talk import codes
from tests.service.house import mailbox


class ListenerTests(AuthCase):
    """Sections 3.3 and 4.1."""

    @holds(
        "8314",
        "3.3",
        "Where TLS begins with the first octet everything else is as behind STARTTLS, which is not offered.",
    )
    def test_implicit(self):
        """Banner, EHLO, login."""
        text = self.client.send(b"EHLO c\r\n").decode()
        self.assertIn("AUTH", text)
        self.assertNotIn("STARTTLS", text)
        self.assertEqual(self.plain()[:4], b"235 ")

    @holds("8314", "3.3", "Submission may also begin in clear text, with STARTTLS.")
    @holds("8314", "4.1", "In clear text no password is asked for, and none is taken.")
    def test_clear_text(self):
        """538, and 530 to all else where TLS is required."""
        self.start(tls="required", requires_auth=True)
        client = self.rig.connect(transport=StartTlsTransport())
        text = client.send(b"EHLO c\r\n").decode()
        self.assertIn("STARTTLS", text)
        self.assertNotIn("AUTH", text)
        said = client.send(b"AUTH PLAIN AGEAYg==\r\nMAIL FROM:<>\r\n").decode()
        self.assertEqual([code // 10 for code in codes(said)], [53, 53])
        self.assertEqual(self.authenticator.begun, [])


class VersionTests(UsersCase):
    """Sections 4.1 and 4.2."""

    @holds("8314", "4.1", "TLS before 1.2 is not spoken.")
    def test_minimum(self):
        """The default."""
        self.assertEqual(TlsConfig().minimum.value, "1.2")

    @holds("8314", "4.2", "A client's certificate logs in only with EXTERNAL, and only if it names an account.")
    def test_certificate(self):
        """Anybody else's is of no use."""
        verified = TlsFacts("TLSv1.3", "x", verified=True, subjects=("app@example.com",))
        self.assertIn("EXTERNAL", self.users_now.mechanisms(self.client(tls=verified)))
        for facts in (
            TlsFacts("TLSv1.3", "x", verified=True, subjects=("nobody@example.com",)),
            TlsFacts("TLSv1.3", "x", verified=False, subjects=("app@example.com",)),
            TlsFacts("TLSv1.3", "x"),
        ):
            self.assertNotIn("EXTERNAL", self.users_now.mechanisms(self.client(tls=facts)))

    @does_not_hold(
        "8314",
        "4.3",
        "The Received field names the cipher suite in a tls clause.",
        "Version and cipher stand there in a comment, as they have for decades, where more programs find them.",
    )
    def test_received(self):
        """Using TLSv1.3 with cipher ..."""
        tls = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
        client = Client("192.0.2.1", "c.example", "ESMTPSA", tls)
        envelope = Envelope(None, (Recipient(mailbox("b@b.example")),))
        field = TraceHeader("gw.example").received(client, envelope, 1, 0.0)
        self.assertIn(b"(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)", field)
        self.assertNotIn(b" tls ", field)
