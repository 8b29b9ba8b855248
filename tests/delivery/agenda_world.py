"""A modelled outside world for the agenda, on a virtual clock: no reactor, no sockets."""

# mypy: no-check-untyped-defs

from heapq import heappop, heappush
from random import Random

from smtpgw.delivery.agenda import Agenda
from smtpgw.delivery.items import Assign, Attend, Close, Conclude, Deliver, Open, Report, Resolve
from smtpgw.delivery.links import AgendaRules
from smtpgw.delivery.resolution import Hops
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.outcome import Delayed, Failed, Scope
from smtpgw.model.reply import reply
from smtpgw.model.route import Hop, Route, ViaMx, ViaSink

SCHEDULE = RetrySchedule((300.0, 600.0, 1200.0, 3600.0), jitter=0.15)
MX_ROUTE = Route("default", ViaMx(25), connections=4)
SINK_ROUTE = Route("domain here.test", ViaSink("discard:"))
FOREVER = float("inf")
REFUSED = Delayed("4.4.1", "connection refused", Scope.HOST)
BUSY = Delayed("4.3.2", "421 busy", Scope.HOST, reply(421, "4.3.2", "busy"))


def rules(**changes):
    """Rules with small numbers."""
    return AgendaRules(SCHEDULE, **changes)


class World:
    """
    Executes actions and reports results after a while.

    :ivar zone: domain to a list of hosts, or a Delayed or Failed.
    :ivar hosts: address to a function of (world, queue id) that answers "ok", "busy", "greylisted", "deferred" or
        "unfit" to a transaction; None is a host that refuses connections, "hole" one that never answers.
    """

    def __init__(self, agenda_rules=None, seed=1):
        self.now = 1000.0
        self.random = Random(seed)
        self.rules = agenda_rules or rules()
        self.agenda = Agenda(self.rules, self.random)
        self.zone = {}
        self.hosts = {}
        self.events = []
        self.sequence = 0
        self.links = {}
        self.pending = {}
        self.standing = set()
        self.peak_links = 0
        self.done = {}
        self.concluded = []
        self.attended = []
        self.delivered = []
        self.reports = []
        self.opened = []
        self.sent = []
        self.closed = []
        self.over = []
        self.unfit = []
        self.ids = 0
        self.latency = 0.05
        self.hole_seconds = 30.0
        self.waits = iter(())

    def mx(self, domain, *addresses, ttl=3600.0):
        """Give a domain hosts, best first."""
        self.zone[domain] = (addresses, ttl)

    def add(self, domain, due_in=0.0, attention_in=FOREVER, route=MX_ROUTE):
        """One message to one recipient."""
        self.ids += 1
        self.agenda.add(self.now, self.ids, (0,), self.now + due_in, self.now + attention_in, route, domain)
        self.act()
        return self.ids

    def later(self, seconds, call, *arguments):
        """An event of the outside."""
        self.sequence += 1
        heappush(self.events, (self.now + seconds, self.sequence, call, arguments))

    def run(self, seconds=FOREVER, limit=200_000):
        """Let time pass, until nothing is left to happen."""
        end = self.now + seconds
        for _ in range(limit):
            wake = self.agenda.next_wakeup()
            event = self.events[0][0] if self.events else None
            at = min((t for t in (wake, event) if t is not None), default=None)
            if at is None or at > end:
                if end < FOREVER:
                    self.now = end
                return
            self.now = max(self.now, at)
            if event is not None and event <= self.now:
                _, _, call, arguments = heappop(self.events)
                call(*arguments)
            else:
                self.agenda.wake(self.now)
            self.act()
        raise AssertionError("the world does not come to rest")

    def act(self):
        """Carry out what the agenda asks for."""
        while actions := self.agenda.take_actions():
            for action in actions:
                self._do(action)
        self.peak_links = max(self.peak_links, self.agenda.open_links)

    def _do(self, action):
        match action:
            case Resolve(destination=destination):
                silent = self.zone.get(destination.domain) == "silence"
                self.later(10.0 if silent else self.latency, self._resolved, destination)
            case Open(link_id=link_id, hop=hop):
                self.links[link_id] = hop
                self.opened.append(hop.address)
                host = self.hosts.get(hop.address)
                if host is None:
                    self.later(self.latency, self._failed, link_id)
                elif host == "hole":
                    self.later(self.hole_seconds, self._failed, link_id)
                else:
                    self.later(self.latency, self._ready, link_id)
            case Assign(link_id=link_id, item=item):
                self.sent.append((link_id, item.queue_id))
                self.pending[link_id] = self.pending.get(link_id, 0) + 1
                self.later(self.latency, self._wants, link_id)
                self.later(2 * self.latency, self._answered, link_id, item)
            case Close(link_id=link_id):
                self.closed.append(link_id)
                self.later(self.latency, self._gone if link_id in self.standing else self._failed, link_id)
            case Deliver(item=item):
                self.later(self.latency, self._sunk, item)
            case Conclude(item=item, outcome=outcome):
                self.concluded.append((item.queue_id, outcome))
                self._count(item.queue_id)
            case Attend(item=item, trouble=trouble):
                self.attended.append((item.queue_id, trouble))
                self._count(item.queue_id)
            case Report():
                self.reports.append(action)
            case _:
                raise AssertionError(action)

    def _count(self, queue_id):
        self.done[queue_id] = self.done.get(queue_id, 0) + 1

    def _resolved(self, destination):
        answer = self.zone.get(destination.domain, Failed("5.1.2", "no such domain"))
        if answer == "silence":
            answer = Delayed("4.4.3", "no answer")
        if isinstance(answer, tuple):
            addresses, ttl = answer
            hops = tuple(Hop(f"mx{address}", address, 25) for address in addresses)
            answer = Hops(hops=hops, site=",".join(addresses), expires_at=self.now + ttl, authenticated=False)
        self.agenda.resolved(self.now, destination, answer)

    def _ready(self, link_id):
        if link_id not in self.links:
            return
        self.standing.add(link_id)
        self.agenda.links.ready(self.now, link_id)

    def _failed(self, link_id):
        if self.links.pop(link_id, None) is None:
            return
        self.agenda.links.failed(self.now, link_id, "connect", REFUSED)

    def _wants(self, link_id):
        if link_id in self.links:
            self.agenda.links.wants_job(self.now, link_id)

    def _answered(self, link_id, item):
        self.pending[link_id] -= 1
        host = self.hosts[self.links[link_id].address]
        answer = host(self, item.queue_id) if callable(host) else "busy"
        if answer == "ok":
            self.delivered.append(item.queue_id)
            self._count(item.queue_id)
        if answer == "unfit":
            if self.agenda.links.pass_on(self.now, link_id, item):
                return
            self.unfit.append(item.queue_id)
            self._count(item.queue_id)
        trouble = None if answer in ("ok", "greylisted", "deferred", "unfit") else BUSY
        is_over = self.agenda.links.job_done(
            self.now, link_id, item, trouble, 2 * self.latency, is_deferred=answer == "deferred"
        )
        if answer in ("greylisted", "deferred"):
            self._again(item, 1.15 * next(self.waits, 60.0))
        elif answer not in ("ok", "unfit") and is_over:
            self.over.append(item.queue_id)
            self._again(item, 900.0)

    def _again(self, item, seconds):
        where = item.destination
        self.agenda.add(self.now, item.queue_id, item.slots, self.now + seconds, FOREVER, where.route, where.domain)

    def _gone(self, link_id):
        if self.pending.get(link_id):
            self.later(self.latency, self._gone, link_id)
        elif link_id in self.links:
            del self.links[link_id]
            self.agenda.links.gone(self.now, link_id)

    def _sunk(self, item):
        self.delivered.append(item.queue_id)
        self._count(item.queue_id)
        self.agenda.sink_done(item)


def good(world, queue_id):
    """A host that takes everything."""
    return "ok"


def unfit(world, queue_id):
    """A host that can't take a message as its sender wants it; even ids are those of other senders."""
    return "unfit" if queue_id % 2 else "ok"


def busy(world, queue_id):
    """A host that turns every transaction away with 421."""
    return "busy"
