"""Addresses of clients: read once, mapped ones made plain, and the network that a client is known by."""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from smtpgw.model.network import client_key


@lru_cache(maxsize=4096)
def plain_address(text: str) -> IPv4Address | IPv6Address | None:
    """
    The address of a client; ``None`` for what is none, a Unix socket among them.

    An IPv4 address that is written as IPv6 (``::ffff:192.0.2.1``) is the IPv4 one; a scope (``%eth0``) is left out.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def counted_by(text: str) -> str | int:
    """As :func:`~smtpgw.model.network.client_key`, but mapped addresses are not all one client."""
    if ":" not in text:
        return text
    return client_key(str(plain_address(text) or text))


def client_network(text: str) -> str:
    """The network that hosts of one owner share, as text: an IPv4 /24, an IPv6 /64; empty where there is no address."""
    address = plain_address(text)
    if address is None:
        return ""
    if isinstance(address, IPv4Address):
        return f"{IPv4Address(int(address) & ~0xFF)}/24"
    return f"{IPv6Address(int(address) >> 64 << 64)}/64"


def reversed_labels(address: IPv4Address | IPv6Address) -> str:
    """Its octets or nibbles, the last first, as they stand before a zone (RFC 5782 sections 2.1 and 2.4)."""
    return address.reverse_pointer.removesuffix(".in-addr.arpa").removesuffix(".ip6.arpa")
