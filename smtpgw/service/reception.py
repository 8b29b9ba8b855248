"""
The receiving half: our ``IMessageDelivery``.

Responsibility for a message becomes ours in ``_Intake._added`` and nowhere else: the 250 is given only after the spool
has reported that the message would survive a crash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.mail.smtp import IMessageDelivery
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpgw.boundaries.checks import ContentCheck, MailCheck, RcptCheck
from smtpgw.boundaries.filters import ContentFilter, Discard, Unreadable
from smtpgw.boundaries.reception import Intake
from smtpgw.boundaries.spool import Body, Draft, Spool, SpoolTrouble
from smtpgw.boundaries.world import Clock, Publish
from smtpgw.delivery.promises import queued_entry
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.notice import Dropped, Held, Queued, Rejected
from smtpgw.model.outcome import Delayed, Scope
from smtpgw.model.queue_id import QueueIds, queue_id_text
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import Refuse, Verdict
from smtpgw.policy.evaluate import evaluate_content, evaluate_mail, evaluate_rcpt
from smtpgw.service.filtering import Passage, Revision
from smtpgw.service.stock_messages import StockDelivery
from smtpgw.service.trace import TraceHeader
from smtpgw.smtp.header import HeaderScan

_log = Logger(namespace="smtpgw.reception")

_FULL = reply(452, "4.3.1", "Insufficient system storage, try again later")
_BROKEN = reply(451, "4.3.0", "Temporary trouble here, try again later")
_HEADER_TOO_LARGE = reply(552, "5.3.4", "Message header is too large")

Enqueue = Callable[[Entry, Body, float], None]
"""Takes a kept message; the seconds are what receiving it took."""

Complete = Callable[[bytes, float], bytes]
"""What a header section lacks at a time: fields that are to go before it, each with its CR LF."""


def trouble_reply(trouble: SpoolTrouble) -> Reply:
    """What a client is told when the spool can't take its message."""
    return _FULL if trouble.full else _BROKEN


class Counter:
    """The part of the reception that all listeners share: ids, clock, spool, and where a kept message goes."""

    __slots__ = ("clock", "enqueue", "expire_seconds", "header_limit", "ids", "publish", "spool", "trace")

    def __init__(
        self,
        *,
        spool: Spool,
        ids: QueueIds,
        clock: Clock,
        trace: TraceHeader,
        publish: Publish,
        enqueue: Enqueue,
        expire_seconds: float,
        header_limit: int,
    ) -> None:
        """
        :param enqueue: told of each message once it is kept.
        :param header_limit: most octets of a message's header section.
        """
        self.spool = spool
        self.ids = ids
        self.clock = clock
        self.trace = trace
        self.publish = publish
        self.enqueue = enqueue
        self.expire_seconds = expire_seconds
        self.header_limit = header_limit


@implementer(IMessageDelivery)
class ListenerReception(StockDelivery):
    """
    Decides about transactions on one listener (``Reception``), and takes their messages.

    Also a complete ``IMessageDelivery``, so that it serves stock Twisted servers too.
    """

    def __init__(
        self,
        counter: Counter,
        mail_checks: Sequence[MailCheck],
        rcpt_checks: Sequence[RcptCheck],
        content_checks: Sequence[ContentCheck],
        postmaster_domain: str = "",
        *,
        filters: Sequence[ContentFilter] = (),
        complete: Complete | None = None,
    ) -> None:
        """
        Checks are asked in their order; the first refusal wins.

        :param postmaster_domain: where ``<postmaster>`` without a domain is; empty when that was refused.
        :param filters: asked after the content checks, in their order.
        :param complete: of a listener for submission: what makes headers complete (RFC 6409 section 8).
        """
        self.counter = counter
        self._mail_checks = tuple(mail_checks)
        self._rcpt_checks = tuple(rcpt_checks)
        self.content_checks = tuple(content_checks)
        self.filters = tuple(filters)
        self.complete = complete
        self._postmaster_domain = postmaster_domain

    def mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """MAIL: is there room, and do the checks accept it?"""
        trouble = self.counter.spool.trouble()
        if trouble is not None:
            return Refuse(trouble_reply(trouble), "spool", trouble.cause)
        return evaluate_mail(self._mail_checks, client, mail)

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """RCPT: is the recipient ours, or may this client relay?"""
        return evaluate_rcpt(self._rcpt_checks, client, mail, recipient)

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Intake | Refuse:
        """DATA: open a draft."""
        trouble = self.counter.spool.trouble()
        if trouble is not None:
            return Refuse(trouble_reply(trouble), "spool", trouble.cause)
        if self._postmaster_domain:
            envelope = _with_domains(envelope, self._postmaster_domain)
        return _Intake(self, client, envelope, self.counter.spool.open_draft(resume))


class _Intake:
    """One message on its way in."""

    __slots__ = ("_begun_at", "_client", "_draft", "_envelope", "_is_open", "_reception", "_scan", "_waiting")

    def __init__(self, reception: ListenerReception, client: Client, envelope: Envelope, draft: Draft) -> None:
        self._reception = reception
        self._client = client
        self._envelope = envelope
        self._draft = draft
        self._scan = HeaderScan(reception.counter.header_limit)
        self._is_open = True
        self._begun_at = reception.counter.clock.time()
        self._waiting: Deferred[Revision | Refuse | Discard] | None = None

    def write(self, data: bytes) -> bool:
        """A piece of content."""
        if not self._scan.done:
            self._scan.feed(data)
        return self._draft.write(data)

    def abandon(self) -> None:
        """Nothing of it stays."""
        if self._is_open:
            self._is_open = False
            self._draft.discard()
            if self._waiting is not None:
                self._waiting.cancel()

    def finish(self, done: Callable[[Reply], None]) -> None:
        """Ask the content checks, then the filters, then keep the message."""
        scan = self._scan
        scan.close()
        if scan.too_large:
            self._refuse(Refuse(_HEADER_TOO_LARGE, "header"), done)
            return
        verdict = evaluate_content(self._reception.content_checks, self._client, self._envelope, scan.header)
        if isinstance(verdict, Awaitable):
            waiting = Deferred.fromCoroutine(_awaited(verdict))
            waiting.addCallbacks(lambda late: self._judged(late, done), lambda failure: self._failed(failure, done))
            return
        self._judged(verdict, done)

    def _failed(self, failure: Failure, done: Callable[[Reply], None]) -> None:
        _log.failure("a content check failed", failure=failure)
        self._refuse(Refuse(_BROKEN, "content", "a check failed"), done)

    def _judged(self, verdict: Verdict, done: Callable[[Reply], None]) -> None:
        if isinstance(verdict, Refuse):
            self._refuse(verdict, done)
            return
        if not self._is_open:
            return
        reception = self._reception
        counter = reception.counter
        now = counter.clock.time()
        queue_id = counter.ids.next(now)
        added = reception.complete(self._scan.header, now) if reception.complete is not None else b""
        if not reception.filters:
            self._is_open = False
            self._keep(self._message(queue_id, self._envelope, added, (self._scan.header,)), None, done)
            return
        passage = Passage(self._draft, self._scan.header, added)
        waiting = self._waiting = Deferred.fromCoroutine(
            passage.run(reception.filters, self._client, self._envelope, queue_id_text(queue_id))
        )
        waiting.addCallback(self._filtered, passage, queue_id, done)
        waiting.addErrback(self._not_filtered, done)

    def _filtered(
        self,
        filtered: Revision | Refuse | Discard,
        passage: Passage,
        queue_id: int,
        done: Callable[[Reply], None],
    ) -> None:
        if isinstance(filtered, Refuse):
            self._refuse(filtered, done)
            return
        if not self._is_open:
            return
        if isinstance(filtered, Discard):
            message = self._message(queue_id, self._envelope, b"", ())
            self.abandon()
            dropped = Dropped(queued_entry(message, 0.0), filtered.check, filtered.cause)
            self._reception.counter.publish(dropped)
            done(_queued(queue_id))
            return
        for note in filtered.notes:
            _log.warn("{queue_id}: {note}", queue_id=queue_id_text(queue_id), note=note)
        message = self._message(queue_id, filtered.envelope, passage.write(filtered), filtered.fields)
        self._is_open = False
        self._keep(message, filtered.quarantine, done)

    def _not_filtered(self, failure: Failure, done: Callable[[Reply], None]) -> None:
        if not self._is_open and failure.check(CancelledError) is not None:
            # Given up by us: nobody waits for an answer.
            return
        if failure.check(Unreadable) is None:
            _log.failure("a filter failed", failure=failure)
        self._refuse(Refuse(_BROKEN, "filter", failure.getErrorMessage()), done)

    def _refuse(self, refuse: Refuse, done: Callable[[Reply], None]) -> None:
        self.abandon()
        self._reception.counter.publish(Rejected(self._client, "content", refuse))
        done(refuse.reply)

    def _message(self, queue_id: int, envelope: Envelope, added: bytes, header: Sequence[bytes]) -> Message:
        """
        The message as it is kept.

        :param added: goes between our Received field and the content.
        :param header: the header section of the content, in pieces.
        """
        counter = self._reception.counter
        client = self._client
        now = counter.clock.time()
        trace = counter.trace.received(client, self._envelope, queue_id, now) + added
        if envelope.smtputf8 and trace.isascii() and all(map(bytes.isascii, header)):
            # Some say SMTPUTF8 with all that they send. It must not keep such mail from hosts that don't know it.
            envelope = replace(envelope, smtputf8=False)
        if client.notes:
            client = replace(client, notes=())
        return Message(queue_id, envelope, client, now, trace, self._draft.size_octets)

    def _keep(self, message: Message, quarantine: str | None, done: Callable[[Reply], None]) -> None:
        counter = self._reception.counter
        entry = queued_entry(message, counter.expire_seconds)
        if quarantine is not None:
            entry = _held(entry, quarantine)
        counter.spool.add(entry, self._draft, lambda kept: self._added(entry, kept, done))

    def _added(self, entry: Entry, kept: Body | SpoolTrouble, done: Callable[[Reply], None]) -> None:
        counter = self._reception.counter
        if isinstance(kept, SpoolTrouble):
            self._draft.discard()
            counter.publish(Rejected(self._client, "content", Refuse(trouble_reply(kept), "spool", kept.cause)))
            done(trouble_reply(kept))
            return
        counter.publish(Queued(entry, self._client.notes))
        is_held = entry.slots[0].state is SlotState.HELD
        if is_held:
            last = entry.slots[0].last
            reason = last.reason if isinstance(last, Delayed) else ""
            counter.publish(Held(entry, tuple(range(len(entry.slots))), reason))
        done(_queued(entry.message.queue_id))
        if not is_held:
            counter.enqueue(entry, kept, entry.message.received_at - self._begun_at)


def _queued(queue_id: int) -> Reply:
    return Reply(250, "2.0.0", ("Ok: queued as " + queue_id_text(queue_id),))


def _held(entry: Entry, reason: str) -> Entry:
    """Put aside for the operator, who sees why."""
    outcome = Delayed("4.7.1", f"held by a filter: {reason}", Scope.MESSAGE)
    slots = tuple(Slot(SlotState.HELD, slot.due_at, 0, outcome) for slot in entry.slots)
    return replace(entry, slots=slots)


async def _awaited(verdict: Awaitable[Verdict]) -> Verdict:
    return await verdict


def _with_domains(envelope: Envelope, domain: str) -> Envelope:
    """The envelope, with a domain for ``<postmaster>``."""
    recipients = envelope.recipients
    if all(recipient.mailbox.domain for recipient in recipients):
        return envelope
    completed = tuple(
        r if r.mailbox.domain else replace(r, mailbox=Mailbox(r.mailbox.local, domain)) for r in recipients
    )
    return replace(envelope, recipients=completed)
