"""Certificates and keys are read once, with clear words when they can't be."""

import contextlib
import datetime as dt
from pathlib import Path
from unittest import skipIf

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from OpenSSL import SSL
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.tls import RelayTls, TlsTrouble, facts_of, self_signed, server_context


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


class ServerContextTests(SynchronousTestCase):
    """Our own certificate."""

    def setUp(self) -> None:
        self.folder = self.mktemp()
        Path(self.folder).mkdir()
        self.certificate, self.key = self_signed("mx.example.com", self.folder)

    def trouble(self, certificate: str, key: str, minimum: str = "1.2") -> str:
        """The words about what can't be used."""
        text = str(self.assertRaises(TlsTrouble, server_context, certificate, key, minimum))
        self.assertNotIn("\n", text)
        return text

    def write(self, content: bytes) -> str:
        """A file with some content."""
        path = Path(self.folder) / "other.pem"
        path.write_bytes(content)
        return str(path)

    def test_missing(self) -> None:
        """A file that isn't there is named."""
        self.assertEqual(self.trouble("/no/such/file", self.key), "/no/such/file: No such file or directory")
        self.assertEqual(self.trouble(self.certificate, "/no/such/file"), "/no/such/file: No such file or directory")
        self.assertIn("Is a directory", self.trouble(self.folder, self.key))

    def test_garbage(self) -> None:
        """A file that holds something else is named."""
        for content in [b"", b"hello", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]:
            other = self.write(content)
            self.assertEqual(self.trouble(other, self.key), f"{other}: no certificate in PEM form")
            self.assertEqual(self.trouble(self.certificate, other), f"{other}: no private key in PEM form")

    def test_swapped(self) -> None:
        """The key in place of the certificate."""
        self.assertIn("no certificate", self.trouble(self.key, self.key))
        self.assertIn("no private key", self.trouble(self.certificate, self.certificate))

    def test_mismatch(self) -> None:
        """A key of another certificate, of the same kind and of another one."""
        keys: list[PrivateKeyTypes] = [ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()]
        for key in keys:
            other = self.write(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            )
            self.assertEqual(
                self.trouble(self.certificate, other), f"{other}: not the key of the certificate in {self.certificate}"
            )

    def test_encrypted(self) -> None:
        """An encrypted key is refused at once; nobody is asked for its passphrase."""
        other = self.write(
            ec.generate_private_key(ec.SECP256R1()).private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"secret"),
            )
        )
        self.assertIn("the key is encrypted", self.trouble(self.certificate, other))

    def test_minimum(self) -> None:
        """Versions that aren't safe are no minimum."""
        for minimum in ["1.0", "1.1", "ssl3", ""]:
            self.assertIn("1.2 or 1.3", self.trouble(self.certificate, self.key, minimum))

    def test_minimum_holds(self) -> None:
        """With a minimum of 1.3 a client that only knows 1.2 gets no connection."""
        server = server_context(self.certificate, self.key, "1.3").serverConnectionForTLS(None)  # type: ignore[arg-type]
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        self.assertRaises(SSL.Error, shake_hands, SSL.Connection(context, None), server)

    @skipIf(not hasattr(Path, "chmod"), "no file modes")
    def test_key_is_private(self) -> None:
        """The key that we make is for us alone."""
        self.assertEqual(Path(self.key).stat().st_mode & 0o077, 0)

    def test_self_signed(self) -> None:
        """Names and addresses stand where clients look for them."""
        for name in ["mx.example.com", "127.0.0.1"]:
            path, _ = self_signed(name, self.folder)
            certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
            names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            self.assertEqual([str(one.value) for one in names], [name])
            self.assertGreater(certificate.not_valid_after_utc, dt.datetime(2045, 1, 1, tzinfo=dt.UTC))


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
