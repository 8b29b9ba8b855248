"""
The scheduler: which item goes where, when, on which connection. Plain Python: no I/O, time and randomness from outside.

Five rules, from which the rest follows:

1. Connect first, assign afterwards. An item is given to a link that stands; a failure to connect is a fact about an
   address, never an attempt of a message.
2. One timer for each site and destination that waits for something, none for messages.
3. A result touches exactly its scope: a recipient's trouble never delays another, an address's never another address.
4. An item that waits holds nothing: no link, no slot, no place in a line.
5. Nothing costs the length of the queue. What empties a whole line (a site comes back) is paid for by those it frees.

Every event is a method with ``now``; what is to be done about it is then in ``take_actions``.
"""

from __future__ import annotations

from collections import deque
from random import Random

from smtpgw.delivery.destinations import Destination
from smtpgw.delivery.items import Action, Attend, Conclude, Deliver, Item, ItemState, Report, Resolve
from smtpgw.delivery.links import AgendaRules, LinkBoard
from smtpgw.delivery.lookups import LookupLine
from smtpgw.delivery.resolution import Hops
from smtpgw.delivery.sites import Site
from smtpgw.delivery.wakeups import Wakeups
from smtpgw.model.outcome import Delayed, Failed
from smtpgw.model.route import Route, ViaFail, ViaMx, ViaSink

_DESTINATIONS_KEPT = 20_000
"""Destinations without items that are remembered for their names; more are swept."""


class _SinkSite:
    """The line before a sink of ours."""

    __slots__ = ("ready", "running")

    def __init__(self) -> None:
        self.ready: deque[Item] = deque()
        self.running = 0


class Agenda:
    """
    The items that wait, and the destinations and sites they wait for.

    :ivar links: hears of what links do.
    """

    def __init__(self, rules: AgendaRules, random: Random) -> None:
        self._rules = rules
        self._random = random
        self._actions: list[Action] = []
        self._site_times: Wakeups[Site] = Wakeups()
        self._destination_times: Wakeups[Destination] = Wakeups()
        self.links = LinkBoard(rules, random, self._actions, self._site_times, self.remove)
        self._destinations: dict[tuple[str, str], Destination] = {}
        self._sites: dict[tuple[str, str], Site] = {}
        self._sinks: dict[str, _SinkSite] = {}
        self._lookups = LookupLine(rules.lookups)
        self._items: dict[int, Item | list[Item]] = {}

    def pause(self) -> None:
        """Begin nothing more; what is under way is finished."""
        self.links.paused = True

    # --- Items in and out ---

    def add(
        self,
        now: float,
        queue_id: int,
        slots: tuple[int, ...],
        due_at: float,
        attention_at: float,
        route: Route,
        domain: str,
    ) -> Item:
        """
        Take responsibility for some recipients of a message, all of one route and domain.

        :param attention_at: see :class:`~smtpgw.delivery.items.Attend`.
        """
        key = (route.name, domain if isinstance(route.via, ViaMx) else "")
        destination = self._destinations.get(key)
        if destination is None:
            if len(self._destinations) > _DESTINATIONS_KEPT:
                self._sweep_destinations(now)
            destination = self._destinations[key] = Destination(route, key[1])
        item = Item(queue_id, slots, due_at, attention_at, destination)
        destination.items += 1
        others = self._items.get(queue_id)
        if others is None:
            self._items[queue_id] = item
        elif isinstance(others, list):
            others.append(item)
        else:
            self._items[queue_id] = [others, item]
        if due_at > now:
            destination.park(item)
            self._destination_times.set(destination, destination.next_time())
        else:
            self._begin(now, item)
        return item

    def items(self, queue_id: int) -> list[Item]:
        """A message's items."""
        held = self._items.get(queue_id)
        if held is None:
            return []
        return list(held) if isinstance(held, list) else [held]

    def remove(self, item: Item) -> None:
        """Forget an item that is not assigned, or whose result is in. A husk stays in its line until met there."""
        if item.state is ItemState.GONE:
            return
        item.state = ItemState.GONE
        item.destination.items -= 1
        held = self._items[item.queue_id]
        if isinstance(held, list):
            held.remove(item)
            if not held:
                del self._items[item.queue_id]
        else:
            del self._items[item.queue_id]

    def why(self, item: Item) -> Delayed | None:
        """What an item that is due waits for: its site's trouble or its destination's."""
        if item.state is ItemState.WAITING and item.site is not None:
            return item.site.trouble
        if item.state is ItemState.UNRESOLVED:
            return item.destination.trouble
        return None

    def next_try(self, item: Item) -> float:
        """Unix time of the next thing that happens about an item."""
        if item.state is ItemState.WAITING and item.site is not None and item.site.down_until is not None:
            return item.site.down_until
        if item.state is ItemState.UNRESOLVED and item.destination.retry_at is not None:
            return item.destination.retry_at
        return item.due_at

    def urge(self, now: float, item: Item) -> None:
        """An operator wants this item tried now, whatever is known of its hosts; in a pause that is for later."""
        if self.links.paused:
            return
        destination = item.destination
        destination.retry_at = now
        destination.resolved_until = 0.0
        if destination.site is not None:
            for site in destination.site.family():
                site.urge(now)
                self._site_times.set(site, now)
        self._destination_times.set(destination, destination.next_time())

    def resume(self, now: float) -> None:
        """End a pause."""
        self.links.paused = False
        for destination in list(self._destinations.values()):
            for item in destination.take_unresolved():
                self._begin(now, item)

    # --- Names ---

    def _begin(self, now: float, item: Item) -> None:
        destination = item.destination
        if self.links.paused:
            destination.await_names(item, now)
            return
        if isinstance(destination.route.via, ViaSink | ViaFail):
            self._enqueue_sink(item)
            return
        if destination.site is not None and destination.resolved_until > now:
            site = destination.site
            if not site.is_listed:
                site = destination.site = self._list(site)
            site.enqueue(item)
            if site.down_until is None:
                self.links.pump(now, site)
            else:
                self._site_times.set(site, site.next_time(now))
            return
        destination.await_names(item, now)
        if destination.retry_at is None:
            self._resolve(destination)
        else:
            self._destination_times.set(destination, destination.next_time())

    def _resolve(self, destination: Destination) -> None:
        if destination.is_resolving:
            return
        destination.is_resolving = True
        if self._lookups.enter(destination):
            self._actions.append(Resolve(destination))

    def resolved(self, now: float, destination: Destination, answer: Hops | Delayed | Failed) -> None:
        """The hosts of a destination, or why there are none."""
        destination.is_resolving = False
        self._actions.extend(map(Resolve, self._lookups.leave(destination)))
        if isinstance(answer, Delayed):
            self._names_troubled(now, destination, answer)
            return
        destination.failures = 0
        destination.retry_at = None
        destination.trouble = None
        items = destination.take_unresolved()
        if isinstance(answer, Failed):
            for item in items:
                self.remove(item)
                self._actions.append(Conclude(item, answer))
            return
        site = self._site(answer, destination.route)
        destination.site = site
        destination.is_authenticated = answer.authenticated
        destination.resolved_until = answer.expires_at
        for item in items:
            site.enqueue(item)
        self._site_times.set(site, site.next_time(now))
        self.links.pump(now, site)

    def _names_troubled(self, now: float, destination: Destination, trouble: Delayed) -> None:
        destination.failures += 1
        destination.trouble = trouble
        destination.retry_at = self._rules.schedule.after(destination.failures, now, self._random)
        self._destination_times.set(destination, destination.next_time())
        self._actions.append(
            Report(destination.domain, None, "names", trouble, len(destination.unresolved), destination.retry_at)
        )

    def _site(self, answer: Hops, route: Route) -> Site:
        key = (answer.site, route.name)
        site = self._sites.get(key)
        if site is None:
            site = self._sites[key] = Site(answer.site, route, answer.hops, max(1, route.connections))
        else:
            site.hops = answer.hops
        return site

    def _list(self, site: Site) -> Site:
        """A site that had been idle is used again, unless another stands in its place."""
        site = self._sites.setdefault((site.name, site.route.name), site)
        site.is_listed = True
        return site

    # --- Sinks ---

    def _enqueue_sink(self, item: Item) -> None:
        name = item.destination.route.name
        sink = self._sinks.get(name)
        if sink is None:
            sink = self._sinks[name] = _SinkSite()
        item.state = ItemState.READY
        sink.ready.append(item)
        self._pump_sink(sink)

    def _pump_sink(self, sink: _SinkSite) -> None:
        while sink.ready and sink.running < self._rules.sink_runs:
            item = sink.ready.popleft()
            if item.state is ItemState.READY:
                item.state = ItemState.ASSIGNED
                sink.running += 1
                self._actions.append(Deliver(item))

    def sink_done(self, item: Item) -> None:
        """A delivery into a sink has ended; the item is not the agenda's any more."""
        sink = self._sinks[item.destination.route.name]
        sink.running -= 1
        self.remove(item)
        self._pump_sink(sink)

    # --- Time ---

    def next_wakeup(self) -> float | None:
        """Unix time of the next call of ``wake``; ``None`` when nothing waits for a time."""
        sites, destinations = self._site_times.next(), self._destination_times.next()
        if sites is None or destinations is None:
            return destinations if sites is None else sites
        return min(sites, destinations)

    def wake(self, now: float) -> None:
        """Do what is due."""
        for site in self._site_times.due(now):
            self.links.site_woke(now, site)
            if site.is_idle:
                key = (site.name, site.route.name)
                # Not so one without some of its hosts: it goes by the same name.
                if self._sites.get(key) is site:
                    site.is_listed = False
                    del self._sites[key]
        for destination in self._destination_times.due(now):
            self._destination_woke(now, destination)

    def _destination_woke(self, now: float, destination: Destination) -> None:
        for item in list(destination.overdue(now)):
            self.remove(item)
            self._actions.append(Attend(item, destination.trouble))
        if destination.unresolved and destination.retry_at is not None and destination.retry_at <= now:
            destination.retry_at = None
            if not self.links.paused:
                self._resolve(destination)
        for item in list(destination.due(now)):
            self._begin(now, item)
        self._destination_times.set(destination, destination.next_time())

    def _sweep_destinations(self, now: float) -> None:
        idle = [key for key, held in self._destinations.items() if not held.items and held.resolved_until <= now]
        for key in idle or list(self._destinations)[:1000]:
            if not self._destinations[key].items:
                del self._destinations[key]

    def take_actions(self) -> list[Action]:
        """What is to be done now, in order; each is handed out once."""
        actions = self._actions[:]
        self._actions.clear()
        return actions

    # --- For the operator ---

    @property
    def open_links(self) -> int:
        """Links that stand or are being opened."""
        return len(self.links.records)
