"""
The client's side of SMTP, without a connection (RFC 5321), with STARTTLS (RFC 3207) and PIPELINING (RFC 2920).

It is told what came in and says what goes out; it knows neither time nor sockets. The phases::

    GREETING -> EHLO -> [HELO] -> READY
                EHLO -> STARTTLS -> HANDSHAKE -> EHLO -> READY
    any -> LEAVING (QUIT is out) -> CLOSED

In READY the transactions run: see :mod:`smtpgw.smtp.conversation_exchange`.

What it holds to:

1. A reply counts only for a command that was out before the octets of the reply came in. What comes unasked ends the
   connection; nobody can answer a message before it was sent, or a command inside TLS from before the handshake.
2. A message is relayed only when a 2xx, well formed in all its lines, answers its end of data. Anything else at that
   point delays it.
3. Each job ends in exactly one ``finished``, whatever happens to the connection.
"""

from enum import Enum, auto

from smtpgw.boundaries.relay import Job, LinkFailure
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.reply import Reply
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.smtp.conversation_exchange import Exchange
from smtpgw.smtp.conversation_offer import NOTHING, Offer, read_offer
from smtpgw.smtp.conversation_outbox import Outbox
from smtpgw.smtp.conversation_terms import LinkEvents, RelaySettings, Wire
from smtpgw.smtp.conversation_transaction import Transaction
from smtpgw.smtp.reply_reader import BadReply, ReplyReader


class Phase(Enum):
    """Where a conversation stands."""

    GREETING = auto()
    EHLO = auto()
    HELO = auto()
    STARTTLS = auto()
    HANDSHAKE = auto()
    READY = auto()
    LEAVING = auto()
    CLOSED = auto()


_STAGES = {
    Phase.GREETING: "greeting",
    Phase.EHLO: "ehlo",
    Phase.HELO: "ehlo",
    Phase.STARTTLS: "tls",
    Phase.HANDSHAKE: "tls",
    Phase.READY: "transaction",
}
"""What a failure there is called; a READY connection without a job is ``idle``."""


class Conversation:
    """
    One connection's conversation.

    :ivar phase: nobody else sets it.
    """

    __slots__ = (
        "_clear",
        "_early",
        "_events",
        "_exchange",
        "_inside",
        "_need",
        "_offer",
        "_outbox",
        "_reader",
        "_reported",
        "_settings",
        "_tls",
        "_wire",
        "phase",
    )

    def __init__(
        self, wire: Wire, events: LinkEvents, settings: RelaySettings, hop: Hop, need: TlsNeed, *, clear: bool = False
    ) -> None:
        """:param clear: don't begin TLS although it is offered, unless it is needed."""
        self._wire = wire
        self._events = events
        self._settings = settings
        self._need = need
        self._clear = need is TlsNeed.OFF or (clear and need is TlsNeed.OPPORTUNISTIC)
        self._reader = ReplyReader()
        self._outbox = Outbox(wire, owed=1)  # the greeting
        self._exchange = Exchange(self._outbox, wire, events, hop)
        self._offer = NOTHING
        self._tls: TlsFacts | None = None
        self._early = False
        self._inside = False
        self._reported = False
        self.phase = Phase.GREETING

    # --- What the wire tells ---

    def receive(self, octets: bytes) -> bool:
        """
        Octets came in.

        :returns: True when replies were among them that were waited for, and nothing was written because of them.
        """
        if self.phase is Phase.CLOSED:
            return False
        outbox = self._outbox
        taken = False
        self._inside = True
        try:
            self._reader.feed(octets)
            if self._early:
                self._take_unasked()
            while outbox.owed and (reply := self._reader.next()) is not None:
                outbox.owed -= 1
                taken = True
                self._take(reply)
            if not outbox.owed and self._reader.is_pending:
                self._take_unasked()
        except BadReply as trouble:
            self._violation(str(trouble))
        self._inside = False
        return not self._turn_over() and taken

    def secured(self, facts: TlsFacts, doubt: str = "") -> None:
        """
        The handshake is done.

        :param doubt: why the certificate isn't verified, for people.
        """
        if self.phase is not Phase.HANDSHAKE:
            return
        if self._need is TlsNeed.VERIFY and not facts.verified:
            self._fail(LinkFailure("tls", f"the certificate is not verified: {doubt}"))
            return
        self._tls = facts
        self._say_ehlo()
        self._outbox.flush()

    def content_sent(self, end: bytes) -> None:
        """:param end: what is left of the streamed content, with the lone dot."""
        if self._exchange.streaming:
            self._inside = True
            self._exchange.end_stream(end)
            self._inside = False
            self._turn_over()

    def content_lost(self, reason: str) -> None:
        """The content can't be read: our trouble. The message must not seem complete, so the connection ends."""
        if self._exchange.streaming:
            self._exchange.lose_stream(reason)
            self._fall(LinkFailure("transaction", reason), "4.4.2")

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        if self.phase in {Phase.LEAVING, Phase.CLOSED}:
            self.phase = Phase.CLOSED
            if not self._reported:
                self._reported = True
                self._events.gone(None)
        else:
            self._fall(self._failure(reason), "4.4.2")

    def expire(self, reason: str = "no answer in time") -> None:
        """The time that ``patience_seconds`` or ``current`` gave is over."""
        if self.phase in {Phase.LEAVING, Phase.CLOSED}:
            self._wire.abort()
        else:
            self._fall(self._failure(reason), "4.4.2")

    def resume(self) -> None:
        """Asked for by ``Wire.soon``."""
        self._turn_over()

    @property
    def patience_seconds(self) -> float | None:
        """How long may pass from now to the next reply, or block of content; ``None`` when nothing is awaited."""
        phase = self.phase
        if phase is Phase.READY:
            return self._exchange.patience_seconds(self._settings)
        if phase is Phase.HANDSHAKE:
            return self._settings.handshake_timeout_seconds
        if phase is Phase.LEAVING or phase is Phase.CLOSED:
            return self._settings.quit_timeout_seconds
        return self._settings.command_timeout_seconds

    @property
    def current(self) -> Transaction | None:
        """The transaction whose reply comes next; from when it is the same one, its ``limit_seconds`` count."""
        return self._exchange.current

    @property
    def offer(self) -> Offer:
        """What the host offers; settled when it is ready."""
        return self._offer

    # --- What the link asks ---

    def send(self, job: Job) -> None:
        """
        Run a job, once after ``ready`` and after each ``wants_job``. Doesn't report anything before it returns.

        :raises RuntimeError: it wasn't asked for.
        """
        if not self._exchange.send(job):
            if not self._inside:
                self._wire.soon()
        elif not self._inside:
            self._outbox.flush()

    def close(self) -> None:
        """Take leave when no job is under way; at once if it isn't ready yet. Nothing is asked for any more."""
        if self.phase is Phase.READY:
            self._exchange.stop()
            if not self._inside and self._exchange.is_idle:
                self._turn_over()
        elif self.phase is not Phase.LEAVING:
            self.abort()

    def abort(self) -> None:
        """Drop the connection because we want to."""
        if self.phase is Phase.LEAVING:
            self._wire.abort()
        elif self.phase is Phase.READY:
            self._fall(None, "4.3.2")
        elif self.phase is not Phase.CLOSED:
            self._fail(LinkFailure(_STAGES[self.phase], "given up by us"))

    # --- Replies ---

    def _take(self, reply: Reply) -> None:
        phase = self.phase
        if phase is Phase.READY:
            if reply.code == 421:
                self._closed_by_host(reply)
            elif trouble := self._exchange.take(reply):
                self._violation(trouble)
        elif phase is Phase.GREETING:
            self._take_greeting(reply)
        elif phase is Phase.STARTTLS:
            self._take_starttls(reply)
        elif phase is Phase.LEAVING:
            self._wire.lose()
        elif phase is Phase.EHLO or phase is Phase.HELO:
            self._take_hello(reply)

    def _take_greeting(self, reply: Reply) -> None:
        if reply.code == 220:
            self._say_ehlo()
        elif reply.code >= 400:
            self._leave(LinkFailure("greeting", "the host refused us", reply, reply.is_permanent))
        else:
            self._violation(f"greeted with {reply.code}")

    def _take_hello(self, reply: Reply) -> None:
        if reply.is_positive:
            self._offer = NOTHING if self.phase is Phase.HELO else read_offer(reply)
            self._after_hello()
        elif reply.is_permanent and self.phase is Phase.EHLO:
            if self._needs_tls:
                self._leave(LinkFailure("tls", "the host knows no EHLO, and so no STARTTLS", reply))
            else:
                self.phase = Phase.HELO
                self._outbox.say(b"HELO %b\r\n" % self._settings.helo_name.encode())
        elif reply.code >= 400:
            self._leave(LinkFailure("ehlo", f"the host refused {self.phase.name}", reply, reply.is_permanent))
        else:
            self._violation(f"{self.phase.name} answered with {reply.code}")

    @property
    def _needs_tls(self) -> bool:
        """Whether TLS is needed and not there."""
        return self._tls is None and (self._need is TlsNeed.REQUIRED or self._need is TlsNeed.VERIFY)

    def _after_hello(self) -> None:
        if self._tls is None and self._offer.starttls and not self._clear:
            self.phase = Phase.STARTTLS
            self._outbox.say(b"STARTTLS\r\n")
        elif self._needs_tls:
            self._leave(LinkFailure("tls", "the host does not offer STARTTLS"))
        else:
            self.phase = Phase.READY
            self._exchange.begin(self._offer, self._tls)
            self._events.ready(self._tls)

    def _take_starttls(self, reply: Reply) -> None:
        if reply.code == 220:
            if self._reader.is_pending:
                # Anyone on the path may have written what stands behind the 220 in clear text, to be read as a reply
                # inside TLS. It is the counterpart of what RFC 3207 section 4.2 asks of the server.
                self._fail(LinkFailure("tls", "octets in clear text behind the reply to STARTTLS", reply))
                return
            self._reader = ReplyReader()
            self._offer = NOTHING
            self.phase = Phase.HANDSHAKE
            self._wire.start_tls()
        elif reply.code >= 400 and reply.code != 421 and not self._needs_tls:
            self._clear = True
            self._after_hello()
        elif reply.code >= 400:
            self._leave(LinkFailure("tls", "the host refused STARTTLS", reply), broken_tls=True)
        else:
            self._violation(f"STARTTLS answered with {reply.code}")

    def _take_unasked(self) -> None:
        """Octets that answer nothing. A host that takes its leave with 421 is heard, everybody else is dropped."""
        if self.phase is Phase.CLOSED:
            return
        reply = self._reader.next()
        if self.phase is Phase.HANDSHAKE:
            self._violation("octets in clear text during the handshake")
        elif reply is None:
            self._early = True
        elif self.phase is Phase.LEAVING:
            self._wire.lose()
        elif reply.code == 421:
            self._closed_by_host(reply)
        elif self._exchange.take_midway(reply):
            # The rest can't be sent, and the host can't be brought back into step.
            self._fall(LinkFailure("transaction", "the host refused content before its end", reply), "4.4.2")
        else:
            self._violation(f"a reply that nothing asked for: {reply.code}")

    def _say_ehlo(self) -> None:
        self.phase = Phase.EHLO
        self._outbox.say(b"EHLO %b\r\n" % self._settings.helo_name.encode())

    # --- Ends ---

    def _turn_over(self) -> bool:
        """At the end of whatever came from outside: what is done is reported, what is to go out goes out."""
        exchange = self._exchange
        if self.phase is Phase.READY:
            self._inside = True
            exchange.report_spoilt()
            self._inside = False
            if not exchange.takes_jobs and exchange.is_idle and self.phase is Phase.READY:
                self.phase = Phase.LEAVING
                self._outbox.say(b"QUIT\r\n")
        return self._outbox.flush()

    def _failure(self, reason: str, reply: Reply | None = None) -> LinkFailure:
        if self.phase is Phase.READY:
            return LinkFailure("idle" if self._exchange.is_idle else "transaction", reason, reply)
        return LinkFailure("tls" if self._tls is not None else _STAGES[self.phase], reason, reply)

    def _violation(self, reason: str) -> None:
        """It doesn't speak SMTP, or not to us."""
        if self.phase is Phase.LEAVING:
            self._wire.lose()
        else:
            self._fall(self._failure(reason), "4.5.0")

    def _closed_by_host(self, reply: Reply) -> None:
        """421: about the host, at any time (RFC 5321 section 3.8)."""
        self._fall(self._failure("the host closes the connection", reply), reply.status or "4.3.2")

    def _leave(self, failure: LinkFailure, *, broken_tls: bool = False) -> None:
        """Before READY: report it, and go with a QUIT, for which a host that refused us waits."""
        self._reported = True
        self.phase = Phase.LEAVING
        self._outbox.say(b"QUIT\r\n")
        self._events.failed(failure, broken_tls)

    def _fail(self, failure: LinkFailure, *, broken_tls: bool = False) -> None:
        """Before READY: report it, and drop the connection."""
        self._reported = True
        self.phase = Phase.CLOSED
        self._outbox.forget()
        self._wire.abort()
        self._events.failed(failure, broken_tls)

    def _fall(self, failure: LinkFailure | None, status: str) -> None:
        """The connection is of no more use. Jobs under way are delayed; ``None``: because we want it."""
        phase = self.phase
        if phase is not Phase.READY:
            if failure is not None:
                # Whatever goes wrong between STARTTLS and the first reply inside TLS may be TLS itself.
                broken_tls = phase is Phase.STARTTLS or phase is Phase.HANDSHAKE or self._tls is not None
                self._fail(failure, broken_tls=broken_tls)
            return
        self.phase = Phase.CLOSED
        self._reported = True
        self._outbox.forget()
        self._wire.abort()
        self._exchange.drop(failure, status, "dropped by us" if failure is None else failure.reason)
        self._events.gone(failure)
