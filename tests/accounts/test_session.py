"""Logins as a client sees them: the accounts behind the server's own protocol."""

# Boundaries are replaced.
# mypy: no-check-untyped-defs

from base64 import b64decode, b64encode

from tests.accounts.rig import UsersCase
from tests.net.server_rig import Rig
from tests.net.test_factory import TlsTransport
from tests.smtp.sasl.scram_client import ScramClient


class SessionTests(UsersCase):
    """One client of a listener with implicit TLS."""

    def setUp(self):
        super().setUp()
        self.rig = Rig(authenticator=self.users_now, tls_context=object(), tls="implicit", auth=True)
        self.peer = self.connect()

    def connect(self):
        """Another connection, greeted."""
        peer = self.rig.connect(transport=TlsTransport())
        peer.protocol.handshakeCompleted()
        return peer.greet()

    def send(self, octets, peer=None):
        """A response, encoded, and what is said to it at last."""
        peer = peer or self.peer
        said = peer.send(b64encode(octets) + b"\r\n")
        for _ in range(20):
            self.threads.work(len(self.threads.waiting))
            self.clock.advance(0.5)
        return said + peer.said()

    def auth(self, mechanism, octets, peer=None):
        """AUTH with an initial response."""
        peer = peer or self.peer
        said = peer.send(b"AUTH " + mechanism + b" " + b64encode(octets) + b"\r\n")
        for _ in range(20):
            self.threads.work(len(self.threads.waiting))
            self.clock.advance(0.5)
        return said + peer.said()

    def test_offer(self):
        """The strongest first."""
        self.assertIn(
            b"250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER XOAUTH2 PLAIN LOGIN\r\n",
            self.peer.send(b"EHLO c\r\n"),
        )

    def test_plain(self):
        """235, and everything else knows who it is."""
        self.assertEqual(self.auth(b"PLAIN", b"\0app@example.com\0pencil")[:9], b"235 2.7.0")
        client = self.peer.protocol.client()
        self.assertEqual((client.identity, client.mechanism), ("App@Example.com", "PLAIN"))

    def test_login(self):
        """Asked twice."""
        self.assertEqual(self.peer.send(b"AUTH LOGIN\r\n"), b"334 " + b64encode(b"Username:") + b"\r\n")
        self.assertEqual(self.send(b"scram"), b"334 " + b64encode(b"Password:") + b"\r\n")
        self.assertEqual(self.send(b"pencil")[:9], b"235 2.7.0")

    def test_scram(self):
        """Each proves itself to the other."""
        scram = ScramClient("scram", "pencil")
        challenge = b64decode(self.auth(b"SCRAM-SHA-256", scram.first())[4:])
        self.assertEqual(b64decode(self.send(scram.last(challenge))[4:]), scram.verifier)
        self.assertEqual(self.send(b"")[:9], b"235 2.7.0")

    def test_token(self):
        """A wrong token is told so in JSON, then it is 535."""
        said = self.auth(b"XOAUTH2", b"user=u\1auth=Bearer bad\1\1")
        self.assertEqual(b64decode(said[4:]), b'{"status":"401","schemes":"bearer"}')
        self.assertEqual(self.send(b"")[:9], b"535 5.7.8")
        self.assertEqual(self.auth(b"XOAUTH2", b"user=u\1auth=Bearer good\1\1")[:9], b"235 2.7.0")

    def test_third(self):
        """The third wrong password ends the connection; two more, on another one, shut out the address."""
        said = [self.auth(b"PLAIN", b"\0scram\0%d" % number)[:9] for number in range(3)]
        self.assertEqual(said, [b"535 5.7.8", b"535 5.7.8", b"421 4.7.0"])
        other = self.connect()
        for number in (3, 4):
            self.assertEqual(self.auth(b"PLAIN", b"\0app@example.com\0%d" % number, other)[:9], b"535 5.7.8")
        self.assertEqual(self.auth(b"PLAIN", b"\0app@example.com\0pencil", other)[:9], b"421 4.7.0")

    def test_gone(self):
        """Who goes while a password waits leaves nothing behind."""
        self.peer.send(b"AUTH PLAIN " + b64encode(b"\0scram\0pencil") + b"\r\n")
        self.peer.lose()
        self.threads.work()
        self.assertEqual((self.compared, len(self.users_now.brake._pending)), (0, 0))
        self.assertEqual(self.users_now.pool._unfinished, 0)
