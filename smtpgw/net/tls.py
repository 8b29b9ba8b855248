"""
TLS, on both sides: contexts that are made once, and what is known of a connection.

Towards next hops one context serves all connections: reading the CA store costs milliseconds, a connection 20 µs. It
checks every certificate and refuses none; what it found is looked at after the handshake, by whoever needs a verified
peer. So the same handshake serves opportunistic and verified TLS.
"""

import datetime as dt
import ipaddress
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    ISSLTransport,
    ISystemHandle,
    ITransport,
)
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from smtpgw.model.envelope import TlsFacts

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

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


# --- Towards next hops ---


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


# --- Towards clients ---


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Our own certificate, for ``startTLS`` and for TLS endpoints."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, _protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802 (Twisted's)
        """A connection of its own."""
        return SSL.Connection(self._context, None)


def server_context(certificate_path: str, key_path: str, minimum: str = "1.2") -> ServerTls:
    """
    Read our certificate and key, once.

    :param certificate_path: PEM: our certificate, then those that lead to its authority.
    :param key_path: PEM, not encrypted.
    :param minimum: the lowest version of TLS, ``1.2`` or ``1.3``.
    :raises TlsTrouble: a file can't be read, isn't what it should be, or they don't belong together.
    """
    if minimum not in _VERSIONS:
        raise TlsTrouble(f"TLS {minimum} can't be the minimum: {' or '.join(_VERSIONS)}")
    _check_pair(certificate_path, key_path)
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(_VERSIONS[minimum])
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.use_certificate_chain_file(certificate_path)
    except SSL.Error as trouble:
        raise TlsTrouble(f"{certificate_path}: not usable: {openssl_reason(trouble)}") from trouble
    try:
        context.use_privatekey_file(key_path)
        context.check_privatekey()
    except SSL.Error as trouble:
        raise TlsTrouble(f"{key_path}: not usable: {openssl_reason(trouble)}") from trouble
    return ServerTls(context)


def _check_pair(certificate_path: str, key_path: str) -> None:
    """Before OpenSSL sees the files: its words are hard to understand, and it would ask for a passphrase."""
    try:
        certificates = x509.load_pem_x509_certificates(_read(certificate_path))
        certified = certificates[0].public_key()
    except (ValueError, UnsupportedAlgorithm) as trouble:
        raise TlsTrouble(f"{certificate_path}: no certificate in PEM form") from trouble
    try:
        key = serialization.load_pem_private_key(_read(key_path), None)
    except TypeError as trouble:
        raise TlsTrouble(f"{key_path}: the key is encrypted, and nobody is there to be asked") from trouble
    except (ValueError, UnsupportedAlgorithm) as trouble:
        raise TlsTrouble(f"{key_path}: no private key in PEM form") from trouble
    if _public_octets(certified) != _public_octets(key.public_key()):
        raise TlsTrouble(f"{key_path}: not the key of the certificate in {certificate_path}")


def _public_octets(key: object) -> bytes:
    encode = getattr(key, "public_bytes", None)
    if encode is None:
        return b""
    octets: bytes = encode(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return octets


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as trouble:
        raise TlsTrouble(f"{path}: {trouble.strerror or trouble}") from trouble


def self_signed(hostname: str, directory: str) -> tuple[str, str]:
    """
    A certificate with a P-256 key for tests and the demo, written to ``certificate.pem`` and ``key.pem``.

    It is valid from 2020 to the end of 2049, so that it needs no clock.

    :param hostname: name or IP address to stand in it.
    :returns: the paths of certificate and key.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname[:64])])
    alternative: x509.GeneralName = (
        x509.IPAddress(ipaddress.ip_address(hostname)) if _is_address(hostname) else x509.DNSName(hostname)
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2020, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2049, 12, 31, tzinfo=dt.UTC))
        .add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path = Path(directory) / "certificate.pem"
    key_path = Path(directory) / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.touch(mode=0o600)
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(certificate_path), str(key_path)
