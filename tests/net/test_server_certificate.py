"""Certificates and keys are read with clear words when they can't be, and say whom they name."""

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from unittest import skipIf

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.server_certificate import self_signed, subjects_of
from smtpgw.net.server_tls import server_context
from smtpgw.net.tls import TlsTrouble
from tests.net.test_tls import shake_hands


def certificate_naming(names: Sequence[x509.GeneralName], common: str = "cn.example") -> x509.Certificate:
    """One with an Ed25519 key that names these, and this as its common name."""
    key = ed25519.Ed25519PrivateKey.generate()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, None)


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


class SubjectTests(SynchronousTestCase):
    """Whom a certificate names."""

    def test_order(self) -> None:
        """Mail addresses, DNS names, common name, each once."""
        names = [x509.DNSName("a.example"), x509.RFC822Name("a@example.com"), x509.DNSName("cn.example")]
        self.assertEqual(subjects_of(certificate_naming(names)), ("a@example.com", "a.example", "cn.example"))
        self.assertEqual(subjects_of(certificate_naming([])), ("cn.example",))

    def test_hostile(self) -> None:
        """Line ends, endless names and endless lists do not get through."""
        names = [x509.DNSName("a\r\nb"), x509.DNSName("x" * 400), *(x509.DNSName(f"{n}.example") for n in range(100))]
        found = subjects_of(certificate_naming(names))
        self.assertEqual((len(found), found[0]), (32, "0.example"))
