"""
What DNS lists say about a client (RFC 5782): lists of bad ones, and of good ones.

All lists are asked at the same time. An answer counts only in 127.0.0.0/8: a list that has been given up may answer
every question with somebody's web server. The addresses by which a list says that it does not talk to us,
127.255.255.0/24 and 127.0.0.1, are no listing either, but a list that is down.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from msgspec import Struct

from smtpgw.boundaries.deadline import Task, Tasks
from smtpgw.boundaries.world import Clock, Resolver
from smtpgw.model.dns import Answer, AnswerStatus, RecordType
from smtpgw.model.network import plain_address
from smtpgw.policy.client_network import reversed_labels
from smtpgw.policy.findings import Findings

_KEPT_SECONDS = 300.0
_DOWN_SECONDS = 15.0
"""While a list is down, its question is not put again with every message."""

_MAX_REASON = 200
"""Characters; a reply line has no more room."""

_MOST_RECORDS = 20

_LOOPBACK = IPv4Network("127.0.0.0/8")
_REFUSED = (IPv4Network("127.255.255.0/24"), IPv4Network("127.0.0.1/32"))
_INSIDE = tuple(map(IPv4Network, ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16")))
_INSIDE_V6 = tuple(map(IPv6Network, ("::/127", "fc00::/7", "fe80::/10")))
"""Addresses that mean another machine in every network. No list knows anything about them."""


class DnsList(Struct, frozen=True):
    """
    One list.

    :ivar zone: A-labels, no dot at its end.
    :ivar codes: answers that count; empty: any in 127.0.0.0/8.
    :ivar delays: while it is down; otherwise it is left out.
    """

    zone: str
    codes: frozenset[str] = frozenset()
    delays: bool = True


class Listing(Struct, frozen=True, gc=False):
    """
    :ivar zone: the list that the client is on.
    :ivar reason: the list's words, bounded, not escaped; empty when it has none.
    """

    zone: str
    reason: str = ""


class Listings(Struct, frozen=True):
    """
    What all lists together say.

    :ivar good: the first list of good clients that it is on; then nobody was waited for who could say otherwise.
    :ivar bad: likewise of bad ones.
    :ivar good_down: lists of good ones that did not answer, and that delay.
    :ivar bad_down: likewise of bad ones.
    :ivar left_out: lists of either kind that did not answer, and that don't delay.
    """

    good: Listing | None = None
    bad: Listing | None = None
    good_down: tuple[str, ...] = ()
    bad_down: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


NOT_LISTED = Listings()
_DOWN = "down"


class DnsListings:
    """Asks the lists about clients, each once for a while."""

    def __init__(
        self,
        bad: tuple[DnsList, ...],
        good: tuple[DnsList, ...],
        resolver: Resolver,
        tasks: Tasks,
        clock: Clock,
        *,
        deadline_seconds: float = 5.0,
    ) -> None:
        """:param deadline_seconds: for each question."""
        self._bad = bad
        self._good = good
        self._resolver = resolver
        self._tasks = tasks
        self._deadline_seconds = deadline_seconds
        self._findings: Findings[Listings] = Findings(self._find, tasks, clock)
        self._busy = _summary(bad, good, [_DOWN] * len(bad), [_DOWN] * len(good))

    def get(self, address: str) -> Listings | Task[Listings]:
        """What is known of an address, or is being found out from now on."""
        plain = plain_address(address)
        if plain is None or _is_inside(plain):
            return NOT_LISTED
        found = self._findings.get(str(plain))
        return self._busy if found is None else found

    async def _find(self, text: str) -> tuple[Listings, float]:
        address = plain_address(text)
        assert address is not None
        prefix = reversed_labels(address)
        good = [self._tasks.begin(self._ask(prefix, one)) for one in self._good]
        bad = [self._tasks.begin(self._ask(prefix, one)) for one in self._bad]
        good_said = []
        for task in good:
            said = await task
            if isinstance(said, Listing):
                return Listings(good=said), _KEPT_SECONDS
            good_said.append(said)
        bad_said = [await task for task in bad]
        found = _summary(self._bad, self._good, bad_said, good_said)
        is_whole = not (found.good_down or found.bad_down or found.left_out)
        return found, _KEPT_SECONDS if is_whole else _DOWN_SECONDS

    async def _ask(self, prefix: str, asked: DnsList) -> Listing | str | None:
        """``None``: not listed; ``_DOWN``: not known."""
        name = f"{prefix}.{asked.zone}"
        answer = await self._lookup(name, RecordType.A)
        if answer is None or answer.status is AnswerStatus.TEMPORARY:
            return _DOWN
        is_listed = _is_listed(answer, asked.codes)
        if not is_listed:
            return _DOWN if is_listed is None else None
        text = await self._lookup(name, RecordType.TXT)
        return Listing(asked.zone, "" if text is None else _reason(text))

    async def _lookup(self, name: str, record_type: RecordType) -> Answer | None:
        try:
            return await self._tasks.timed(self._resolver.lookup(name, record_type), self._deadline_seconds)
        except TimeoutError:
            return None


def _is_listed(answer: Answer, codes: frozenset[str]) -> bool | None:
    """``None``: the list does not say."""
    is_refused = False
    for record in answer.records[:_MOST_RECORDS]:
        if not isinstance(record, str):
            continue
        if record in codes:
            return True
        code = plain_address(record)
        if not isinstance(code, IPv4Address) or code not in _LOOPBACK:
            continue
        if any(code in network for network in _REFUSED):
            is_refused = True
        elif not codes:
            return True
    return None if is_refused else False


def _reason(answer: Answer) -> str:
    """The first text of an answer, which anybody may have written."""
    for record in answer.records[:1]:
        if isinstance(record, bytes):
            return record[:_MAX_REASON].decode("utf-8", "replace").strip()
    return ""


def _summary(
    bad: tuple[DnsList, ...],
    good: tuple[DnsList, ...],
    bad_said: Sequence[Listing | str | None],
    good_said: Sequence[Listing | str | None],
) -> Listings:
    down = [
        [one for one, said in zip(lists, all_said, strict=True) if said == _DOWN]
        for lists, all_said in ((good, good_said), (bad, bad_said))
    ]
    return Listings(
        None,
        next((said for said in bad_said if isinstance(said, Listing)), None),
        tuple(one.zone for one in down[0] if one.delays),
        tuple(one.zone for one in down[1] if one.delays),
        tuple(one.zone for lists in down for one in lists if not one.delays),
    )


def _is_inside(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv4Address):
        return any(address in network for network in _INSIDE)
    return any(address in network for network in _INSIDE_V6)
