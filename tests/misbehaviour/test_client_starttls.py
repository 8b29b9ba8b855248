"""Clients, or those on the way to them, that put something before the TLS handshake."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet.interfaces import ITLSTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from tests.clauses import holds
from tests.net.server_rig import AbortingTransport, Rig


class TlsTransport(AbortingTransport):
    """Knows when TLS would begin; what is received afterwards is taken for what came inside of it."""

    def __init__(self):
        super().__init__()
        self.is_tls = False
        alsoProvides(self, ITLSTransport)

    def startTLS(self, *_arguments):
        self.is_tls = True

    def setTcpNoDelay(self, _enabled):
        pass

    def getHandle(self):
        return self

    def get_protocol_version_name(self):
        return "TLSv1.3"

    def get_cipher_name(self):
        return "TLS_AES_128_GCM_SHA256"


class InjectionTests(SynchronousTestCase):
    """Nothing that came in clear text is acted upon inside of TLS."""

    def connect(self, **settings):
        rig = Rig(tls_context=object(), **settings)
        client = rig.connect(transport=TlsTransport())
        return rig, client.greet()

    @holds("3207", "4.2", "As a server, a command in one segment with STARTTLS is not run, and the connection ends.")
    def test_whole_command(self):
        """In one segment with STARTTLS: no handshake, no command, the end."""
        rig, client = self.connect()
        said = client.send(b"STARTTLS\r\nMAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\n")
        self.assertEqual(said[:4], b"421 ")
        self.assertFalse(client.transport.is_tls)
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(rig.reception.mails, [])

    def test_partial_line(self):
        """The beginning of a line does not become the beginning of the client's first line inside."""
        rig, client = self.connect()
        client.send(b"STARTTLS\r\nMAIL FROM:<evil@x> X=")
        self.assertFalse(client.transport.is_tls)
        self.assertEqual(client.send(b"EHLO c\r\n"), b"")
        self.assertEqual(rig.reception.mails, [])

    def test_half_a_line_before(self):
        """STARTTLS that comes in pieces is STARTTLS."""
        _, client = self.connect()
        for piece in (b"START", b"TLS\r"):
            self.assertEqual(client.send(piece), b"")
        self.assertEqual(client.send(b"\n")[:4], b"220 ")
        self.assertTrue(client.transport.is_tls)

    def test_state(self):
        """EHLO, sender, recipients: all must be given again."""
        rig, client = self.connect()
        client.send(b"MAIL FROM:<evil@x>\r\nRCPT TO:<evil@y>\r\nSTARTTLS\r\n")
        client.protocol.handshakeCompleted()
        self.assertEqual(
            [line[:3] for line in client.send(b"DATA\r\nRCPT TO:<b@y>\r\nMAIL FROM:<a@x>\r\n").splitlines()],
            [b"503"] * 3,
        )
        client.send(b"EHLO c\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n.\r\n")
        envelope = rig.reception.messages[0].envelope
        self.assertEqual((str(envelope.reverse_path), len(envelope.recipients)), ("a@x", 1))

    def test_behind_slow_answer(self):
        """Commands that wait for an answer, with STARTTLS among them: STARTTLS is seen in its turn."""
        rig, client = self.connect()
        rig.reception.is_late = True
        client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\n.\r\nSTARTTLS\r\nMAIL FROM:<evil@x>\r\n")
        rig.reception.intakes[0].done(rig.reception.final)
        self.assertEqual([line[:3] for line in client.said().splitlines()], [b"250", b"421"])
        self.assertFalse(client.transport.is_tls)
        self.assertEqual(len(rig.reception.mails), 1)

    def test_silent_handshake(self):
        """A client that begins no handshake is dropped after its time, without a word."""
        rig, client = self.connect(handshake_timeout_seconds=30)
        client.send(b"STARTTLS\r\n")
        rig.clock.pump([1] * 29)
        self.assertFalse(client.transport.is_aborted)
        rig.clock.pump([1] * 2)
        self.assertTrue(client.transport.is_aborted)
        self.assertEqual(client.said(), b"")

    def test_silent_implicit_handshake(self):
        """The same where TLS comes first; no banner in clear text."""
        rig = Rig(tls_context=object(), tls="implicit", handshake_timeout_seconds=30)
        client = rig.connect(transport=TlsTransport())
        self.assertTrue(client.transport.is_tls)
        rig.clock.pump([1] * 32)
        self.assertTrue(client.transport.is_aborted)
        self.assertEqual(client.said(), b"")

    def test_too_many_before_implicit_tls(self):
        """Nothing is said in clear text to those that there is no room for."""
        rig = Rig(tls_context=object(), tls="implicit", connections=1)
        rig.connect(transport=TlsTransport())
        client = rig.connect(transport=TlsTransport())
        self.assertEqual(client.said(), b"")
        self.assertTrue(client.transport.disconnecting)
