"""
Asks a mail host for its recipients, over a few connections that are kept for a while.

Implements :data:`smtpgw.lookups.callahead.Probe`. Addresses travel, never mail, and in clear text: whoever needs more
asks a host in a network of ours.
"""

from collections import deque
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from smtpgw.model.address import Mailbox
from smtpgw.model.domains import LookupTrouble
from smtpgw.smtp.probe import Probe

_MOST_CONNECTIONS = 4
_MOST_WAITING = 100
_REPLY_SECONDS = 20.0
"""For the greeting and EHLO, and for each question: less than the deadline of whoever asks."""

_IDLE_SECONDS = 10.0
_LEAVE_SECONDS = 5.0
"""For the end of the connection after QUIT."""

_QUESTIONS_PER_CONNECTION = 100
"""Many hosts allow no more transactions in one session."""


class _Question:
    __slots__ = ("answer", "is_repeated", "mailbox")

    def __init__(self, mailbox: Mailbox, answer: Deferred[bool]) -> None:
        self.mailbox = mailbox
        self.answer = answer
        self.is_repeated = False

    def give(self, answer: bool | str) -> None:
        """At most one of all that is given counts; whoever has stopped waiting is past hearing."""
        if not self.answer.called:
            if isinstance(answer, bool):
                self.answer.callback(answer)
            else:
                self.answer.errback(LookupTrouble(answer))


class CallAhead:
    """One host. Used in the reactor's thread."""

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        helo_name: str,
        most_connections: int = _MOST_CONNECTIONS,
    ) -> None:
        """:param endpoint: connects to the host, or fails in a bounded time."""
        self.clock = clock
        self.helo_name = helo_name
        self._endpoint = endpoint
        self._most = self._allowed = most_connections
        self._waiting: deque[_Question] = deque()
        self._lines: set[_Line] = set()
        self._idle: list[_Line] = []
        self._closed = False

    async def __call__(self, mailbox: Mailbox) -> bool:
        """
        Whether the host takes a recipient. Cancelling drops the connection that asks, if one does.

        :raises LookupTrouble: when it doesn't say, or too many wait.
        """
        if self._closed or len(self._waiting) >= _MOST_WAITING:
            raise LookupTrouble("too many questions wait for the host")
        question: _Question
        answer: Deferred[bool] = Deferred(lambda _: self._given_up(question))
        question = _Question(mailbox, answer)
        self._waiting.append(question)
        self._serve()
        return await answer

    def close(self) -> None:
        """Drop every connection; what waits gets trouble."""
        self._closed = True
        for line in list(self._lines):
            line.end("the gateway stops")
        self._fail_waiting("the gateway stops")

    # --- Of the lines ---

    def idle(self, line: "_Line") -> None:
        """It is ready for a question."""
        self._idle.append(line)
        self._serve()

    def ended(self, line: "_Line", question: _Question | None, reason: str) -> None:
        """It is of no more use. :param question: that it has not answered."""
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        if question is not None:
            if line.answered and not question.is_repeated and not question.answer.called:
                # A connection that was kept too long says nothing about the host.
                question.is_repeated = True
                self._waiting.appendleft(question)
            else:
                question.give(reason)
        if not self._lines:
            self._allowed = self._most
        if not line.was_ready:
            if any(other.was_ready for other in self._lines):
                # It takes no more connections of ours; those that stand will do.
                self._allowed = max(1, len(self._lines))
            else:
                self._fail_waiting(reason)
        self._serve()

    # --- Inside ---

    def _serve(self) -> None:
        while self._waiting and self._idle:
            self._idle.pop().ask(self._waiting.popleft())
        if self._closed:
            return
        # They connect, or reset after an answer: soon they take a question.
        coming = sum(line.question is None for line in self._lines)
        while coming < len(self._waiting) and len(self._lines) < self._allowed:
            coming += 1
            line = _Line(self)
            self._lines.add(line)
            line.connect(self._endpoint)

    def _given_up(self, question: _Question) -> None:
        if question in self._waiting:
            self._waiting.remove(question)
            return
        for line in self._lines:
            if line.question is question:
                line.end("nobody waits for the answer any more")
                return

    def _fail_waiting(self, reason: str) -> None:
        waiting, self._waiting = self._waiting, deque()
        for question in waiting:
            question.give(reason)


class _Line(Protocol):
    """
    One connection, from the attempt on. Tells its owner once that it has ended.

    :ivar was_ready: the host has greeted us.
    :ivar answered: questions.
    """

    def __init__(self, owner: CallAhead) -> None:
        self._owner = owner
        self._attempt: Deferred[IProtocol] | None = None
        self._timer: IDelayedCall | None = None
        self._probe = Probe(owner.helo_name, self._send, self)
        self._over = False
        self.was_ready = False
        self.answered = 0
        self.question: _Question | None = None

    def connect(self, endpoint: IStreamClientEndpoint) -> None:
        """Begin."""
        self._wait(_REPLY_SECONDS)
        self._attempt = attempt = endpoint.connect(_Single(self))
        attempt.addErrback(self._not_connected)

    def ask(self, question: _Question) -> None:
        """Only when it is idle."""
        self.question = question
        self._wait(_REPLY_SECONDS)
        try:
            self._probe.ask(question.mailbox)
        except ValueError:
            # No recipient has such an address.
            self.probe_answered(False)
            self.probe_ready()

    def end(self, reason: str) -> None:
        """Drop the connection now."""
        if self._over:
            return
        self._over = True
        self._stop_timer()
        if self.transport is not None:
            cast(ITCPTransport, self.transport).abortConnection()
        elif self._attempt is not None:
            self._attempt.cancel()
        question, self.question = self.question, None
        self._owner.ended(self, question, reason)

    # --- What the transport tells ---

    def connectionMade(self) -> None:
        """Wait for the greeting."""
        if self._over:
            cast(ITCPTransport, self.transport).abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Replies, or pieces of them."""
        self._probe.feed(data)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - as Twisted has it
        """By whomever."""
        self.transport = None
        if self._over:
            self._stop_timer()
        self.end("the host closed the connection")

    def _not_connected(self, reason: Failure) -> None:
        self._attempt = None
        if not reason.check(CancelledError):
            self.end(f"can't connect: {reason.getErrorMessage()}")

    # --- What the dialogue tells ---

    def probe_ready(self) -> None:
        """It takes a question, if it has not had its share."""
        self.was_ready = True
        if self.answered >= _QUESTIONS_PER_CONNECTION:
            self._leave()
            return
        self._wait(_IDLE_SECONDS)
        self._owner.idle(self)

    def probe_answered(self, answer: bool | str) -> None:
        """The question has its answer; the dialogue goes on to be ready again."""
        self.answered += 1
        question, self.question = self.question, None
        if question is not None:
            question.give(answer)

    def probe_broken(self, reason: str) -> None:
        """Of no more use."""
        self.end(reason)

    # --- Inside ---

    def _send(self, octets: bytes) -> None:
        if self.transport is not None:
            self.transport.write(octets)

    def _leave(self) -> None:
        self._over = True
        self._stop_timer()
        self._probe.leave()
        if self.transport is not None:
            transport = cast(ITCPTransport, self.transport)
            self._timer = self._owner.clock.callLater(_LEAVE_SECONDS, transport.abortConnection)
            transport.loseConnection()
        self._owner.ended(self, None, "")

    def _wait(self, seconds: float) -> None:
        self._stop_timer()
        self._timer = self._owner.clock.callLater(seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        if self._probe.is_ready and self.question is None:
            self._leave()
        else:
            self.end("the host does not answer in time")

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


class _Single(Factory):
    """Of one connection."""

    noisy = False

    def __init__(self, line: _Line) -> None:
        self._line = line

    def buildProtocol(self, addr: IAddress | None) -> _Line:
        """The line."""
        return self._line
