"""
TLS towards clients: our certificates, chosen by the name that the client asks for, and its own certificate.

Known to be bad: pyOpenSSL has no public way to order the groups of the key exchange; where its own way is not there
either, the order is OpenSSL's.
"""

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from msgspec import Struct
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from smtpgw.model.domains import canonical_domain
from smtpgw.net.server_certificate import use_client_ca, use_pair
from smtpgw.net.tls import TlsTrouble

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

_CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and AEAD, nothing else. Those of TLS 1.3 are all of that kind."""

_GROUPS = (b"?X25519MLKEM768/P-256:X25519:P-384", b"P-256:X25519:P-384")
"""
The first list that OpenSSL understands. What resists quantum computers first, where both sides have it; of the
others P-256, which is the fastest for us. A client that sends a share for another one of them gets that one.
"""

_OPTIONS = (
    SSL.OP_CIPHER_SERVER_PREFERENCE | SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | getattr(SSL, "OP_NO_RENEGOTIATION", 0)
)
"""Without tickets and cache nothing is resumed: no key lives longer than its connection. Mail clients hardly resume."""

_CONTEXT_ID = b"smtpgw"

_TLS_EXPORTER = "tls-exporter"
_END_POINT = "tls-server-end-point"


class SniFiles(Struct, frozen=True):
    """
    Another certificate, for clients that ask for a name.

    :ivar name: a host name, or ``*.`` and a domain for the names with one label more.
    """

    name: str
    certificate: str
    key: str


class TlsFiles(Struct, frozen=True):
    """
    All that a listener's TLS is made from; paths of PEM files.

    :ivar certificate: ours, then those that lead to its authority.
    :ivar key: not encrypted.
    :ivar minimum: the lowest version of TLS, ``1.2`` or ``1.3``.
    :ivar client_ca: who may certify clients; ``None``: they are not asked for certificates.
    :ivar sni: the first of two with one name counts.
    """

    certificate: str
    key: str
    minimum: str = "1.2"
    client_ca: str | None = None
    sni: tuple[SniFiles, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        """Each once, in a fixed order."""
        found = [self.certificate, self.key, *(() if self.client_ca is None else (self.client_ca,))]
        for other in self.sni:
            found += (other.certificate, other.key)
        return tuple(dict.fromkeys(found))


class _Doubts:
    """About the certificate of one client. :ivar found: something is wrong with it."""

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found = False


# Not the connection's own place for such things: newer Twisted puts its protocol there, over whatever it finds.
_doubts: WeakKeyDictionary[SSL.Connection, _Doubts] = WeakKeyDictionary()


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Our certificates as they were read, for ``startTLS`` and for TLS endpoints."""

    def __init__(self, files: TlsFiles) -> None:
        """:raises TlsTrouble: a file can't be read or used, or the minimum is no version that is safe."""
        if files.minimum not in _VERSIONS:
            raise TlsTrouble(f"TLS {files.minimum} can't be the minimum: {' or '.join(_VERSIONS)}")
        self._asks_clients = files.client_ca is not None
        self._context = _context(files, files.certificate, files.key)
        self._named: dict[bytes, SSL.Context] = {}
        for other in files.sni:
            name = canonical_domain(other.name).encode("ascii", "replace")
            self._named.setdefault(name, _context(files, other.certificate, other.key))
        if self._named:
            self._context.set_tlsext_servername_callback(self._choose)

    def serverConnectionForTLS(self, _protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802 (Twisted's)
        """A connection of its own."""
        connection = SSL.Connection(self._context, None)
        if self._asks_clients:
            _doubts[connection] = _Doubts()
        return connection

    def _choose(self, connection: SSL.Connection) -> None:
        """OpenSSL's question in each handshake. Who asks for a name that is not ours gets the first certificate."""
        name = connection.get_servername()
        if name is None:
            return
        name = name.lower().removesuffix(b".")
        context = self._named.get(name) or self._named.get(b"*." + name.partition(b".")[2])
        if context is not None:
            connection.set_context(context)


def server_context(certificate_path: str, key_path: str, minimum: str = "1.2") -> ServerTls:
    """
    One certificate for all, read once.

    :raises TlsTrouble: like :class:`ServerTls`.
    """
    return ServerTls(TlsFiles(certificate_path, key_path, minimum))


def verified_certificate(connection: SSL.Connection) -> x509.Certificate | None:
    """
    The client's, when it has shown one and nothing was wrong with it; after the handshake.

    Only of connections that were made here: what others have checked is not known.
    """
    doubts = _doubts.get(connection)
    if doubts is None or doubts.found:
        return None
    certificate = connection.get_peer_certificate()
    return None if certificate is None else certificate.to_cryptography()


def channel_binding(connection: SSL.Connection | None, kind: str) -> bytes | None:
    """
    What ties a login to its connection; see :data:`smtpgw.boundaries.auth.ChannelBinding`.

    ``tls-exporter`` (RFC 9266) is given for TLS 1.3 only: in 1.2 it would need an extension of whose use OpenSSL does
    not tell us here. ``tls-server-end-point`` (RFC 5929 section 4) is not defined for keys whose signature names no
    hash (Ed25519).
    """
    if connection is None:
        return None
    if kind == _TLS_EXPORTER and connection.get_protocol_version_name() == "TLSv1.3":
        return connection.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    if kind == _END_POINT:
        ours = connection.get_certificate()
        certificate = None if ours is None else ours.to_cryptography()
        algorithm = None if certificate is None else certificate.signature_hash_algorithm
        if certificate is None or algorithm is None:
            return None
        weak = isinstance(algorithm, hashes.MD5 | hashes.SHA1)
        return certificate.fingerprint(hashes.SHA256() if weak else algorithm)
    return None


def _context(files: TlsFiles, certificate: str, key: str) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[files.minimum])
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_options(_OPTIONS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_cipher_list(_CIPHERS)
    _order_groups(context, _GROUPS)
    use_pair(context, certificate, key)
    if files.client_ca is not None:
        # The one in force is asked for its store when the certificate comes, so each has to have it.
        use_client_ca(context, files.client_ca)
        context.set_session_id(_CONTEXT_ID)
        context.set_verify(SSL.VERIFY_PEER, _record)
    return context


def _record(connection: SSL.Connection, _certificate: Any, _error: int, _depth: int, ok: int) -> bool:
    """OpenSSL's question about each certificate of a client. Never refuses: a bad one is as good as none."""
    doubts = _doubts.get(connection)
    if not ok and doubts is not None:
        doubts.found = True
    return True


def _order_groups(context: SSL.Context, lists: Sequence[bytes]) -> bool:
    """Whether one of them was taken."""
    library: Any = getattr(SSL, "_lib", None)
    order = getattr(library, "SSL_CTX_set1_curves_list", None)
    if order is None:
        return False
    for groups in lists:
        if order(context._context, groups) == 1:
            return True
        # Or the next call to OpenSSL would be blamed for it.
        library.ERR_clear_error()
    return False
