"""IP networks, and what one client is."""

from collections.abc import Collection
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_key(address: str) -> str | int:
    """What a client is counted by: the address, of IPv6 its /64, which is what one client has at least."""
    if ":" not in address:
        return address
    try:
        return int(IPv6Address(address.partition("%")[0])) >> 64
    except AddressValueError:
        return address


def is_in_networks(address: str, networks: Collection[Network]) -> bool:
    """
    Whether an address, as text, is in one of the networks.

    An IPv4 address that is written as IPv6 (``::ffff:192.0.2.1``) is taken for IPv4. What is no address is in none.
    """
    if not networks:
        return False
    found = _parsed(address)
    return found is not None and any(found in network for network in networks)


@lru_cache(maxsize=4096)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found
