"""
Asks for the hosts of a domain (RFC 5321 section 5.1, RFC 7505) and their addresses.

What the answers mean stands here, the order of hops in :mod:`smtpgw.delivery.hops`. Known: a CNAME in the place of an
MX host is followed, as everybody does, though RFC 2181 section 10.3 forbids it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence
from ipaddress import IPv6Address
from random import Random
from typing import Protocol, TypeVar, assert_never

import idna
from msgspec import structs

from smtpgw.boundaries.world import Resolver
from smtpgw.delivery.hops import (
    HopRules,
    Hops,
    HostAddresses,
    is_ours,
    looping,
    names_delayed,
    order_hops,
    parse_address,
    shuffled_hosts,
    site_name,
    without_us,
)
from smtpgw.model.dns import Answer, AnswerStatus, MxRecord, RecordType
from smtpgw.model.outcome import Delayed, Failed, Scope
from smtpgw.model.route import Hop, ViaHost, ViaMx

__all__ = ["Gather", "HopRules", "Hops", "find_hops", "in_turn", "to_a_labels"]

T = TypeVar("T")

_FOREVER = float("inf")

_PARTIAL_SECONDS = 60.0
"""How long hops are used though some host could not be looked up: it may be the best one."""

_LONGEST_DOMAIN = 255

_LOOPBACK = ("127.0.0.1", "::1")

_IPV6_LITERAL = re.compile(r"ipv6:", re.IGNORECASE)


class Gather(Protocol):
    """Waits for all, at the same time or in turn; results in order."""

    async def __call__(self, awaitables: Sequence[Awaitable[T]], /) -> list[T]:
        """What the first one that fails raises is raised."""


async def in_turn(awaitables: Sequence[Awaitable[T]]) -> list[T]:
    """One after the other: right wherever nothing waits, as in tests."""
    return [await awaitable for awaitable in awaitables]


async def find_hops(
    via: ViaMx | ViaHost, domain: str, resolver: Resolver, rules: HopRules, random: Random, gather: Gather = in_turn
) -> Hops | Delayed | Failed:
    """
    The addresses to try for a domain, or why there are none.

    A smarthost is the operator's own choice: it may be anywhere but here, and its trouble is never final, unless it is
    this gateway: that is a routing loop.

    :param domain: as in a recipient, lower case; not looked at for ``ViaHost``.
    :param gather: how the addresses of several hosts are asked for.
    """
    match via:
        case ViaHost():
            return await _smarthost_hops(via, resolver, rules, random, gather)
        case ViaMx():
            if domain.startswith("["):
                return _literal_hops(domain, via.port, rules, random)
            ascii_domain = to_a_labels(domain)
            if ascii_domain is None:
                return Failed("5.1.2", "not a domain name", Scope.HOST)
            return await _mx_hops(ascii_domain, via.port, resolver, rules, random, gather)
        case _:
            assert_never(via)


def to_a_labels(domain: str) -> str | None:
    """The domain as the name server knows it (RFC 5891, UTS 46); ``None`` when it can't be one."""
    if not 0 < len(domain) <= _LONGEST_DOMAIN:
        return None
    if domain.isascii():
        return domain.lower()
    try:
        return idna.encode(domain, uts46=True).decode("ascii").lower()
    except UnicodeError:
        return None


# --- MX ---


async def _mx_hops(
    domain: str, port: int, resolver: Resolver, rules: HopRules, random: Random, gather: Gather
) -> Hops | Delayed | Failed:
    answer = await resolver.lookup(domain, RecordType.MX)
    match answer.status:
        case AnswerStatus.TEMPORARY:
            return names_delayed(answer.detail)
        case AnswerStatus.NO_NAME:
            return Failed("5.1.2", "the domain does not exist", Scope.HOST)
        case AnswerStatus.NO_DATA:
            # The domain is its own host, as if it had one MX record with preference 0.
            records = [MxRecord(0, domain)]
        case AnswerStatus.FOUND:
            mx_records = [record for record in answer.records if isinstance(record, MxRecord)]
            records = [record for record in mx_records if record.host]
            if mx_records and not records:
                return Failed("5.1.10", "the domain takes no mail: it has a null MX record (RFC 7505)", Scope.HOST)
            if not records:
                return Failed("5.4.4", "no MX record of the domain holds the name of a host", Scope.HOST)
        case _:
            assert_never(answer.status)
    hosts = without_us(shuffled_hosts(records, random), rules)[: rules.max_hosts]
    if not hosts:
        return looping()
    return await _hops_of(
        hosts, site_name(record.host for record in hosts), port, answer, resolver, rules, random, gather
    )


async def _hops_of(
    hosts: Sequence[MxRecord],
    site: str,
    port: int,
    mx_answer: Answer,
    resolver: Resolver,
    rules: HopRules,
    random: Random,
    gather: Gather,
) -> Hops | Delayed | Failed:
    names = [record.host for record in hosts]
    answers = await _address_answers(names, resolver, gather)
    found = [_host_addresses(record, answers[record.host]) for record in hosts]
    hops = order_hops(found, port, rules, random)
    if not isinstance(hops, tuple):
        return hops
    used = {hop.host for hop in hops}
    relevant = [answer for name in names for answer in answers[name] if name in used or not _is_known(answer)]
    return Hops(hops, site, _expiry([mx_answer, *relevant]), _authenticated([mx_answer, *relevant]))


async def _address_answers(
    names: Sequence[str], resolver: Resolver, gather: Gather
) -> dict[str, tuple[Answer, Answer]]:
    """The A and AAAA answers of each host."""
    lookups = [resolver.lookup(name, record_type) for name in names for record_type in (RecordType.A, RecordType.AAAA)]
    answers = await gather(lookups)
    return {name: (answers[2 * index], answers[2 * index + 1]) for index, name in enumerate(names)}


def _is_known(answer: Answer) -> bool:
    return answer.status is not AnswerStatus.TEMPORARY


def _host_addresses(record: MxRecord, answers: tuple[Answer, Answer]) -> HostAddresses:
    addresses = tuple(address for answer in answers for address in answer.records if isinstance(address, str))
    # A name that does not exist has no address of the other family either, whatever became of that question.
    is_absent = any(answer.status is AnswerStatus.NO_NAME for answer in answers)
    troubles = [answer.detail or "no answer" for answer in answers if not _is_known(answer)]
    trouble = troubles[0] if troubles and not is_absent else ""
    return HostAddresses(record.preference, record.host, addresses, trouble)


def _expiry(answers: Sequence[Answer]) -> float:
    return min(answer.expires_at + (0.0 if _is_known(answer) else _PARTIAL_SECONDS) for answer in answers)


def _authenticated(answers: Sequence[Answer]) -> bool:
    return all(answer.authenticated for answer in answers)


# --- A smarthost, an address literal ---


async def _smarthost_hops(
    via: ViaHost, resolver: Resolver, rules: HopRules, random: Random, gather: Gather
) -> Hops | Delayed | Failed:
    site = f"[{via.host}]:{via.port}" if ":" in via.host else f"{via.host}:{via.port}"
    if parse_address(via.host) is not None:
        return _whole(_one_host_hops(HostAddresses(0, via.host, (via.host,)), via.port, rules, random), site)
    name = to_a_labels(via.host)
    if name is None:
        return Delayed("4.4.4", f"the smarthost {via.host!r} is not a host name", Scope.HOST)
    if f".{name.removesuffix('.')}".endswith(".localhost"):
        # This machine, whatever a name server would say (RFC 6761 section 6.3).
        return _whole(_one_host_hops(HostAddresses(0, name, _LOOPBACK), via.port, rules, random), site)
    answers = (await _address_answers([name], resolver, gather))[name]
    hops = _one_host_hops(_host_addresses(MxRecord(0, name), answers), via.port, rules, random)
    match hops:
        case Delayed() | Failed(status="5.4.6"):
            return hops
        case Failed():
            # The fault is in the configuration or in the operator's own zone: not a reason to return anybody's mail.
            return Delayed("4.4.4", f"the smarthost {via.host} has no address", Scope.HOST)
        case _:
            return Hops(hops, site, _expiry(answers), _authenticated(answers))


def _one_host_hops(
    host: HostAddresses, port: int, rules: HopRules, random: Random
) -> tuple[Hop, ...] | Delayed | Failed:
    """Those of a smarthost: of the rules only that it must not be us counts."""
    addresses = [parse_address(text) for text in host.addresses]
    others = tuple(str(found) for found in addresses if found is not None and not is_ours(found, port, rules))
    if addresses and not others and not host.trouble:
        return Failed(
            "5.4.6",
            f"the next hop {host.host} port {port} is this gateway itself: a routing loop; "
            "the route or domain that names it must name another host",
            Scope.HOST,
        )
    return order_hops([structs.replace(host, addresses=others)], port, HopRules(), random)


def _literal_hops(domain: str, port: int, rules: HopRules, random: Random) -> Hops | Delayed | Failed:
    text = domain[1:].removesuffix("]")
    is_ipv6 = _IPV6_LITERAL.match(text) is not None
    if is_ipv6:
        text = text[5:]
    address = parse_address(text)
    # A zone index names an interface of ours, which is not for strangers to choose.
    if address is None or is_ipv6 is not (":" in text) or "%" in text or not domain.endswith("]"):
        return Failed("5.1.2", "not an address literal", Scope.HOST)
    if isinstance(address, IPv6Address):
        domain = f"[IPv6:{address}]"
    return _whole(order_hops([HostAddresses(0, domain, (text,))], port, rules, random), domain)


def _whole(hops: tuple[Hop, ...] | Delayed | Failed, site: str) -> Hops | Delayed | Failed:
    return Hops(hops, site, _FOREVER) if isinstance(hops, tuple) else hops
