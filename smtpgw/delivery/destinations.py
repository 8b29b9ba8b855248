"""A destination: what one route does with one domain, and the items that wait there for a time or for names."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush

from smtpgw.delivery.items import Item, ItemState
from smtpgw.delivery.sites import Site
from smtpgw.model.outcome import Delayed
from smtpgw.model.route import Route, ViaHost

_NAMES_SECONDS = 60.0
"""Longer than any question takes, with the line before it."""


class Destination:
    """
    One route and one domain.

    :ivar domain: empty when the route leads to the same place whatever the domain is.
    :ivar site: as last resolved; to be used until ``resolved_until``.
    :ivar is_authenticated: the names of its hosts came validated. Not a matter of the site, which another domain may
        share whose names did not.
    :ivar is_resolving: the hosts have been asked for.
    :ivar trouble: why the hosts aren't known; the question is repeated at ``retry_at``.
    :ivar wake_at: the earliest time the agenda's clock has for it.
    """

    __slots__ = (
        "domain",
        "failures",
        "is_authenticated",
        "is_resolving",
        "items",
        "parked",
        "resolved_until",
        "retry_at",
        "route",
        "site",
        "trouble",
        "unresolved",
        "wake_at",
    )

    def __init__(self, route: Route, domain: str) -> None:
        self.route = route
        self.domain = domain
        self.site: Site | None = None
        self.resolved_until = 0.0
        self.is_authenticated = False
        self.is_resolving = False
        self.failures = 0
        self.retry_at: float | None = None
        self.trouble: Delayed | None = None
        self.parked: list[tuple[float, Item]] = []
        self.unresolved: list[tuple[float, Item]] = []
        self.items = 0
        self.wake_at: float | None = None

    @property
    def names_are_certain(self) -> bool:
        """Whether a certificate that names one of its hosts shows that it is the right one."""
        return self.is_authenticated or isinstance(self.route.via, ViaHost)

    def park(self, item: Item) -> None:
        """Keep an item until its due time."""
        item.state = ItemState.PARKED
        heappush(self.parked, (item.due_at, item))

    def due(self, now: float) -> Iterator[Item]:
        """Take out the items whose time has come."""
        parked = self.parked
        while parked and parked[0][0] <= now:
            item = heappop(parked)[1]
            if item.state is ItemState.PARKED:
                yield item

    def await_names(self, item: Item, now: float) -> None:
        """
        Keep a due item until the hosts are known.

        An item whose last attempt this is has reached its attention time already: unless the names are known to be in
        trouble it is given the time to get them.
        """
        item.state = ItemState.UNRESOLVED
        attention_at = item.attention_at
        if self.trouble is None:
            attention_at = max(attention_at, now + _NAMES_SECONDS)
        heappush(self.unresolved, (attention_at, item))

    def take_unresolved(self) -> list[Item]:
        """All items that wait for names, oldest first."""
        items = [item for _, item in self.unresolved if item.state is ItemState.UNRESOLVED]
        self.unresolved.clear()
        items.sort()
        return items

    def overdue(self, now: float) -> Iterator[Item]:
        """Take out the items that have waited for names until their attention time."""
        unresolved = self.unresolved
        while unresolved and unresolved[0][0] <= now:
            item = heappop(unresolved)[1]
            if item.state is ItemState.UNRESOLVED:
                yield item

    def next_time(self) -> float | None:
        """When it wants to be looked at; ``None`` when nothing waits for a time."""
        times = []
        if self.parked:
            times.append(self.parked[0][0])
        if self.unresolved:
            times.append(self.unresolved[0][0])
            if self.retry_at is not None:
                times.append(self.retry_at)
        return min(times, default=None)
