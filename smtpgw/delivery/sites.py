"""
A site: the hosts that take the mail of some domains, the links to them, and the items in line.

Facts about addresses and hosts live here, so that a failure to connect is never an attempt of a message. What is known
to be simple: the window only grows with success and falls to what stands when a host wants fewer; nothing is learnt
durably.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import Enum
from heapq import heappop, heappush
from random import Random

from smtpgw.delivery.items import Item, ItemState
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.outcome import Delayed
from smtpgw.model.route import Hop, Route

_FIRST_WINDOW = 4
"""Connections that a site may have before it has shown that it takes more."""

_ITEMS_PER_LINK = 4
"""A new link is worth its handshake when this many items wait for it."""

_SLOW_SECONDS = 0.25
"""From this mean transaction time on, an item is worth a link of its own, and nothing is sent behind a pending dot."""


_LONGER = 1.5

_DEFERRALS = 2
"""How often in a row a host may put off whole messages before another is tried."""


class LinkState(Enum):
    """OPENING until ready; CLOSING after we asked for it, in either state before."""

    OPENING = 0
    UP = 1
    CLOSING = 2


class LinkRecord:
    """
    What the agenda knows of a link.

    :ivar pending: items sent whose results are not known.
    :ivar can_take: it asked for a job that it has not got.
    """

    __slots__ = (
        "can_take",
        "hop",
        "idle_since",
        "is_suspect",
        "jobs",
        "link_id",
        "opened_at",
        "pending",
        "site",
        "state",
    )

    def __init__(self, link_id: int, site: Site, hop: Hop, now: float) -> None:
        self.link_id = link_id
        self.site = site
        self.hop = hop
        self.state = LinkState.OPENING
        self.pending = 0
        self.can_take = False
        self.jobs = 0
        self.opened_at = now
        self.idle_since = 0.0
        self.is_suspect = site.failures > 0


class _AddressTrouble:
    __slots__ = ("failures", "until")

    def __init__(self) -> None:
        self.failures = 0
        self.until = 0.0


class Site:
    """
    One set of hosts under one route.

    :ivar is_validated: a host has answered a transaction since the last time the site was down.
    :ivar down_until: Unix time of the next probe, ``None`` when it is not down.
    :ivar trouble: the last trouble with its hosts.
    :ivar suspect: queue id of the item that a host has last failed, until one has answered.
    :ivar is_listed: the agenda knows it; one that has been idle is forgotten there until it is used again.
    """

    __slots__ = (
        "_addresses",
        "_deferrals",
        "_mean_seconds",
        "_without",
        "down_until",
        "failures",
        "hops",
        "in_ring",
        "is_listed",
        "is_validated",
        "limit",
        "links",
        "name",
        "no_open_until",
        "opening",
        "ready",
        "route",
        "suspect",
        "trouble",
        "waiting",
        "wake_at",
        "window",
    )

    def __init__(self, name: str, route: Route, hops: tuple[Hop, ...], limit: int) -> None:
        """:param limit: most links at a time."""
        self.name = name
        self.route = route
        self.hops = hops
        self.limit = limit
        self.links: set[LinkRecord] = set()
        self.opening = 0
        self.ready: deque[Item] = deque()
        self.waiting: list[tuple[float, Item]] = []
        self.window = min(_FIRST_WINDOW, limit)
        self.is_validated = False
        self.failures = 0
        self.down_until: float | None = None
        self.no_open_until = 0.0
        self.trouble: Delayed | None = None
        self.in_ring = False
        self.suspect: int | None = None
        self.is_listed = True
        self.wake_at: float | None = None
        self._addresses: dict[str, _AddressTrouble] = {}
        self._deferrals: dict[str, int] = {}
        self._mean_seconds = 0.0
        self._without: dict[str, Site] = {}

    @property
    def is_slow(self) -> bool:
        """Whether its transactions take so long that an item should not wait behind another."""
        return self._mean_seconds > _SLOW_SECONDS

    @property
    def is_idle(self) -> bool:
        """Whether it can be forgotten: nothing waits, nothing stands, and no trouble to remember."""
        return not (self.ready or self.waiting or self.links or self.down_until)

    def without(self, unfit: Hop) -> Site | None:
        """
        Where items go that a host can't take as their senders want it: a site of the other hosts, with a line, links
        and troubles of its own.

        :returns: the same one each time; ``None`` when there is no other host.
        """
        hops = tuple(hop for hop in self.hops if hop.address != unfit.address)
        if not hops:
            return None
        site = self._without.get(unfit.address)
        if site is None:
            present = {hop.address for hop in self.hops}
            self._without = {address: site for address, site in self._without.items() if address in present}
            site = self._without[unfit.address] = Site(self.name, self.route, hops, self.limit)
        site.hops = hops
        return site

    def family(self) -> Iterator[Site]:
        """It, and those without some of its hosts."""
        yield self
        for site in self._without.values():
            yield from site.family()

    # --- Items ---

    def enqueue(self, item: Item) -> None:
        """At the end of the line; while the site is down, among those who wait."""
        item.site = self
        if self.down_until is None:
            item.state = ItemState.READY
            self.ready.append(item)
        else:
            self._wait(item)

    def _wait(self, item: Item) -> None:
        item.state = ItemState.WAITING
        heappush(self.waiting, (item.attention_at, item))

    def next_item(self) -> Item | None:
        """
        Take the next item.

        Until a host has answered a transaction only one of those who waited is risked at a time.
        """
        ready = self.ready
        while ready:
            item = ready.popleft()
            if item.state is ItemState.READY:
                return item
        if not self.is_validated:
            waiting = self.waiting
            while waiting:
                item = heappop(waiting)[1]
                if item.state is ItemState.WAITING:
                    return item
        return None

    def has_work(self) -> bool:
        """Whether a link would find something to do."""
        ready = self.ready
        while ready and ready[0].state is not ItemState.READY:
            ready.popleft()
        if ready:
            return True
        waiting = self.waiting
        while waiting and waiting[0][1].state is not ItemState.WAITING:
            heappop(waiting)
        return bool(waiting) and not self.is_validated

    def overdue(self, now: float) -> Iterator[Item]:
        """Take out those who have waited until their attention time while the site was down."""
        waiting = self.waiting
        while waiting and waiting[0][0] <= now:
            item = heappop(waiting)[1]
            if item.state is ItemState.WAITING:
                yield item

    def next_time(self, now: float) -> float | None:
        """When it wants to be looked at; ``None`` when nothing waits for a time. Idle links are not in it."""
        if self.down_until is None:
            return self.no_open_until if self.no_open_until > now and self.ready else None
        if self.down_until <= now and (self.links or self.in_ring):
            return self.waiting[0][0] if self.waiting else None
        return min(self.down_until, self.waiting[0][0]) if self.waiting else self.down_until

    # --- Links ---

    def links_wanted(self, now: float) -> int:
        """How many links should be opened now, budget permitting."""
        if not self.has_work() or (now < self.no_open_until and self.links):
            return 0
        if not self.is_validated:
            return 0 if self.links else 1
        waiting = len(self.ready)
        wanted = waiting if self.is_slow else -(-waiting // _ITEMS_PER_LINK)
        return min(wanted - self.opening, min(self.window, self.limit) - len(self.links))

    def best_hop(self, now: float) -> Hop | None:
        """The best address that is not cooling down; ``None`` when all are."""
        for hop in self.hops:
            if not self._is_cooling(hop, now):
                return hop
        return None

    def _is_cooling(self, hop: Hop, now: float) -> bool:
        trouble = self._addresses.get(hop.address)
        return trouble is not None and trouble.until > now

    def free_link(self, now: float) -> LinkRecord | None:
        """A link that can take an item: an idle one first; behind a pending dot only at sites that are quick."""
        behind = None
        for link in self.links:
            if link.can_take and not (self._addresses and self._is_cooling(link.hop, now)):
                if not link.pending:
                    return link
                behind = link
        return None if self.is_slow else behind

    # --- Facts ---

    def note_answer(self, hop: Hop, seconds: float) -> bool:
        """
        A host has answered a transaction.

        :returns: True when that ended a trouble: those who waited are in line again.
        """
        self._mean_seconds += (seconds - self._mean_seconds) / 8
        self.suspect = None
        if self.window < self.limit:
            self.window += 1
        if self.is_validated and not self._addresses:
            return False
        self._addresses.pop(hop.address, None)
        if self.is_validated:
            return False
        self.is_validated = True
        self.failures = 0
        self.down_until = None
        self.trouble = None
        returning = [item for _, item in self.waiting if item.state is ItemState.WAITING]
        self.waiting.clear()
        returning.sort()
        for item in returning:
            item.state = ItemState.READY
        self.ready.extend(returning)
        return True

    def note_deferral(self, hop: Hop, now: float, schedule: RetrySchedule, random: Random) -> None:
        """
        A host has put off a whole message, not a recipient.

        When it does that again and again it may be the host: then another takes its place for a while, if there is one
        (RFC 5321 section 5.1).
        """
        self._deferrals[hop.address] = count = self._deferrals.get(hop.address, 0) + 1
        if count >= _DEFERRALS and any(h.address != hop.address and not self._is_cooling(h, now) for h in self.hops):
            del self._deferrals[hop.address]
            address = self._addresses.setdefault(hop.address, _AddressTrouble())
            address.failures += 1
            # Longer than a message that was put off waits itself, or it would meet the same host again.
            wait = schedule.after(address.failures + _DEFERRALS, now, random) - now
            address.until = now + _LONGER * wait

    def note_acceptance(self, hop: Hop) -> None:
        """A host has taken a message."""
        if self._deferrals:
            self._deferrals.pop(hop.address, None)

    def note_trouble(self, hop: Hop, trouble: Delayed, now: float, schedule: RetrySchedule, random: Random) -> None:
        """An address could not be reached, or its host does not serve us: it cools down."""
        self.trouble = trouble
        standing = sum(link.state is LinkState.UP and link.hop.address == hop.address for link in self.links)
        if standing:
            # The host serves others of our links: it wants fewer of them, and is not down.
            self.window = max(1, standing)
            self.no_open_until = now + 60.0
            return
        address = self._addresses.setdefault(hop.address, _AddressTrouble())
        if address.until <= now:
            address.failures += 1
            address.until = schedule.after(address.failures, now, random)

    def go_down(self, now: float) -> bool:
        """
        Wait for the first address to cool down, if none is left to try.

        :returns: whether it is down.
        """
        if self.best_hop(now) is not None:
            return False
        until = min(self._addresses[hop.address].until for hop in self.hops)
        self.failures += 1
        self.is_validated = False
        self.down_until = until
        ready = self.ready
        while ready:
            item = ready.popleft()
            if item.state is ItemState.READY:
                self._wait(item)
        return True

    def urge(self, now: float) -> None:
        """Forget every cooling-down: an operator wants it tried now."""
        self._addresses.clear()
        self.no_open_until = 0.0
        if self.down_until is not None:
            self.down_until = now
