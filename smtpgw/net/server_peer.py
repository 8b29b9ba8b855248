"""What a transport tells about the peer."""

from ipaddress import AddressValueError, IPv6Address
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IAddress

from smtpgw.model.envelope import TlsFacts
from smtpgw.net.server_certificate import subjects_of
from smtpgw.net.server_tls import verified_certificate


def peer_address(peer: IAddress) -> str:
    """
    The IP address of a transport's peer.

    An IPv4 address that came through an IPv6 socket is given as IPv4. Empty where there is none: a Unix socket.
    """
    host = getattr(peer, "host", None)
    if not isinstance(host, str):
        return ""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except AddressValueError:
        return host
    mapped = address.ipv4_mapped
    return host if mapped is None else str(mapped)


def peer_port(peer: IAddress) -> int:
    """Its TCP port; 0 where there is none."""
    port = getattr(peer, "port", 0)
    return port if isinstance(port, int) else 0


def tls_facts(transport: Any) -> TlsFacts:
    """Of a transport whose handshake is done."""
    connection = transport.getHandle()
    version, cipher = connection.get_protocol_version_name(), connection.get_cipher_name() or ""
    certificate = verified_certificate(connection) if isinstance(connection, SSL.Connection) else None
    if certificate is None:
        return TlsFacts(version, cipher)
    return TlsFacts(version, cipher, verified=True, subjects=subjects_of(certificate))
