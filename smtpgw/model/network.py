"""IP addresses and networks, and what one client is."""

from collections.abc import Collection
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


@lru_cache(maxsize=4096)
def plain_address(text: str) -> IPv4Address | IPv6Address | None:
    """
    An address; ``None`` for what is none, such as that of a Unix socket.

    An IPv4 address that is written as IPv6 (``::ffff:192.0.2.1``) is the IPv4 one; a scope (``%eth0``) is left out.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def client_key(address: str) -> str | int:
    """What a client is counted by: the address, of IPv6 its /64, which is what one client has at least."""
    if ":" not in address:
        return address
    plain = plain_address(address)
    if isinstance(plain, IPv6Address):
        return int(plain) >> 64
    return address if plain is None else str(plain)


def is_in_networks(address: str, networks: Collection[Network]) -> bool:
    """Whether an address, as text, is in one of the networks. What is no address is in none."""
    if not networks:
        return False
    found = plain_address(address)
    return found is not None and any(found in network for network in networks)
