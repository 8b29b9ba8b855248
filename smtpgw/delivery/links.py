"""
The links of all sites: which to open, what to send on which, when to close them.

Invariants:

1. ``len(records)`` is at most ``rules.links``; those of sites that were down the last time at most
   ``rules.suspects_share`` of it, those of sites that have shown nothing yet nine tenths.
2. A site without success since it was last down has at most one link, with at most one item.
3. A link has an item that is not answered, or is idle for at most ``rules.idle_seconds``, or is opening or closing.
4. A site that has work and may open a link is opening one, or stands in a ring, or has a time set.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random

from msgspec import Struct

from smtpgw.delivery.items import Action, Assign, Attend, Close, Item, ItemState, Open, Report
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.delivery.sites import LinkRecord, LinkState, Site
from smtpgw.delivery.wakeups import Wakeups
from smtpgw.model.outcome import Delayed, Scope
from smtpgw.model.route import Hop

_FOREVER = float("inf")

_RETURNS = 2
"""How often an item may be on a link whose host fails before it is the item that is suspected."""


class AgendaRules(Struct, frozen=True):
    """
    Limits of the scheduler.

    :ivar links: most links at a time to all sites together.
    :ivar suspects_share: the part of them that sites may have whose hosts could not be reached the last time, so that
        dead ones, which hold a link until its time limit, never keep others waiting.
    :ivar patience_seconds: how long a link may be opening when others wait for its place.
    :ivar lookups: most questions for names at a time.
    :ivar sink_runs: most deliveries at a time into one sink.
    :ivar idle_seconds: how long a link without work is kept.
    """

    schedule: RetrySchedule
    jobs_per_link: int = 100
    links: int = 500
    suspects_share: float = 0.25
    lookups: int = 800
    sink_runs: int = 20
    idle_seconds: float = 3.0
    patience_seconds: float = 10.0


class LinkBoard:
    """
    Links and who may have one.

    :ivar paused: nothing is opened or sent while it is set.
    """

    def __init__(
        self,
        rules: AgendaRules,
        random: Random,
        actions: list[Action],
        wakeups: Wakeups[Site],
        remove: Callable[[Item], None],
    ) -> None:
        """
        :param actions: where actions are put.
        :param remove: called with an item that is no longer on the agenda.
        """
        self.paused = False
        self.records: dict[int, LinkRecord] = {}
        self._rules = rules
        self._random = random
        self._actions = actions
        self._wakeups = wakeups
        self._remove = remove
        self._last_link_id = 0
        self._suspects = 0
        self._takes_newest = False
        self._most_suspects = max(1, int(rules.links * rules.suspects_share))
        self._most_unproven = max(1, rules.links - rules.links // 10)
        self._ring: deque[Site] = deque()
        self._suspect_ring: deque[Site] = deque()

    # --- What links report ---

    def ready(self, now: float, link_id: int) -> None:
        """A link stands and takes an item."""
        link = self.records[link_id]
        if link.state is LinkState.CLOSING:
            return
        link.state = LinkState.UP
        link.site.opening -= 1
        link.can_take = True
        link.idle_since = now
        self.pump(now, link.site)
        self._rest(now, link)

    def failed(self, now: float, link_id: int, stage: str, trouble: Delayed) -> None:
        """A link never came to stand."""
        link = self.records[link_id]
        if link.state is LinkState.CLOSING:
            seconds = round(now - link.opened_at)
            trouble = Delayed("4.4.1", f"not ready within {seconds} s, and others were waiting", Scope.HOST)
        self._forget(link)
        self._troubled(now, link.site, link.hop, stage, trouble)

    def wants_job(self, now: float, link_id: int) -> None:
        """A link takes another item."""
        link = self.records[link_id]
        if link.state is not LinkState.UP:
            return
        link.can_take = link.jobs < self._rules.jobs_per_link
        site = link.site
        if link.can_take and (site.ready or not site.is_validated):
            self.pump(now, site)
        self._rest(now, link)

    def job_done(
        self,
        now: float,
        link_id: int,
        item: Item,
        trouble: Delayed | None,
        seconds: float,
        *,
        is_deferred: bool = False,
    ) -> bool:
        """
        The results of an item are in.

        :param trouble: set when the host failed the item before anything was decided about it: the host cools down, and
            the item goes back into its line, unless it has been failed so often that it may be its own fault.
        :param seconds: that the transaction took.
        :param is_deferred: the host put off the message as a whole.
        :returns: True when the item is no longer on the agenda.
        """
        link = self.records[link_id]
        site = link.site
        link.pending -= 1
        link.idle_since = now
        if trouble is None:
            self._remove(item)
            returned = site.note_answer(link.hop, seconds)
            if is_deferred:
                site.note_deferral(link.hop, now, self._rules.schedule, self._random)
            else:
                site.note_acceptance(link.hop)
            if link.is_suspect:
                link.is_suspect = False
                self._suspects -= 1
                self._pump_rings(now)
            if returned or site.ready:
                self.pump(now, site)
            self._rest(now, link)
            return True
        item.returns += 1
        is_over = item.returns >= _RETURNS
        is_first = site.suspect in (None, item.queue_id)
        site.suspect = item.queue_id
        # It may be the item's fault: if another waits, that is tried before the host is held to be down.
        is_doubtful = is_first and site.has_work()
        if is_over:
            self._remove(item)
        else:
            site.enqueue(item)
        link.can_take = False
        if link.state is LinkState.UP:
            link.state = LinkState.CLOSING
            self._actions.append(Close(link_id))
        if is_doubtful:
            self._actions.append(Report(site.name, link.hop, "transaction", trouble, 0, None))
            self.pump(now, site)
        else:
            self._troubled(now, site, link.hop, "transaction", trouble)
        return is_over

    def pass_on(self, now: float, link_id: int, item: Item) -> bool:
        """
        The host of a link can't take an item as its sender wants it, which says nothing of the site's other hosts.

        :returns: False when there is none that was not asked yet; then its result is the one for ``job_done``.
        """
        link = self.records[link_id]
        others = link.site.without(link.hop)
        if others is None:
            return False
        link.pending -= 1
        link.idle_since = now
        others.enqueue(item)
        self._wakeups.set(others, others.next_time(now))
        self.pump(now, others)
        self.pump(now, link.site)
        self._rest(now, link)
        return True

    def not_sent(self, now: float, link_id: int, item: Item) -> None:
        """An assigned item is not there any more; the link is free for another."""
        self._remove(item)
        link = self.records.get(link_id)
        if link is not None:
            link.pending -= 1
            link.jobs -= 1
            self.wants_job(now, link_id)

    def put_back(self, now: float, link_id: int, item: Item) -> None:
        """An assigned item was not sent, because its link went away first or its content could not be read yet."""
        link = self.records.get(link_id)
        if link is not None:
            link.pending -= 1
        if item.state is ItemState.ASSIGNED and item.site is not None:
            item.site.enqueue(item)
            self.pump(now, item.site)

    def gone(self, now: float, link_id: int) -> None:
        """A link that stood is closed. The results of its items have come before."""
        link = self.records.get(link_id)
        if link is not None:
            self._forget(link)
            self.pump(now, link.site)
            self._pump_rings(now)

    def _forget(self, link: LinkRecord) -> None:
        del self.records[link.link_id]
        link.site.links.discard(link)
        if link.state is LinkState.OPENING:
            link.site.opening -= 1
        if link.is_suspect:
            self._suspects -= 1

    def _troubled(self, now: float, site: Site, hop: Hop, stage: str, trouble: Delayed) -> None:
        site.note_trouble(hop, trouble, now, self._rules.schedule, self._random)
        is_down = site.go_down(now)
        next_probe_at = site.down_until if is_down else None
        self._actions.append(Report(site.name, hop, stage, trouble, len(site.waiting), next_probe_at))
        self._wakeups.set(site, site.next_time(now))
        self.pump(now, site)
        self._pump_rings(now)

    def _rest(self, now: float, link: LinkRecord) -> None:
        """A link that has nothing to do is closed when it has done its share, and otherwise after a while."""
        if link.pending or link.state is not LinkState.UP:
            return
        if link.can_take:
            self._wakeups.set(link.site, now + self._rules.idle_seconds)
        elif link.jobs >= self._rules.jobs_per_link:
            link.state = LinkState.CLOSING
            self._actions.append(Close(link.link_id))

    # --- The pump ---

    def pump(self, now: float, site: Site) -> None:
        """Give the site's items to its free links, and open links for the rest."""
        if self.paused:
            return
        while site.has_work():
            link = site.free_link(now)
            if link is None or (not site.is_validated and link.pending):
                break
            item = site.next_item()
            if item is None:
                break
            item.state = ItemState.ASSIGNED
            link.can_take = False
            link.pending += 1
            link.jobs += 1
            self._actions.append(Assign(link.link_id, item))
        self._open(now, site)

    def _open(self, now: float, site: Site) -> None:
        if site.down_until is not None and site.down_until > now:
            return
        for _ in range(site.links_wanted(now)):
            is_suspect = site.failures > 0
            if not self._has_place(site):
                if not site.in_ring:
                    site.in_ring = True
                    (self._suspect_ring if is_suspect else self._ring).append(site)
                if not is_suspect:
                    self._cut_slowest(now, site)
                return
            hop = site.best_hop(now)
            if hop is None:
                return
            self._last_link_id += 1
            link = LinkRecord(self._last_link_id, site, hop, now)
            self.records[link.link_id] = link
            site.links.add(link)
            site.opening += 1
            self._suspects += is_suspect
            self._actions.append(Open(link.link_id, site, hop))

    def _pump_rings(self, now: float) -> None:
        """Let the sites that wait for the common budget have what is free of it, each in its turn."""
        for ring in (self._ring, self._suspect_ring):
            for _ in range(len(ring)):
                if not self._has_place(ring[0]):
                    break
                # The oldest and the newest in turn: a line of silent hosts must not be a queue for one that answers.
                self._takes_newest = not self._takes_newest
                site = ring.pop() if self._takes_newest else ring.popleft()
                site.in_ring = False
                self._open(now, site)

    def _has_place(self, site: Site) -> bool:
        links = len(self.records)
        if site.failures:
            return self._suspects < self._most_suspects and links < self._most_unproven
        return links < (self._rules.links if site.is_validated else self._most_unproven)

    def _cut_slowest(self, now: float, site: Site) -> None:
        """Others wait: the host that has kept us waiting the longest is given up, if that was long enough."""
        patience = self._rules.patience_seconds
        for link in self.records.values():
            if link.state is LinkState.OPENING:
                if link.opened_at + patience > now:
                    break
                link.state = LinkState.CLOSING
                link.site.opening -= 1
                self._actions.append(Close(link.link_id))
                break
        self._wakeups.set(site, now + 1.0)

    # --- Time ---

    def site_woke(self, now: float, site: Site) -> None:
        """A site's time has come: probe it if it is down, close what is idle, give up on those who waited too long."""
        for item in list(site.overdue(now)):
            self._remove(item)
            self._actions.append(Attend(item, site.trouble))
        self.pump(now, site)
        idle_seconds = self._rules.idle_seconds
        for link in site.links:
            if link.state is LinkState.UP and link.can_take and not link.pending:
                if link.idle_since + idle_seconds <= now:
                    link.state = LinkState.CLOSING
                    link.can_take = False
                    self._actions.append(Close(link.link_id))
                else:
                    self._wakeups.set(site, link.idle_since + idle_seconds)
        if site.down_until is not None and site.down_until <= now and not site.links and not site.has_work():
            # Nobody waits for it any more; whoever comes next finds out anew.
            site.down_until = None
        at = site.next_time(now)
        if at is not None:
            self._wakeups.set(site, max(at, now + 1.0))
