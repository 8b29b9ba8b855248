"""Certificates of next hops are checked, with clear words for what is wrong."""

import contextlib
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.server_certificate import self_signed
from smtpgw.net.server_tls import server_context
from smtpgw.net.tls import RelayTls, TlsTrouble, facts_of


def shake_hands(client: SSL.Connection, server: SSL.Connection) -> None:
    """Run a handshake in memory."""
    client.set_connect_state()
    server.set_accept_state()
    for _ in range(10):
        for one, other in [(client, server), (server, client)]:
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))


class VerificationTests(SynchronousTestCase):
    """Certificates of next hops are checked, and never refused in the handshake."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        Path(self.folder).mkdir()
        self.certificate, key = self_signed("mx.example.net", self.folder)
        self.server = server_context(self.certificate, key)

    def doubt(self, tls: RelayTls, host: str) -> str:
        """What is doubtful about a server that has our certificate."""
        peer = tls.towards(host)
        client = peer.clientConnectionForTLS(None)  # type: ignore[arg-type]
        server = self.server.serverConnectionForTLS(None)  # type: ignore[arg-type]
        shake_hands(client, server)
        self.assertEqual(client.get_protocol_version_name(), "TLSv1.3")
        self.name = server.get_servername()
        return peer.doubt()

    def test_trusted(self) -> None:
        """A certificate that leads to a trusted one and names the host is beyond doubt."""
        self.assertEqual(self.doubt(RelayTls(self.certificate), "mx.example.net"), "")
        self.assertEqual(self.name, b"mx.example.net")

    def test_another_name(self) -> None:
        """A trusted certificate of another host."""
        self.assertEqual(self.doubt(RelayTls(self.certificate), "mx.example.org"), "it is not for mx.example.org")

    def test_address(self) -> None:
        """An address isn't sent as a name, and must stand in the certificate as an address."""
        self.assertEqual(self.doubt(RelayTls(self.certificate), "192.0.2.1"), "it is not for 192.0.2.1")
        self.assertIsNone(self.name)
        self.certificate, key = self_signed("192.0.2.1", self.folder)
        self.server = server_context(self.certificate, key)
        self.assertEqual(self.doubt(RelayTls(self.certificate), "192.0.2.1"), "")

    def test_not_trusted(self) -> None:
        """A self-signed certificate nobody trusts: TLS works, with a doubt."""
        self.assertEqual(self.doubt(RelayTls(), "mx.example.net"), "it is self-signed")

    def test_no_handshake(self) -> None:
        """Before a handshake nothing is verified."""
        self.assertEqual(RelayTls().towards("mx.example.net").doubt(), "there was no handshake")

    def test_ca_file(self) -> None:
        """A CA file that can't be read or holds nothing is named."""
        self.assertIn("/no/such/file", str(self.assertRaises(TlsTrouble, RelayTls, "/no/such/file")))
        empty = Path(self.folder) / "empty.pem"
        empty.write_bytes(b"")
        self.assertIn(str(empty), str(self.assertRaises(TlsTrouble, RelayTls, str(empty))))

    def test_clear_text(self) -> None:
        """There are no facts about TLS in clear text."""
        self.assertIsNone(facts_of(StringTransport()))
