"""
The name of a client's address, confirmed: one that the address leads to, and that leads back to the address.

The owner of an address writes whatever he likes as its name, so a name counts only when it is a well-formed domain name
and its own addresses say the same. Everything is bounded: names, addresses, time.
"""

import re
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

from smtpgw.boundaries.deadline import Task, Tasks
from smtpgw.boundaries.world import Clock, Resolver
from smtpgw.model.dns import Answer, AnswerStatus, RecordType
from smtpgw.model.network import plain_address
from smtpgw.policy.findings import Findings

_MOST_NAMES = 5
_MOST_ADDRESSES = 10
_KEPT_SECONDS = 300.0
_TROUBLE_SECONDS = 10.0
"""While the name server is down, its clients' every connection would wait for it."""

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+\Z){_LABEL}\Z")
_MAX_NAME = 253


class ClientName(Struct, frozen=True, gc=False):
    """
    :ivar name: lower case, no dot at its end; ``None``: there is none that is confirmed.
    :ivar trouble: for the log: why that is not certain; then there is no name.
    """

    name: str | None
    trouble: str = ""


NAMELESS = ClientName(None)


class ClientNames:
    """Finds the names of clients, each once for a while."""

    def __init__(self, resolver: Resolver, tasks: Tasks, clock: Clock, *, deadline_seconds: float = 5.0) -> None:
        """:param deadline_seconds: for one client, all its names together."""
        self._resolver = resolver
        self._tasks = tasks
        self._deadline_seconds = deadline_seconds
        self._findings: Findings[ClientName] = Findings(self._find_in_time, tasks, clock)

    def get(self, address: str) -> ClientName | Task[ClientName]:
        """What is known of an address, or is being found out from now on."""
        plain = plain_address(address)
        if plain is None:
            return NAMELESS
        found = self._findings.get(str(plain))
        return ClientName(None, "too many clients are being looked up") if found is None else found

    def known(self, address: str) -> str | None:
        """Its name, if that is known now."""
        plain = plain_address(address)
        found = None if plain is None else self._findings.known(str(plain))
        return None if found is None else found.name

    async def _find_in_time(self, text: str) -> tuple[ClientName, float]:
        address = plain_address(text)
        assert address is not None
        try:
            found = await self._tasks.timed(self._find(address), self._deadline_seconds)
        except TimeoutError as late:
            found = ClientName(None, str(late))
        return found, _TROUBLE_SECONDS if found.trouble else _KEPT_SECONDS

    async def _find(self, address: IPv4Address | IPv6Address) -> ClientName:
        answer = await self._resolver.lookup(address.reverse_pointer, RecordType.PTR)
        trouble = _trouble(answer)
        names = dict.fromkeys(filter(None, map(_name, answer.records[:_MOST_NAMES])))
        record_type = RecordType.A if isinstance(address, IPv4Address) else RecordType.AAAA
        asked = [(name, self._tasks.begin(self._resolver.lookup(name, record_type))) for name in names]
        for name, task in asked:
            answer = await task
            if any(_is_address(record, address) for record in answer.records[:_MOST_ADDRESSES]):
                return ClientName(name)
            trouble = trouble or _trouble(answer)
        return ClientName(None, trouble) if trouble else NAMELESS


def _trouble(answer: Answer) -> str:
    return (answer.detail or "no answer") if answer.status is AnswerStatus.TEMPORARY else ""


def _name(record: object) -> str | None:
    """A name that may stand in a header, a log and a question; otherwise it is none."""
    if not isinstance(record, str) or len(record) > _MAX_NAME + 1:
        return None
    name = record.removesuffix(".").lower()
    return name if len(name) <= _MAX_NAME and _NAME.match(name) else None


def _is_address(record: object, address: IPv4Address | IPv6Address) -> bool:
    return isinstance(record, str) and plain_address(record) == address
