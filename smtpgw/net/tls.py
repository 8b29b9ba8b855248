"""
TLS towards next hops, and what is known of a connection. That towards clients stands in :mod:`smtpgw.net.server_tls`.

One context serves all connections: reading the CA store costs milliseconds, a connection 20 µs. It
checks every certificate and refuses none; what it found is looked at after the handshake, by whoever needs a verified
peer. So the same handshake serves opportunistic and verified TLS.
"""

import ipaddress
from pathlib import Path
from typing import cast

from cryptography import x509
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    ISSLTransport,
    ISystemHandle,
    ITransport,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from smtpgw.model.envelope import TlsFacts

_CHAIN_TROUBLES = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is not trusted",
    20: "its issuer is not known",
    21: "its chain is incomplete",
    24: "its issuer is no certification authority",
    26: "it is not for servers",
}
"""Numbers of OpenSSL (X509_V_ERR_...)."""


class TlsTrouble(Exception):
    """A certificate, key or CA file that can't be used. The text names the file and is for the operator."""


def facts_of(transport: ITransport, *, verified: bool = False) -> TlsFacts | None:
    """What is known of a connection whose handshake is done; ``None`` in clear text."""
    if not ISSLTransport.providedBy(transport):
        return None
    connection = cast(SSL.Connection, cast(ISystemHandle, transport).getHandle())
    return TlsFacts(connection.get_protocol_version_name(), connection.get_cipher_name() or "", verified)


class RelayTls:
    """
    TLS for all outgoing connections.

    :raises TlsTrouble: the CA file can't be read or holds no certificate.
    """

    def __init__(self, ca_path: str | None = None) -> None:
        """:param ca_path: PEM file with the trusted certification authorities; ``None`` for the system's."""
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        if ca_path is None:
            context.set_default_verify_paths()
        else:
            _read(ca_path)
            try:
                context.load_verify_locations(ca_path)
            except SSL.Error as trouble:
                raise TlsTrouble(f"{ca_path}: no certificates: {openssl_reason(trouble)}") from trouble
        self._context = context

    def towards(self, host: str) -> "Peer":
        """:param host: name or IP address of the next hop, as it should stand in its certificate."""
        return Peer(self._context, host)


@implementer(IOpenSSLClientConnectionCreator)
class Peer:
    """One next hop's end of one connection."""

    __slots__ = ("_chain_trouble", "_connection", "_context", "_host", "_is_address")

    def __init__(self, context: SSL.Context, host: str) -> None:
        self._context = context
        self._host = host
        self._is_address = _is_address(host)
        self._connection: SSL.Connection | None = None
        self._chain_trouble = ""

    def clientConnectionForTLS(self, _protocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """With the host's name in the handshake (SNI), which an address can't be (RFC 6066 section 3)."""
        connection = SSL.Connection(self._context, None)
        connection.set_verify(SSL.VERIFY_PEER, self._record)
        if not self._is_address:
            connection.set_tlsext_host_name(self._host.encode("ascii", "replace"))
        self._connection = connection
        return connection

    def _record(self, _connection: SSL.Connection, _certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
        """OpenSSL's question about each certificate of a chain. Never refuses; the first trouble counts."""
        if not ok and not self._chain_trouble:
            whose = "" if depth == 0 else f" (certificate {depth} of the chain)"
            self._chain_trouble = _CHAIN_TROUBLES.get(error, f"OpenSSL error {error}") + whose
        return True

    def doubt(self) -> str:
        """Once, after the handshake: why the peer isn't who it should be, for people; empty when it is verified."""
        # The connection knows us by its callback: let go of it, so that neither waits for the garbage collector.
        connection, self._connection = self._connection, None
        if connection is None:
            return "there was no handshake"
        if self._chain_trouble:
            return self._chain_trouble
        try:
            if self._is_address:
                verify_ip_address(connection, self._host)
            else:
                verify_hostname(connection, self._host)
        except VerificationError:
            return f"it is not for {self._host}"
        except (
            CertificateError,
            ValueError,
            x509.DuplicateExtension,
            x509.UnsupportedGeneralNameType,
        ):
            return "it can't be read"
        return ""


def openssl_reason(trouble: SSL.Error) -> str:
    """OpenSSL's words for what went wrong, in one line."""
    queue = trouble.args[0] if trouble.args else ()
    if isinstance(queue, list | tuple):
        return "; ".join(str(entry[-1]) for entry in queue if entry) or type(trouble).__name__
    return str(queue)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as trouble:
        raise TlsTrouble(f"{path}: {trouble.strerror or trouble}") from trouble
