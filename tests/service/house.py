"""Both halves of a gateway on a virtual clock: memory spool, names from a dict, links that follow a script."""

# mypy: no-check-untyped-defs

from random import Random

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from smtpgw.boundaries.relay import LinkFacts, LinkFailure
from smtpgw.delivery.agenda import Agenda
from smtpgw.delivery.lifecycle import LifeRules
from smtpgw.delivery.links import AgendaRules
from smtpgw.delivery.resolution import HopRules
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.delivery.routing import Router, RouteRule
from smtpgw.model.address import Mailbox
from smtpgw.model.dns import MxRecord, RecordType
from smtpgw.model.domains import LocalDomain, LocalDomains
from smtpgw.model.envelope import Client, Envelope, Recipient
from smtpgw.model.message import SlotState
from smtpgw.model.outcome import Delayed, Failed, Relayed, Scope
from smtpgw.model.queue_id import QueueIds
from smtpgw.model.reply import reply
from smtpgw.model.route import Route, ViaMx, ViaSink
from smtpgw.service.conclusion import Conclusion
from smtpgw.service.dispatch import Dispatch
from smtpgw.service.live import LiveEntries
from smtpgw.service.reception import Counter, ListenerReception
from smtpgw.service.settling import Settling
from smtpgw.service.tally import Tally
from smtpgw.service.trace import TraceHeader
from smtpgw.spool.memory import MemorySpool
from smtpgw.testing.memory_names import MemoryResolver

START = 1_790_000_000.0
CLIENT = Client("192.0.2.77", "client.test", "ESMTP", session_id="s1")
OK = reply(250, "2.0.0", "Ok")


class AtOnce:
    """``Threads`` that run everything at once."""

    def run(self, function, *arguments):
        """Here and now."""
        return succeed(function(*arguments))


class ScriptedLink:
    """A link whose answers the test has written."""

    def __init__(self, dialer, hop, owner):
        self.dialer = dialer
        self.hop = hop
        self.owner = owner
        self.jobs = []
        self.is_closed = False

    def send(self, job):
        """Note it; the answer comes with the clock."""
        self.jobs.append(job)
        self.dialer.sent.append((self.hop.address, job))
        self.dialer.clock.callLater(0.01, self.answer, job)

    def answer(self, job):
        """By the script of the host."""
        if self.is_closed:
            return
        self.jobs.remove(job)
        script = self.dialer.hosts[self.hop.address]
        outcomes = tuple(script(job, slot) for slot in job.slots)
        self.owner.link_finished(self, job, outcomes)
        if any(isinstance(o, Delayed) and o.scope is Scope.HOST for o in outcomes):
            self.close()
        else:
            self.owner.link_wants_job(self)

    def close(self):
        """Taken leave."""
        if not self.is_closed:
            self.is_closed = True
            self.dialer.clock.callLater(0, self.owner.link_gone, self, None)

    def abort(self):
        """Dropped: what is under way is delayed."""
        if self.is_closed:
            return
        self.is_closed = True
        for job in self.jobs:
            lost = Delayed("4.4.2", "connection dropped", Scope.HOST)
            self.owner.link_finished(self, job, (lost,) * len(job.slots))
        self.owner.link_gone(self, None)


class ScriptedDialer:
    """
    Opens scripted links.

    :ivar hosts: address to a function of job and slot that gives an outcome.
    :ivar failures: address to why no link to it ever stands. An address in neither refuses the connection.
    """

    def __init__(self, clock):
        self.clock = clock
        self.hosts = {}
        self.failures = {}
        self.sent = []
        self.opened = []
        self.links = []

    def open(self, hop, tls, source, owner):
        """By the script."""
        self.opened.append(hop.address)
        link = ScriptedLink(self, hop, owner)
        if hop.address in self.hosts:
            self.links.append(link)
            self.clock.callLater(0.01, owner.link_ready, link, LinkFacts(hop, None, 0.01))
        else:
            failure = self.failures.get(hop.address, LinkFailure("connect", "connection refused"))
            self.clock.callLater(0.01, owner.link_failed, link, failure)
        return link


def relays(job, slot):
    """A host that takes everything."""
    return Relayed(OK, "mx.test", "192.0.2.1")


def defers(job, slot):
    """A host that greylists everything."""
    return Delayed("4.7.1", "greylisted", Scope.RECIPIENT, reply(451, "4.7.1", "greylisted"), "mx.test", "192.0.2.1")


def refuses(job, slot):
    """A host that knows nobody."""
    return Failed("5.1.1", "no such user", Scope.RECIPIENT, reply(550, "5.1.1", "no such user"), "mx.test", "192.0.2.1")


class House:
    """
    Everything between the server protocol and the links.

    :ivar notices: all that was published.
    """

    def __init__(self, *, local=(), routes=(), sinks=None, max_fresh=1 << 20):
        self.clock = Clock()
        self.clock.advance(START)
        self.clock.time = self.clock.seconds
        self.random = Random(7)
        self.spool = MemorySpool(clock=self.clock)
        self.dialer = ScriptedDialer(self.clock)
        self.zone = {}
        self.resolver = MemoryResolver(self.zone)
        self.notices = []
        self.tally = Tally()
        self.sinks = sinks or {}
        schedule = RetrySchedule((300.0, 600.0, 1200.0))
        life = LifeRules(schedule, expire_seconds=86400.0, warn_seconds=14400.0)
        ids = QueueIds()
        self.conclusion = Conclusion(
            rules=life,
            settling=Settling(self.spool, self.clock),
            ids=ids,
            clock=self.clock,
            random=self.random,
            threads=AtOnce(),
            reactor=self.clock,
            hostname="gw.test",
            publish=self.publish,
        )
        self.domains = LocalDomains(
            [
                LocalDomain(name, Route(f"domain {name}", ViaSink("test:")), recipients=frozenset({"alice", "bob"}))
                for name in local
            ]
        )
        rules = [RouteRule(route, to) for to, route in routes]
        self.live = LiveEntries(self.spool, max_fresh)
        self.dispatch = Dispatch(
            reactor=self.clock,
            clock=self.clock,
            random=self.random,
            agenda=Agenda(AgendaRules(schedule), self.random),
            live=self.live,
            router=Router(self.domains, rules, Route("default", ViaMx())),
            resolver=self.resolver,
            dialer=self.dialer,
            sinks=lambda route: self.sinks[route.name],
            conclusion=self.conclusion,
            hop_rules=HopRules(),
            publish=self.publish,
        )
        self.conclusion.enqueue = self.dispatch.enqueue
        self.counter = Counter(
            spool=self.spool,
            ids=ids,
            clock=self.clock,
            trace=TraceHeader("gw.test"),
            publish=self.publish,
            enqueue=self.dispatch.enqueue,
            expire_seconds=86400.0,
            header_limit=64 * 1024,
        )
        self.reception = self.make_reception()

    def make_reception(self, rcpt_checks=(), content_checks=()):
        """A listener's reception."""
        return ListenerReception(self.counter, (), rcpt_checks, content_checks)

    def publish(self, notice):
        """Remember, and count."""
        self.notices.append(notice)
        self.tally.notice(notice)

    def mx(self, domain, *addresses):
        """Give a domain MX hosts, best first."""
        self.resolver.zone[(domain, RecordType.MX)] = [
            MxRecord(10 * n, f"mx{n}.{domain}") for n, _ in enumerate(addresses)
        ]
        for n, address in enumerate(addresses):
            self.resolver.zone[(f"mx{n}.{domain}", RecordType.A)] = [address]

    def submit(self, *recipients, reverse_path="sender@from.test", content=b"Subject: hello\r\n\r\nbody\r\n"):
        """Hand in a message; the reply to its end of data."""
        envelope = Envelope(
            mailbox(reverse_path) if reverse_path else None, tuple(Recipient(mailbox(r)) for r in recipients)
        )
        intake = self.reception.begin(CLIENT, envelope, lambda: None)
        intake.write(content)
        replies = []
        intake.finish(replies.append)
        return replies[0] if replies else None

    def run(self, seconds, step=0.01):
        """Let time pass: finely at first, then in strides from one timer to the next."""
        end = self.clock.seconds() + seconds
        while True:
            calls = sorted(call.getTime() for call in self.clock.getDelayedCalls())
            if not calls or calls[0] > end:
                break
            self.clock.advance(max(0.0, calls[0] - self.clock.seconds()))
        self.clock.advance(max(0.0, end - self.clock.seconds()))

    def waiting(self):
        """The recipients in the spool that are not done, as (address, attempts)."""
        return [
            (str(recipient.mailbox), slot.attempts)
            for entry in self.spool.entries.values()
            for recipient, slot in zip(entry.message.envelope.recipients, entry.slots, strict=True)
            if slot.state is not SlotState.DONE
        ]


def mailbox(text):
    """An address, simply."""
    local, _, domain = text.rpartition("@")
    return Mailbox(local, domain)
