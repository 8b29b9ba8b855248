"""
The transactions on a connection that is ready: MAIL, RCPT, DATA, content (RFC 5321 section 3.3).

With PIPELINING (RFC 2920) an envelope is one write, and the envelope of the next job goes out right behind the content
of the one before; without it, every command waits for the reply to the one before. There are never more than two
transactions under way: one that awaits the reply to its content, and one with its envelope.

Every job ends in one ``finished``; after each there is one ``wants_job``, as soon as the next job could go out.
"""

from collections import deque

from smtpgw.boundaries.relay import Job, LinkFailure
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.outcome import Scope
from smtpgw.model.reply import Reply
from smtpgw.model.route import Hop
from smtpgw.smtp.conversation_offer import NOTHING, Offer
from smtpgw.smtp.conversation_outbox import Outbox
from smtpgw.smtp.conversation_terms import LinkEvents, RelaySettings, Wire
from smtpgw.smtp.conversation_transaction import DATA_COMMAND, MAIL_STEP, RESET_STEP, Transaction
from smtpgw.smtp.stuffing import END_OF_DATA, stuffed


class Exchange:
    """
    The transactions of one conversation, in order.

    :ivar takes_jobs: it is ready, and nobody wants it closed.
    :ivar streaming: content is on its way that isn't in memory.
    """

    __slots__ = (
        "_events",
        "_granted",
        "_hop",
        "_mails",
        "_needs_reset",
        "_offer",
        "_outbox",
        "_pipelining",
        "_spoilt",
        "_tls",
        "_transactions",
        "_wire",
        "streaming",
        "takes_jobs",
    )

    def __init__(self, outbox: Outbox, wire: Wire, events: LinkEvents, hop: Hop) -> None:
        self._outbox = outbox
        self._wire = wire
        self._events = events
        self._hop = hop
        self._offer = NOTHING
        self._pipelining = False
        self._tls: TlsFacts | None = None
        self._transactions: deque[Transaction] = deque()
        self._spoilt: list[Transaction] = []
        self._granted = False
        self._needs_reset = False
        self._mails = 0
        self.takes_jobs = False
        self.streaming = False

    # --- Jobs come and go ---

    def begin(self, offer: Offer, tls: TlsFacts | None) -> None:
        """The connection is ready."""
        self._offer = offer
        self._pipelining = offer.pipelining
        self._tls = tls
        self.takes_jobs = True
        self._granted = True

    def stop(self) -> None:
        """Ask for no more jobs."""
        self.takes_jobs = False
        self._granted = False

    @property
    def current(self) -> Transaction | None:
        """The one whose reply comes next."""
        return self._transactions[0] if self._transactions else None

    @property
    def is_idle(self) -> bool:
        """Whether no job is under way."""
        return not self._transactions and not self._spoilt

    def send(self, job: Job) -> bool:
        """
        Begin a job.

        :returns: False when nothing of it can be sent: ``report_spoilt`` then reports it.
        :raises RuntimeError: it wasn't asked for.
        """
        if not self._granted:
            raise RuntimeError("the conversation did not ask for a job")
        self._granted = False
        transaction = Transaction(job, self._offer, self._hop, self._tls)
        if not transaction.commands:
            self._spoilt.append(transaction)
            return False
        self._transactions.append(transaction)
        self._open(transaction)
        self._mails += 1
        if self._mails == self._offer.max_mails:
            # The host takes no more on this connection (RFC 9422 section 4.1): it ends with this one.
            self.stop()
        return True

    def report_spoilt(self) -> None:
        """Report the jobs of which nothing could be sent, and those that follow in their place and fare no better."""
        while self._spoilt:
            self._report(self._spoilt.pop())

    def drop(self, failure: LinkFailure | None, status: str, reason: str) -> None:
        """
        The connection is of no more use: every recipient whose result isn't known is delayed.

        :param failure: ``None`` when the host isn't to blame.
        """
        self.stop()
        self.streaming = False
        transactions = [*self._transactions, *self._spoilt]
        self._transactions.clear()
        self._spoilt.clear()
        reply = None if failure is None else failure.reply
        goodbye = reply if reply is not None and reply.code == 421 else None
        for transaction in transactions:
            # Content that has begun may be what the host can't bear: then only this message is to suffer for it.
            blames_host = failure is not None and (goodbye is not None or not transaction.content_begun)
            scope = Scope.HOST if blames_host else Scope.MESSAGE
            transaction.settle_rest(transaction.delayed(status, reason, scope, goodbye))
            self._events.finished(transaction.job, transaction.outcomes)

    def patience_seconds(self, settings: RelaySettings) -> float | None:
        """See ``Conversation.patience_seconds``."""
        if not self._transactions:
            return None
        if self.streaming:
            return settings.block_timeout_seconds
        first = self._transactions[0]
        if first.step < first.data_step:
            return settings.command_timeout_seconds
        return settings.data_timeout_seconds if first.step == first.data_step else settings.final_timeout_seconds

    # --- Replies ---

    def take(self, reply: Reply) -> str:
        """
        A reply that was waited for, other than 421.

        :returns: what is wrong with it, if the conversation can't go on; empty otherwise.
        """
        first = self._transactions[0]
        step = first.step
        first.step = step + 1
        if step == first.data_step:
            return self._take_data(first, reply)
        if reply.code < 300 or reply.code >= 400:
            if step > first.data_step:
                if first.accepted:
                    first.take_final(reply)
                self._finish(first)
                return ""
            if step == MAIL_STEP:
                self._take_mail(first, reply)
                return ""
            if step > MAIL_STEP:
                if first.mail_accepted:
                    first.take_rcpt(reply, step)
                    self._go_on(first)
                return ""
            if reply.is_positive:
                self._go_on(first)
                return ""
        return f"{first.awaited(step)} answered with {reply.code}"

    def take_midway(self, reply: Reply) -> bool:
        """A reply that came unasked: True when it refuses content of which not everything is out."""
        if not self._transactions or not self._transactions[0].content_begun or reply.code < 400:
            return False
        self._transactions[0].refuse_rest(reply, "content")
        return True

    def _take_mail(self, first: Transaction, reply: Reply) -> None:
        if reply.is_positive:
            first.mail_accepted = True
            self._go_on(first)
            return
        first.refuse_rest(reply, "MAIL")
        if not self._pipelining:
            self._finish(first)

    def _take_data(self, first: Transaction, reply: Reply) -> str:
        if reply.code == 354:
            if first.accepted:
                self._send_content(first)
            elif first.mail_accepted:
                # RFC 2920 section 3.1: it wants content for nobody; a lone dot gives it none.
                self._end_content(first, END_OF_DATA)
            else:
                return "DATA accepted although MAIL was refused"
        elif reply.code >= 400:
            if first.accepted:
                first.refuse_rest(reply, "DATA")
            self._needs_reset = first.mail_accepted
            self._finish(first)
        else:
            return f"DATA answered with {reply.code}"
        return ""

    # --- What goes out ---

    def _open(self, transaction: Transaction) -> None:
        if self._needs_reset:
            self._needs_reset = False
            transaction.step = RESET_STEP
            self._outbox.say(b"RSET\r\n")
            if not self._pipelining:
                return
        commands = transaction.commands
        if self._pipelining:
            commands.append(DATA_COMMAND)
            self._outbox.say(b"".join(commands), len(commands))
        else:
            self._outbox.say(commands[0])

    def _go_on(self, first: Transaction) -> None:
        """In lock step: the next command."""
        if self._pipelining:
            return
        if first.step < first.data_step:
            self._outbox.say(first.commands[first.step])
        elif first.accepted:
            self._outbox.say(DATA_COMMAND)
        else:
            self._needs_reset = True
            self._finish(first)

    def _send_content(self, first: Transaction) -> None:
        first.content_begun = True
        job = first.job
        content = job.body.inline()
        if content is not None:
            self._end_content(first, stuffed(job.message.trace + content))
            return
        self._outbox.flush()
        self.streaming = True
        self._wire.stream(job.message.trace, job.body)

    def end_stream(self, octets: bytes) -> None:
        """Everything is out but these last octets."""
        self.streaming = False
        self._end_content(self._transactions[0], octets)

    def lose_stream(self, reason: str) -> None:
        """The content can't be read here."""
        self.streaming = False
        first = self._transactions[0]
        first.settle_rest(first.delayed("4.3.0", reason, Scope.MESSAGE))

    def _end_content(self, first: Transaction, octets: bytes) -> None:
        self._outbox.say(octets)
        if self._pipelining:
            first.granted = True
            self._grant()

    def _finish(self, first: Transaction) -> None:
        self._transactions.popleft()
        self._report(first)

    def _report(self, transaction: Transaction) -> None:
        self._events.finished(transaction.job, transaction.outcomes)
        if not transaction.granted:
            self._grant()

    def _grant(self) -> None:
        if self.takes_jobs:
            self._granted = True
            self._events.wants_job()
