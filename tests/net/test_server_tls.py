"""TLS towards clients: which certificate, which ciphers, whose certificate, and what ties a login to it."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import contextlib
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.server_certificate import self_signed, subjects_of
from smtpgw.net.server_tls import ServerTls, SniFiles, TlsFiles, channel_binding, verified_certificate
from smtpgw.net.tls import TlsTrouble
from tests.clauses import holds
from tests.net.test_server_certificate import certificate_naming
from tests.net.test_tls import shake_hands


def client_connection(*, name=None, version=None, pair=None, ciphers=None):
    """A client that checks nothing."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    if ciphers is not None:
        context.set_cipher_list(ciphers)
    if pair is not None:
        context.use_certificate_chain_file(pair[0])
        context.use_privatekey_file(pair[1])
    connection = SSL.Connection(context, None)
    if name is not None:
        connection.set_tlsext_host_name(name)
    return connection


class TlsCase(SynchronousTestCase):
    """A folder with certificates."""

    def setUp(self):
        self.certificate, self.key = self.pair("mx.example.com")

    def pair(self, name):
        folder = self.mktemp()
        Path(folder).mkdir()
        return self_signed(name, folder)

    def connect(self, files=None, **client):
        """Both ends of a connection."""
        server = ServerTls(files or TlsFiles(self.certificate, self.key)).serverConnectionForTLS(None)
        connection = client_connection(**client)
        shake_hands(connection, server)
        return connection, server


class CipherTests(TlsCase):
    """Nothing old is spoken."""

    @holds("8314", "4.1", "TLS before 1.2 is not spoken.")
    def test_old_versions(self):
        """TLS 1.1 fails."""
        self.assertRaises(SSL.Error, self.connect, version=SSL.TLS1_1_VERSION, ciphers=b"ALL:@SECLEVEL=0")

    def test_ciphers(self):
        """In TLS 1.2 forward secrecy and AEAD, or nothing."""
        for cipher in (b"ECDHE-ECDSA-AES128-GCM-SHA256", b"ECDHE-ECDSA-CHACHA20-POLY1305"):
            connection, _ = self.connect(version=SSL.TLS1_2_VERSION, ciphers=cipher)
            self.assertEqual(connection.get_cipher_name(), cipher.decode())
        for cipher in (b"ECDHE-ECDSA-AES128-SHA256", b"ECDHE-ECDSA-AES256-SHA"):
            self.assertRaises(SSL.Error, self.connect, version=SSL.TLS1_2_VERSION, ciphers=cipher)

    def test_no_renegotiation(self):
        """A client can't begin the handshake again."""
        connection, server = self.connect(version=SSL.TLS1_2_VERSION)
        connection.renegotiate()
        with contextlib.suppress(SSL.WantReadError):
            connection.do_handshake()
        server.bio_write(connection.bio_read(65536))
        with contextlib.suppress(SSL.WantReadError):
            server.recv(10)
        self.assertEqual(server.total_renegotiations(), 0)


class SniTests(TlsCase):
    """The certificate is that of the name that the client asks for."""

    def name(self, asked):
        """What the certificate names."""
        connection, _ = self.connect(self.files, name=asked)
        certificate = connection.get_peer_certificate().to_cryptography()
        return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value

    def setUp(self):
        super().setUp()
        pairs = {name: self.pair(name) for name in ("mx.example.net", "wild.example.net", "xn--bcher-kva.example")}
        self.files = TlsFiles(
            self.certificate,
            self.key,
            sni=(
                SniFiles("MX.example.net", *pairs["mx.example.net"]),
                SniFiles("*.example.net", *pairs["wild.example.net"]),
                SniFiles("b\u00fccher.example", *pairs["xn--bcher-kva.example"]),
            ),
        )

    @holds("8314", "4.4", "The certificate is that of the host name that the client asks for.")
    def test_names(self):
        """The exact name first, then the wildcard for one label, in any case."""
        self.assertEqual(self.name(b"mx.example.net"), "mx.example.net")
        self.assertEqual(self.name(b"Mx.Example.Net"), "mx.example.net")
        self.assertEqual(self.name(b"smtp.example.net"), "wild.example.net")
        self.assertEqual(self.name(b"xn--bcher-kva.example"), "xn--bcher-kva.example")

    def test_unknown(self):
        """Who asks for no name, or for one that we don't have, gets the first."""
        for asked in (None, b"mx.example.org", b"a.b.example.net", b"example.net", b"*.example.net.", b"\xff\xfe"):
            self.assertEqual(self.name(asked), "mx.example.com" if asked != b"*.example.net." else "wild.example.net")

    def test_trouble(self):
        """A pair that can't be used is found at the start."""
        files = TlsFiles(self.certificate, self.key, sni=(SniFiles("a.example", self.certificate, "/no/such/file"),))
        self.assertIn("/no/such/file", str(self.assertRaises(TlsTrouble, ServerTls, files)))


class ClientCertificateTests(TlsCase):
    """Clients are asked for certificates, and none is turned away for its own."""

    def files(self, **more):
        return TlsFiles(self.certificate, self.key, client_ca=self.client_ca, **more)

    def setUp(self):
        super().setUp()
        self.client_ca, key = self.pair("client.example")
        self.good = (self.client_ca, key)

    def test_good(self):
        """One that was certified is verified."""
        for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
            _, server = self.connect(self.files(), pair=self.good, version=version)
            certificate = verified_certificate(server)
            self.assertEqual(subjects_of(certificate), ("client.example",))

    def test_by_twisted(self):
        """Also of a connection that Twisted makes, which keeps something of its own with it."""
        factory = TLSMemoryBIOFactory(ServerTls(self.files()), False, Factory.forProtocol(Protocol))
        protocol, transport = factory.buildProtocol(None), StringTransport()
        protocol.makeConnection(transport)
        connection = client_connection(pair=self.good)
        connection.set_connect_state()
        for _ in range(3):
            with contextlib.suppress(SSL.WantReadError):
                connection.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                protocol.dataReceived(connection.bio_read(65536))
            if transport.value():
                connection.bio_write(transport.value())
                transport.clear()
        self.assertIsNotNone(verified_certificate(protocol.getHandle()))

    def test_behind_sni(self):
        """Also under another name of ours."""
        files = self.files(sni=(SniFiles("mx.example.net", *self.pair("mx.example.net")),))
        _, server = self.connect(files, pair=self.good, name=b"mx.example.net")
        self.assertIsNotNone(verified_certificate(server))

    def test_not_good(self):
        """One of somebody else, or none: the handshake is done, and nobody is verified."""
        for pair in (self.pair("client.example"), None):
            connection, server = self.connect(self.files(), pair=pair)
            self.assertIsNone(verified_certificate(server))
            server.send(b"220 ")
            connection.bio_write(server.bio_read(65536))
            self.assertEqual(connection.recv(10), b"220 ")

    def test_not_asked(self):
        """Without client_ca nobody is, whatever the client would show; nor on a connection of others."""
        _, server = self.connect(pair=self.good)
        self.assertIsNone(verified_certificate(server))
        self.assertIsNone(verified_certificate(SSL.Connection(SSL.Context(SSL.TLS_SERVER_METHOD), None)))

    def test_trouble(self):
        """A file with no certificates in it is named."""
        for path in ("/no/such/file", self.key):
            files = TlsFiles(self.certificate, self.key, client_ca=path)
            self.assertIn(path, str(self.assertRaises(TlsTrouble, ServerTls, files)))


class ChannelBindingTests(TlsCase):
    """Both ends find the same octets."""

    @holds("9266", "2", "tls-exporter is the exporter of the TLS 1.3 connection.")
    def test_exporter(self):
        """Of TLS 1.3 only."""
        connection, server = self.connect(version=SSL.TLS1_3_VERSION)
        ours = channel_binding(server, "tls-exporter")
        self.assertEqual(len(ours), 32)
        self.assertEqual(ours, connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b""))
        _, server = self.connect(version=SSL.TLS1_2_VERSION)
        self.assertIsNone(channel_binding(server, "tls-exporter"))

    @holds("5929", "4", "tls-server-end-point is the hash of the certificate that was shown.")
    def test_end_point(self):
        """Of the certificate in use, also behind SNI."""
        files = TlsFiles(self.certificate, self.key, sni=(SniFiles("mx.example.net", *self.pair("mx.example.net")),))
        for name in (None, b"mx.example.net"):
            connection, server = self.connect(files, name=name)
            shown = connection.get_peer_certificate().to_cryptography()
            self.assertEqual(channel_binding(server, "tls-server-end-point"), shown.fingerprint(hashes.SHA256()))

    def test_nothing(self):
        """Unknown kinds, and no connection."""
        _, server = self.connect()
        self.assertIsNone(channel_binding(server, "tls-unique"))
        self.assertIsNone(channel_binding(None, "tls-exporter"))

    def test_no_hash(self):
        """A certificate whose signature names no hash has no end point."""
        certificate = certificate_naming([])
        # Its key is gone; a connection that only knows the certificate is enough.

        class Shown:
            def get_certificate(self):
                return self

            def to_cryptography(self):
                return certificate

        self.assertIsNone(channel_binding(Shown(), "tls-server-end-point"))


class KeyTests(TlsCase):
    """Kinds of keys."""

    def test_curves(self):
        """A P-384 key is as good as P-256."""
        key = ec.generate_private_key(ec.SECP384R1())
        Path(self.key).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        self.assertRaises(TlsTrouble, ServerTls, TlsFiles(self.certificate, self.key))
