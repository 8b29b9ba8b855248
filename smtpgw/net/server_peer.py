"""What a transport tells about the peer."""

from ipaddress import AddressValueError, IPv6Address
from typing import Any

from smtpgw.model.envelope import TlsFacts


def peer_address(transport: Any) -> str:
    """
    The peer's IP address.

    An IPv4 address that came through an IPv6 socket is given as IPv4. Empty where there is none: a Unix socket.
    """
    host = getattr(transport.getPeer(), "host", None)
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


def tls_facts(transport: Any) -> TlsFacts:
    """Of a transport whose handshake is done. Client certificates are not asked for, so nothing is verified."""
    connection = transport.getHandle()
    return TlsFacts(connection.get_protocol_version_name(), connection.get_cipher_name() or "")
