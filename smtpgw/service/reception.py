"""
The receiving half: our ``IMessageDelivery``.

Responsibility for a message becomes ours in ``_Intake._added`` and nowhere else: the 250 is given only after the spool
has reported that the message would survive a crash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.mail.smtp import IMessageDelivery
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpgw.boundaries.checks import ContentCheck, MailCheck, RcptCheck
from smtpgw.boundaries.reception import Intake
from smtpgw.boundaries.spool import Body, Draft, Spool, SpoolTrouble
from smtpgw.boundaries.world import Clock, Publish
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.notice import Queued, Rejected
from smtpgw.model.queue_id import QueueIds, queue_id_text
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import Refuse, Verdict
from smtpgw.policy.evaluate import evaluate_content, evaluate_mail, evaluate_rcpt
from smtpgw.service.stock_messages import StockDelivery
from smtpgw.service.trace import TraceHeader
from smtpgw.smtp.header import HeaderScan

_log = Logger(namespace="smtpgw.reception")

_FULL = reply(452, "4.3.1", "Insufficient system storage, try again later")
_BROKEN = reply(451, "4.3.0", "Temporary trouble here, try again later")
_HEADER_TOO_LARGE = reply(552, "5.3.4", "Message header is too large")

Enqueue = Callable[[Entry, Body, float], None]
"""Takes a kept message; the seconds are what receiving it took."""


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
    ) -> None:
        """
        Checks are asked in their order; the first refusal wins.

        :param postmaster_domain: where ``<postmaster>`` without a domain is; empty when that was refused.
        """
        self.counter = counter
        self._mail_checks = tuple(mail_checks)
        self._rcpt_checks = tuple(rcpt_checks)
        self.content_checks = tuple(content_checks)
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

    __slots__ = ("_begun_at", "_client", "_draft", "_envelope", "_is_open", "_reception", "_scan")

    def __init__(self, reception: ListenerReception, client: Client, envelope: Envelope, draft: Draft) -> None:
        self._reception = reception
        self._client = client
        self._envelope = envelope
        self._draft = draft
        self._scan = HeaderScan(reception.counter.header_limit)
        self._is_open = True
        self._begun_at = reception.counter.clock.time()

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

    def finish(self, done: Callable[[Reply], None]) -> None:
        """Ask the content checks, then keep the message."""
        scan = self._scan
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
        elif self._is_open:
            self._is_open = False
            self._keep(done)

    def _refuse(self, refuse: Refuse, done: Callable[[Reply], None]) -> None:
        self.abandon()
        self._reception.counter.publish(Rejected(self._client, "content", refuse))
        done(refuse.reply)

    def _keep(self, done: Callable[[Reply], None]) -> None:
        counter = self._reception.counter
        envelope, draft = self._envelope, self._draft
        now = counter.clock.time()
        queue_id = counter.ids.next(now)
        trace = counter.trace.received(self._client, envelope, queue_id, now)
        message = Message(queue_id, envelope, self._client, now, trace, draft.size_octets)
        slot = Slot(SlotState.QUEUED, now)
        entry = Entry(message, (slot,) * len(envelope.recipients), now + counter.expire_seconds)
        counter.spool.add(entry, draft, lambda kept: self._added(entry, kept, done))

    def _added(self, entry: Entry, kept: Body | SpoolTrouble, done: Callable[[Reply], None]) -> None:
        counter = self._reception.counter
        if isinstance(kept, SpoolTrouble):
            self._draft.discard()
            counter.publish(Rejected(self._client, "content", Refuse(trouble_reply(kept), "spool", kept.cause)))
            done(trouble_reply(kept))
            return
        counter.publish(Queued(entry))
        done(Reply(250, "2.0.0", ("Ok: queued as " + queue_id_text(entry.message.queue_id),)))
        counter.enqueue(entry, kept, entry.message.received_at - self._begun_at)


async def _awaited(verdict: Awaitable[Verdict]) -> Verdict:
    return await verdict


def _with_domains(envelope: Envelope, domain: str) -> Envelope:
    """The envelope, with a domain for ``<postmaster>``."""
    recipients = envelope.recipients
    if all(recipient.mailbox.domain for recipient in recipients):
        return envelope
    completed = tuple(r if r.mailbox.domain else Recipient(Mailbox(r.mailbox.local, domain)) for r in recipients)
    return Envelope(envelope.reverse_path, completed, envelope.body, envelope.smtputf8)
