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


def client_key(address: str) -> str | int:
    """What connections are counted by: the address, of IPv6 its /64, which is what one client has at least."""
    if ":" not in address:
        return address
    try:
        return int(IPv6Address(address.partition("%")[0])) >> 64
    except AddressValueError:
        return address


def tls_facts(transport: Any) -> TlsFacts:
    """Of a transport whose handshake is done. Client certificates are not asked for, so nothing is verified."""
    connection = transport.getHandle()
    return TlsFacts(connection.get_protocol_version_name(), connection.get_cipher_name() or "")
