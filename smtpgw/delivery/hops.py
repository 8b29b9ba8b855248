"""
From the hosts of a domain and their addresses to the hops to try, best first (RFC 5321 section 5.1). Pure.

Decides the order, what must not be tried, and what it means that nothing is left. Knows no name server: see
:mod:`smtpgw.delivery.resolution`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from random import Random

from msgspec import Struct

from smtpgw.model.dns import MxRecord
from smtpgw.model.outcome import Delayed, Failed, Scope
from smtpgw.model.route import Hop

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_LONGEST_SITE = 200
ANY_ADDRESS = "0.0.0.0"  # noqa: S104 - compared with, never bound
"""In ``HopRules.own_addresses``: all of loopback, of both families."""

_LOOPBACK_4, _LOOPBACK_6 = IPv4Address("127.0.0.1"), IPv6Address("::1")
_UNSPECIFIED_4, _UNSPECIFIED_6 = IPv4Address(ANY_ADDRESS), IPv6Address("::")
_REACHED: dict[Address, Address] = {_UNSPECIFIED_4: _LOOPBACK_4, _UNSPECIFIED_6: _LOOPBACK_6}
"""Where connecting to an unspecified address leads."""


class HopRules(Struct, frozen=True):
    """
    What must not be tried, and how much is.

    :ivar own_names: host names of this gateway, lower case.
    :ivar own_addresses: IP addresses and ports that this gateway listens on, as text, IPv6 compressed. A listener on
        all addresses is to be given as the machine's addresses, and ``ANY_ADDRESS`` for the whole of loopback.
    :ivar forbidden_networks: where no MX host may be: mail for strangers' domains must not reach what only we can.
    :ivar max_hosts: hosts whose addresses are asked for.
    :ivar max_hops_per_host: so that one host with many addresses doesn't take the place of all others.
    """

    own_names: frozenset[str] = frozenset()
    own_addresses: frozenset[tuple[str, int]] = frozenset()
    forbidden_networks: tuple[Network, ...] = ()
    max_hosts: int = 10
    max_hops_per_host: int = 10
    max_hops: int = 30


class Hops(Struct, frozen=True):
    """
    Where to connect for a domain.

    :ivar hops: at least one, best first.
    :ivar site: name of the site: the MX hosts in order of name, joined by commas and shortened with a hash when long;
        ``host:port`` of a smarthost; the domain or literal when it has no MX records. Independent of preference, of
        the addresses, and of what couldn't be looked up.
    :ivar expires_at: Unix time until which it may be used.
    :ivar authenticated: the MX records and all addresses come authenticated by DNSSEC.
    """

    hops: tuple[Hop, ...]
    site: str
    expires_at: float
    authenticated: bool = False


class HostAddresses(Struct, frozen=True):
    """
    What the name server said about one host.

    :ivar addresses: as text, in any order; empty when it has none, or they couldn't be asked for.
    :ivar trouble: why they, or some of them, couldn't be asked for; empty when all is known.
    """

    preference: int
    host: str
    addresses: tuple[str, ...]
    trouble: str = ""


def parse_address(text: str) -> Address | None:
    """An IP address, an IPv4-mapped one as IPv4; ``None`` when it is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def is_forbidden(address: Address, networks: Iterable[Network]) -> bool:
    """
    Whether it lies in one of the networks.

    ``0.0.0.0`` and ``::`` are judged as each other and as loopback, too: connecting to them reaches this machine.
    """
    if not address.is_unspecified:
        return any(address in network for network in networks)
    return any(
        network.is_loopback or any(other in network for pair in _REACHED.items() for other in pair)
        for network in networks
    )


def is_ours(address: Address, port: int, rules: HopRules) -> bool:
    """Whether connecting there reaches a listener of this gateway."""
    own = rules.own_addresses
    if not own:
        return False
    reached = _REACHED.get(address, address)
    return (str(reached), port) in own or (reached.is_loopback and (ANY_ADDRESS, port) in own)


def shuffled_hosts(records: Iterable[MxRecord], random: Random) -> list[MxRecord]:
    """By preference; equal ones in random order, which is asked of us (RFC 5321 section 5.1). Each host once."""
    best: dict[str, int] = {}
    for record in records:
        best[record.host] = min(record.preference, best.get(record.host, record.preference))
    hosts = sorted(MxRecord(preference, host) for host, preference in best.items())
    random.shuffle(hosts)
    hosts.sort(key=lambda record: record.preference)
    return hosts


def without_us(hosts: Sequence[MxRecord], rules: HopRules) -> list[MxRecord]:
    """The hosts that are better than the first that bears a name of ours (RFC 5321 section 5.1)."""
    ours = [record.preference for record in hosts if record.host in rules.own_names]
    return [record for record in hosts if record.preference < min(ours)] if ours else list(hosts)


def mixed_addresses(texts: Iterable[str], random: Random) -> list[Address]:
    """A host's addresses in random order, the families in turn; which comes first is random, too. Each address once."""
    families: dict[int, list[Address]] = {4: [], 6: []}
    for address in {address: None for address in map(parse_address, texts) if address is not None}:
        families[address.version].append(address)
    first, second = families[4], families[6]
    for family in (first, second):
        family.sort()
        random.shuffle(family)
    if random.getrandbits(1):
        first, second = second, first
    shorter = min(len(first), len(second))
    mixed = [address for pair in zip(first, second, strict=False) for address in pair]
    return mixed + first[shorter:] + second[shorter:]


def site_name(hosts: Iterable[str]) -> str:
    """See :class:`Hops`."""
    names = sorted(set(hosts))
    joined = ",".join(names)
    if len(joined) <= _LONGEST_SITE:
        return joined
    digest = sha256(joined.encode()).hexdigest()[:16]
    return f"{names[0][:_LONGEST_SITE]},+{len(names) - 1}#{digest}"


def order_hops(
    hosts: Sequence[HostAddresses], port: int, rules: HopRules, random: Random
) -> tuple[Hop, ...] | Delayed | Failed:
    """
    The hops to try, or what it means that there are none.

    :param hosts: best first, those with a name of ours already left out.
    """
    hops: dict[Address, Hop] = {}
    trouble = ""
    dropped_forbidden = False
    worst = _preference_of_us(hosts, port, rules)
    for host in hosts:
        if worst is not None and host.preference >= worst:
            continue
        usable = []
        for address in mixed_addresses(host.addresses, random):
            if is_forbidden(address, rules.forbidden_networks):
                dropped_forbidden = True
            elif address not in hops:
                usable.append(address)
        trouble = trouble or ("" if usable else host.trouble)
        for address in usable[: rules.max_hops_per_host]:
            hops[address] = Hop(host.host, str(address), port)
    if hops:
        return tuple(hops.values())[: rules.max_hops]
    if trouble:
        return names_delayed(trouble)
    if worst is not None:
        return looping()
    if dropped_forbidden:
        return Failed(
            "5.4.4", "every address of its mail hosts lies in a network that mail may not be sent to", Scope.HOST
        )
    return Failed("5.4.4", "none of its mail hosts has an address", Scope.HOST)


def _preference_of_us(hosts: Iterable[HostAddresses], port: int, rules: HopRules) -> int | None:
    """The best preference under which an address of ours is found."""
    if not rules.own_addresses:
        return None
    ours = (
        host.preference
        for host in hosts
        if any(is_ours(address, port, rules) for address in map(parse_address, host.addresses) if address is not None)
    )
    return min(ours, default=None)


def names_delayed(trouble: str) -> Delayed:
    """The name server can't say now."""
    return Delayed("4.4.3", f"the name server could not be asked: {trouble}", Scope.HOST)


def looping() -> Failed:
    """The best host that is left is this one, and it has no route for the domain."""
    return Failed("5.4.6", "its best mail host is this one, which does not take its mail: a routing loop", Scope.HOST)
