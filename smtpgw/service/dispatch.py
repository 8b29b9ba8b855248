"""
The delivering half: what the agenda asks for is done, and results become changes of the spool.

Here the world's failures are caught for the delivering side: whatever raises in a sink or on the way to it becomes a
delay of the recipients concerned, never a failure.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from smtpgw.boundaries.relay import Dialer
from smtpgw.boundaries.sinks import Sink
from smtpgw.boundaries.spool import Body, SpoolTrouble, Waiting
from smtpgw.boundaries.world import Clock, Publish, Resolver
from smtpgw.delivery.agenda import Agenda
from smtpgw.delivery.destinations import Destination
from smtpgw.delivery.items import Action, Assign, Attend, Close, Conclude, Deliver, Item, Open, Report, Resolve
from smtpgw.delivery.promises import TAKES_OVER, NextHop, is_late, refusal
from smtpgw.delivery.resolution import HopRules, Hops, find_hops
from smtpgw.delivery.routing import Router
from smtpgw.model.address import ReversePath
from smtpgw.model.envelope import NO_PARAMETERS
from smtpgw.model.message import Entry, SlotState
from smtpgw.model.outcome import Delayed, Failed, Outcome, Scope
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.route import Route, ViaHost, ViaMx
from smtpgw.net.resolver import gather
from smtpgw.service.conclusion import Conclusion
from smtpgw.service.live import LiveEntries, LiveEntry
from smtpgw.service.outgoing import Outgoing, host_trouble, of_message

_log = Logger(namespace="smtpgw.delivery")

_UNREADABLE_SECONDS = 30.0
"""When an entry could not be read from the spool, it is tried again after that long."""


class Dispatch:
    """Brings every message in the spool to where it belongs."""

    def __init__(  # noqa: PLR0913 - the place where everything meets
        self,
        *,
        reactor: IReactorTime,
        clock: Clock,
        random: Random,
        agenda: Agenda,
        live: LiveEntries,
        router: Router,
        resolver: Resolver,
        dialer: Dialer,
        sinks: Callable[[Route], Sink],
        conclusion: Conclusion,
        hop_rules: HopRules,
        publish: Publish,
    ) -> None:
        self.agenda = agenda
        self.live = live
        self._reactor = reactor
        self._clock = clock
        self._random = random
        self._router = router
        self._resolver = resolver
        self._dialer = dialer
        self._sinks = sinks
        self._conclusion = conclusion
        self._hop_rules = hop_rules
        self._publish = publish
        self._outgoing: dict[int, Outgoing] = {}
        self._is_acting = False
        self._timer: IDelayedCall | None = None
        self._timer_at = 0.0
        self._is_stopped = False
        self._in_sinks = 0

    # --- Messages in ---

    def enqueue(self, entry: Entry, body: Body, before_seconds: float) -> None:
        """
        A message has just been added to the spool: deliver it, from memory if there is room.

        :param before_seconds: what receiving it took.
        """
        # What is to be released later is read back then.
        if not self.agenda.links.paused and entry.slots[0].due_at <= entry.message.received_at:
            self.live.keep(entry, body, before_seconds)
        self.list_entry(entry)
        self.act()

    def list_entry(self, entry: Entry, only: tuple[int, ...] | None = None) -> None:
        """
        Put the recipients that wait on the agenda, those of one route, domain and time together.

        :param only: these slots alone.
        """
        message = entry.message
        recipients = message.envelope.recipients
        reverse_domain = domain_of(message.envelope.reverse_path)
        attention_at = self._conclusion.attention_at(entry)
        if len(recipients) == 1:
            slot = entry.slots[0]
            if slot.state is SlotState.QUEUED:
                domain = recipients[0].mailbox.domain
                route = self._router.route(domain, reverse_domain)
                now = self._clock.time()
                self.agenda.add(now, message.queue_id, (0,), slot.due_at, attention_at, route, domain)
            return
        waiting = []
        for index in range(len(recipients)) if only is None else only:
            slot = entry.slots[index]
            if slot.state is SlotState.QUEUED:
                waiting.append((index, recipients[index].mailbox.domain, slot.due_at))
        self._list_groups(message.queue_id, waiting, reverse_domain, attention_at)

    def list_waiting(self, waiting: list[Waiting]) -> None:
        """Some recipients of one message, as the spool had them at the start."""
        first = waiting[0]
        # An operator may have been quicker, and have had them listed.
        listed = {index for item in self.agenda.items(first.queue_id) for index in item.slots}
        attention_at = self._conclusion.attention_of(first.expires_at, first.warned)
        rest = [(one.slot, one.domain, one.due_at) for one in waiting if one.slot not in listed]
        self._list_groups(first.queue_id, rest, first.reverse_domain, attention_at)

    def _list_groups(
        self, queue_id: int, waiting: list[tuple[int, str, float]], reverse_domain: str, attention_at: float
    ) -> None:
        """:param waiting: index, domain and due time of each recipient."""
        groups: dict[tuple[str, str, float], tuple[Route, list[int]]] = {}
        for index, domain, due_at in waiting:
            route = self._router.route(domain, reverse_domain)
            key = (route.name, domain if isinstance(route.via, ViaMx) else "", due_at)
            groups.setdefault(key, (route, []))[1].append(index)
        now = self._clock.time()
        for (_, domain, due_at), (route, indexes) in groups.items():
            self.agenda.add(now, queue_id, tuple(indexes), due_at, attention_at, route, domain)

    # --- Actions out ---

    def act(self) -> None:
        """Do what the agenda asks for. Called after every event; safe to call from within."""
        if self._is_acting or self._is_stopped:
            return
        self._is_acting = True
        try:
            while actions := self.agenda.take_actions():
                for action in actions:
                    try:
                        self._do(action)
                    except Exception:  # noqa: BLE001 - one of the three places; the other actions must be done
                        _log.failure("{action} failed", action=type(action).__name__)
        finally:
            self._is_acting = False
        self._set_timer()

    def _do(self, action: Action) -> None:
        match action:
            case Assign(link_id=link_id, item=item):
                self.live.use(item.queue_id, lambda live: self._assign(link_id, item, live))
            case Open(link_id=link_id, site=site, hop=hop):
                outgoing = Outgoing(self, link_id, site.name)
                self._outgoing[link_id] = outgoing
                outgoing.link = self._dialer.open(hop, site.route.tls, site.route.source, outgoing)
            case Close(link_id=link_id):
                # It may have been closed from the other side meanwhile.
                if link_id in self._outgoing:
                    self._outgoing[link_id].close()
            case Deliver(item=item):
                self.live.use(item.queue_id, lambda live: self._deliver(item, live))
            case Resolve(destination=destination):
                Deferred.fromCoroutine(self._resolve(destination.route, destination.domain)).addCallback(
                    lambda answer: self._resolved(destination, answer)
                )
            case Conclude(item=item, outcome=outcome):
                outcomes = (outcome,) * len(item.slots)
                self.live.use(item.queue_id, lambda live: self._conclude(item, live, outcomes, item.destination.domain))
            case Attend(item=item, trouble=trouble):
                self.live.use(item.queue_id, lambda live: self._attend(item, live, trouble))
            case Report():
                self._publish(host_trouble(action))

    # --- Names ---

    async def _resolve(self, route: Route, domain: str) -> Hops | Delayed | Failed:
        via = route.via
        if not isinstance(via, ViaMx | ViaHost):
            raise TypeError(f"a route without hosts was to be resolved: {route.name}")
        try:
            return await find_hops(via, domain, self._resolver, self._hop_rules, self._random, gather)
        except Exception:  # noqa: BLE001 -- one of the three places where the world's failures are caught
            _log.failure("looking up {domain} failed", domain=domain)
            return Delayed("4.3.0", "internal trouble while looking up names")

    def _resolved(self, destination: Destination, answer: Hops | Delayed | Failed) -> None:
        self.agenda.resolved(self._clock.time(), destination, answer)
        self.act()

    # --- Links ---

    def _assign(self, link_id: int, item: Item, live: LiveEntry | SpoolTrouble | None) -> None:
        outgoing = self._outgoing.get(link_id)
        if isinstance(live, LiveEntry):
            now = self._clock.time()
            message, destination = live.entry.message, item.destination
            if message.envelope.parameters is not NO_PARAMETERS:
                if is_late(message, now):
                    self.agenda.links.not_sent(now, link_id, item)
                    self._attend(item, live, None)
                    return
                if refused := refusal(message, destination.names_are_certain):
                    self.agenda.links.not_sent(now, link_id, item)
                    self._conclude(item, live, (refused,) * len(item.slots), destination.domain)
                    return
            if outgoing is not None and outgoing.send(item, live, now):
                return
            self.live.release(live)
            self.agenda.links.put_back(self._clock.time(), link_id, item)
        else:
            self.agenda.links.not_sent(self._clock.time(), link_id, item)
            if live is not None:
                self._unreadable(item, live)
        self.act()

    def _unreadable(self, item: Item, trouble: SpoolTrouble) -> None:
        what = queue_id_text(item.queue_id)
        _log.error("{what} can't be read from the spool, will be tried again: {cause}", what=what, cause=trouble.cause)
        now = self._clock.time()
        route, domain = item.destination.route, item.destination.domain
        self.agenda.add(now, item.queue_id, item.slots, now + _UNREADABLE_SECONDS, item.attention_at, route, domain)

    def now(self) -> float:
        """Unix time."""
        return self._clock.time()

    def finished(self, outgoing: Outgoing, item: Item, live: LiveEntry, outcomes: tuple[Outcome, ...]) -> None:
        """The results of an item that was sent on a link."""
        if self._is_stopped:
            self.live.release(live)
            return
        now = self._clock.time()
        first = outcomes[0]
        seconds = now - outgoing.sent_at
        # It is so for all of the recipients, if for one; other hosts may do better.
        is_unfit = isinstance(first, Failed) and first.scope is Scope.HOST
        if is_unfit and self.agenda.links.pass_on(now, outgoing.link_id, item):
            self.live.release(live)
            self.act()
            return
        if len(outcomes) == 1 and not isinstance(first, Delayed):
            self.agenda.links.job_done(now, outgoing.link_id, item, None, seconds)
        else:
            troubles = [o for o in outcomes if isinstance(o, Delayed) and o.scope is Scope.HOST]
            if troubles and len(troubles) < len(outcomes):
                # Some recipients were answered, so the item can't go back as it is.
                item.returns += 1
            trouble = troubles[0] if troubles else None
            is_deferred = all(isinstance(o, Delayed) and o.scope is Scope.MESSAGE for o in outcomes)
            if not self.agenda.links.job_done(now, outgoing.link_id, item, trouble, seconds, is_deferred=is_deferred):
                self.live.release(live)
                self.act()
                return
            if troubles:
                outcomes = tuple(of_message(outcome) for outcome in outcomes)
        connecting = outgoing.take_connect_seconds()
        self._conclude(item, live, outcomes, outgoing.site_name, (connecting, seconds), outgoing.next_hop)

    def forget(self, link_id: int) -> None:
        """A link is gone."""
        self._outgoing.pop(link_id, None)

    # --- Results ---

    def _conclude(
        self,
        item: Item,
        live: LiveEntry | SpoolTrouble | None,
        outcomes: tuple[Outcome, ...],
        site: str,
        seconds: tuple[float, float] = (0.0, 0.0),
        next_hop: NextHop = TAKES_OVER,
    ) -> None:
        if isinstance(live, LiveEntry):
            self._conclusion.conclude(live, item.slots, outcomes, site, seconds, self._concluded, next_hop)
        elif live is not None:
            self._unreadable(item, live)
        self.act()

    def _concluded(self, live: LiveEntry, again: tuple[int, ...]) -> None:
        """
        The results of some recipients are durable.

        :param again: those that are to be tried again.
        """
        if again:
            self.list_entry(live.entry, again)
        self.live.release(live)
        self.act()

    def _attend(self, item: Item, live: LiveEntry | SpoolTrouble | None, trouble: Delayed | None) -> None:
        if isinstance(live, LiveEntry):
            self._conclusion.attend(live, item.slots, trouble, item.destination.domain, self._concluded)
        elif live is not None:
            self._unreadable(item, live)
        self.act()

    # --- Sinks ---

    def _deliver(self, item: Item, live: LiveEntry | SpoolTrouble | None) -> None:
        if isinstance(live, LiveEntry):
            started = self._clock.time()
            if is_late(live.entry.message, started):
                self.agenda.sink_done(item)
                self._attend(item, live, None)
                return
            self._in_sinks += 1
            Deferred.fromCoroutine(self._into_sink(item, live)).addCallback(
                lambda outcomes: self._delivered(item, live, outcomes, self._clock.time() - started)
            )
            return
        self.agenda.sink_done(item)
        if live is not None:
            self._unreadable(item, live)
        self.act()

    async def _into_sink(self, item: Item, live: LiveEntry) -> tuple[Outcome, ...]:
        message = live.entry.message
        recipients = tuple(message.envelope.recipients[index] for index in item.slots)
        route = item.destination.route
        try:
            outcomes = await self._sinks(route).deliver(message, recipients, live.body)
        except Exception:  # noqa: BLE001 -- one of the three places where the world's failures are caught
            _log.failure("delivery by {route} failed", route=route.name)
            return (Delayed("4.3.0", "internal trouble while delivering"),) * len(item.slots)
        return outcomes

    def _delivered(self, item: Item, live: LiveEntry, outcomes: tuple[Outcome, ...], seconds: float) -> None:
        self._in_sinks -= 1
        self.agenda.sink_done(item)
        self._conclude(item, live, outcomes, item.destination.route.name, (0.0, seconds))

    # --- Time and stopping ---

    def _set_timer(self) -> None:
        at = self.agenda.next_wakeup()
        timer = self._timer
        if at is None:
            return
        if timer is not None:
            if self._timer_at <= at:
                return
            timer.cancel()
        self._timer_at = at
        self._timer = self._reactor.callLater(max(0.0, at - self._clock.time()), self._woke)

    def _woke(self) -> None:
        self._timer = None
        self.agenda.wake(self._clock.time())
        self.act()

    @property
    def under_way(self) -> int:
        """Items that are on a link or in a sink, without a result."""
        return self._in_sinks + sum(outgoing.jobs for outgoing in self._outgoing.values())

    def pause(self) -> None:
        """Begin nothing more. What is under way goes on; links that have nothing to do are closed."""
        self.agenda.pause()
        for outgoing in list(self._outgoing.values()):
            if not outgoing.jobs:
                outgoing.close()

    def stop(self) -> None:
        """Drop the links. What is under way stays in the spool as it was: that we stop is no attempt of anything."""
        self.agenda.pause()
        self._is_stopped = True
        for outgoing in list(self._outgoing.values()):
            outgoing.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def domain_of(path: ReversePath) -> str:
    """The domain of a reverse path; empty for the null path."""
    return path.domain if path is not None else ""
