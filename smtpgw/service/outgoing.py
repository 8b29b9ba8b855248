"""One link as the dispatch sees it: which items are on it, and what came of them."""

from __future__ import annotations

from collections import deque
from typing import Protocol, runtime_checkable

from msgspec.structs import replace

from smtpgw.boundaries.relay import Job, Link, LinkFacts, LinkFailure
from smtpgw.delivery.agenda import Agenda
from smtpgw.delivery.items import Item, Report
from smtpgw.delivery.promises import TAKES_OVER, NextHop
from smtpgw.model.message import Message
from smtpgw.model.notice import HostTrouble
from smtpgw.model.outcome import Delayed, Outcome, Scope
from smtpgw.service.live import LiveEntry
from smtpgw.smtp.conversation_offer import Offer


@runtime_checkable
class Offering(Protocol):
    """A link that knows what its host offers."""

    @property
    def offer(self) -> Offer:
        """Settled once it is ready."""


class Dispatcher(Protocol):
    """What an outgoing link tells the dispatch."""

    agenda: Agenda

    def now(self) -> float:
        """Unix time."""

    def act(self) -> None:
        """Do what the agenda asks for."""

    def finished(self, outgoing: Outgoing, item: Item, live: LiveEntry, outcomes: tuple[Outcome, ...]) -> None:
        """The results of an item."""

    def forget(self, link_id: int) -> None:
        """The link is gone."""


class Outgoing:
    """
    Hears of one link (``LinkOwner``), and tells the agenda.

    :ivar sent_at: Unix time at which the item whose results come next was sent.
    :ivar next_hop: what the host does further for a message that it has taken.
    """

    __slots__ = ("_connect_seconds", "_dispatch", "_jobs", "link", "link_id", "next_hop", "sent_at", "site_name")

    def __init__(self, dispatch: Dispatcher, link_id: int, site_name: str) -> None:
        self._dispatch = dispatch
        self.link_id = link_id
        self.site_name = site_name
        self.link: Link | None = None
        self.sent_at = 0.0
        self.next_hop = TAKES_OVER
        self._jobs: deque[tuple[Item, LiveEntry, float]] = deque()
        self._connect_seconds = 0.0

    @property
    def jobs(self) -> int:
        """Items that are sent and not answered."""
        return len(self._jobs)

    # --- What the dispatch wants ---

    def send(self, item: Item, live: LiveEntry, now: float) -> bool:
        """:returns: False when the link is not there any more."""
        link = self.link
        if link is None:
            return False
        self._jobs.append((item, live, now))
        message = live.entry.message
        if message.envelope.parameters.deliver_by is not None:
            message = _with_time_left(message, now)
        link.send(Job(message, item.slots, live.body))
        return True

    def close(self) -> None:
        """Take leave."""
        if self.link is not None:
            self.link.close()

    def abort(self) -> None:
        """Drop the connection."""
        if self.link is not None:
            self.link.abort()

    def take_connect_seconds(self) -> float:
        """What connecting cost: told once, with the first item."""
        seconds = self._connect_seconds
        self._connect_seconds = 0.0
        return seconds

    # --- LinkOwner ---

    def link_ready(self, link: Link, facts: LinkFacts) -> None:
        """It stands."""
        self._connect_seconds = facts.seconds
        if isinstance(link, Offering):
            self.next_hop = NextHop(link.offer.dsn, link.offer.deliver_by)
        dispatch = self._dispatch
        dispatch.agenda.links.ready(dispatch.now(), self.link_id)
        dispatch.act()

    def link_failed(self, link: Link, failure: LinkFailure) -> None:
        """It never stood."""
        self.link = None
        dispatch = self._dispatch
        dispatch.forget(self.link_id)
        trouble = Delayed("4.4.1", failure.reason, Scope.HOST, failure.reply)
        dispatch.agenda.links.failed(dispatch.now(), self.link_id, failure.stage, trouble)
        dispatch.act()

    def link_wants_job(self, link: Link) -> None:
        """The last octet of its item is out."""
        dispatch = self._dispatch
        dispatch.agenda.links.wants_job(dispatch.now(), self.link_id)
        dispatch.act()

    def link_finished(self, link: Link, job: Job, outcomes: tuple[Outcome, ...]) -> None:
        """Results come in the order of sending."""
        item, live, self.sent_at = self._jobs.popleft()
        self._dispatch.finished(self, item, live, outcomes)

    def link_gone(self, link: Link, failure: LinkFailure | None) -> None:
        """It is closed."""
        self.link = None
        dispatch = self._dispatch
        dispatch.forget(self.link_id)
        dispatch.agenda.links.gone(dispatch.now(), self.link_id)
        dispatch.act()


def _with_time_left(message: Message, now: float) -> Message:
    """The message as it is told to a next hop: its BY counts from now on (RFC 2852 section 4.1)."""
    envelope = message.envelope
    deliver_by = envelope.parameters.deliver_by
    if deliver_by is None:
        return message
    left = replace(deliver_by, seconds=deliver_by.seconds - round(now - message.received_at))
    parameters = replace(envelope.parameters, deliver_by=left)
    return replace(message, envelope=replace(envelope, parameters=parameters))


def host_trouble(report: Report) -> HostTrouble:
    """The notice of a report."""
    hop, trouble = report.hop, report.trouble
    return HostTrouble(
        site=report.site,
        host=hop.host if hop else "",
        address=hop.address if hop else "",
        stage=report.stage,
        reason=str(trouble.reply) if trouble.reply else trouble.reason,
        waiting=report.waiting,
        next_probe_at=report.next_probe_at,
    )


def of_message(outcome: Outcome) -> Outcome:
    """Trouble of the host, held against the message: it has had its share of links."""
    if isinstance(outcome, Delayed) and outcome.scope is Scope.HOST:
        return Delayed(outcome.status, outcome.reason, Scope.MESSAGE, outcome.reply, outcome.host, outcome.address)
    return outcome
