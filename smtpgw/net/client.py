"""The client's side of SMTP on a connection of Twisted's: :class:`RelayFactory` and :class:`RelayProtocol`."""

from typing import Protocol as Interface
from typing import cast

from OpenSSL import SSL
from twisted.internet.error import ConnectBindError, ConnectionDone, ConnectionLost
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IAddress,
    IConnector,
    IConsumer,
    IHandshakeListener,
    IReactorTime,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpgw.boundaries.spool import Body
from smtpgw.boundaries.world import Threads
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.net.client_deadlines import Deadlines
from smtpgw.net.content import ContentStream
from smtpgw.net.tls import Peer, RelayTls, facts_of, openssl_reason
from smtpgw.net.transport import write_now
from smtpgw.smtp.conversation import Conversation
from smtpgw.smtp.conversation_terms import LinkEvents, RelaySettings
from smtpgw.smtp.conversation_transaction import Transaction

_NEVER = float("inf")


class Shared:
    """
    What all outgoing connections have in common.

    :ivar clock: the reactor, as a clock.
    """

    def __init__(self, clock: IReactorTime, settings: RelaySettings, threads: Threads, tls: RelayTls) -> None:
        self.clock = clock
        self.settings = settings
        self.threads = threads
        self.tls = tls
        self.deadlines = Deadlines(clock)


class Caller(LinkEvents, Interface):
    """Who wants the connection."""

    def connected(self, conversation: Conversation) -> None:
        """It stands, and the greeting is awaited."""

    def not_connected(self, reason: str) -> None:
        """It never stood."""


class RelayFactory(ClientFactory):
    """
    Makes the protocol of one connection attempt, and hears when there is no connection.

    Works with anything that takes a client factory: ``connectTCP``, endpoints, an in-memory transport of a test.
    """

    noisy = False

    def __init__(self, shared: Shared, caller: Caller, hop: Hop, need: TlsNeed, *, clear: bool = False) -> None:
        """:param clear: don't begin TLS although it is offered, unless it is needed."""
        self.shared = shared
        self.caller = caller
        self.hop = hop
        self.need = need
        self.clear = clear

    def buildProtocol(self, _addr: IAddress | None) -> "RelayProtocol":
        """The one protocol."""
        protocol = RelayProtocol(self)
        protocol.factory = self
        return protocol

    def clientConnectionFailed(self, connector: IConnector, reason: Failure) -> None:
        """Refused, unreachable, or silent for too long."""
        self.caller.not_connected(reason_of(reason))


@implementer(IHandshakeListener)
class RelayProtocol(Protocol):
    """
    Carries a :class:`Conversation`: it is its ``Wire``.

    :ivar deadline: see :class:`smtpgw.net.client_deadlines.Awaiting`.
    """

    def __init__(self, factory: RelayFactory) -> None:
        self._shared = factory.shared
        self._caller = factory.caller
        self._hop = factory.hop
        self._clock = factory.shared.clock
        self.conversation = Conversation(
            self, factory.caller, factory.shared.settings, factory.hop, factory.need, clear=factory.clear
        )
        self._transport: ITCPTransport
        self._peer: Peer | None = None
        self._stream: ContentStream | None = None
        self._current: Transaction | None = None
        self._limit = _NEVER
        self.deadline = _NEVER

    # --- What the transport tells ---

    def connectionMade(self) -> None:
        """Wait for the greeting."""
        self._transport = cast(ITCPTransport, self.transport)
        if ITCPTransport.providedBy(self._transport):
            # Without it, the second of two small writes waits for the acknowledgement of the first: 40 ms a message.
            self._transport.setTcpNoDelay(True)
        self._shared.deadlines.add(self)
        self._wait()
        self._caller.connected(self.conversation)

    def dataReceived(self, data: bytes) -> None:
        """Replies, or pieces of them."""
        if self.conversation.receive(data):
            self._wait()

    def handshakeCompleted(self) -> None:
        """TLS stands; who the peer is, is known now."""
        facts = facts_of(self._transport)
        if self._peer is not None and facts is not None:
            doubt = self._peer.doubt()
            self._peer = None
            self.conversation.secured(TlsFacts(facts.version, facts.cipher, not doubt), doubt)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone, whoever closed it."""
        self._shared.deadlines.discard(self)
        self._stop_stream()
        self.conversation.lost(reason_of(reason))

    def expire(self) -> None:
        """The deadline has passed."""
        if self._limit <= self._clock.seconds():
            self.conversation.expire("the transaction took too long")
        else:
            self.conversation.expire()
        self._wait()

    def _wait(self) -> None:
        conversation = self.conversation
        patience = conversation.patience_seconds
        if patience is None:
            self.deadline = self._limit = _NEVER
            self._current = None
            return
        now = self._clock.seconds()
        current = conversation.current
        if current is not self._current:
            self._current = current
            base = self._shared.settings.transaction_timeout_seconds
            self._limit = _NEVER if current is None else now + current.limit_seconds(base)
        self.deadline = min(now + patience, self._limit)

    # --- What the conversation asks: see Wire ---

    def write(self, octets: bytes) -> None:
        """Send octets, and wait for what they ask for."""
        write_now(self._transport, octets)
        self._wait()

    def stream(self, trace: bytes, body: Body) -> None:
        """Send content that isn't in memory."""
        conversation = self.conversation
        self._stream = ContentStream(
            cast(IConsumer, self._transport),
            self._shared.threads,
            moved=self._wait,
            sent=conversation.content_sent,
            lost=conversation.content_lost,
        )
        self._wait()
        self._stream.start(trace, body)

    def start_tls(self) -> None:
        """Begin the handshake."""
        self._peer = self._shared.tls.towards(self._hop.host)
        self._wait()
        cast(ITLSTransport, self._transport).startTLS(self._peer)

    def lose(self) -> None:
        """Close, and drop the connection if that takes too long: a peer that doesn't read could keep it for ever."""
        self._wait()
        self._transport.loseConnection()

    def abort(self) -> None:
        """Drop the connection."""
        self._stop_stream()
        self._transport.abortConnection()

    def soon(self) -> None:
        """In the next turn of the reactor."""
        self._clock.callLater(0, self.conversation.resume)

    def _stop_stream(self) -> None:
        if self._stream is not None:
            self._stream.stopProducing()
            self._stream = None


def reason_of(failure: Failure) -> str:
    """Why a connection ended or never stood, in one line for people."""
    trouble: BaseException = failure.value or Exception()
    if isinstance(trouble, SSL.Error):
        return f"TLS failed: {openssl_reason(trouble)}"
    if isinstance(trouble, ConnectionDone):
        return "the host closed the connection"
    if isinstance(trouble, ConnectionLost):
        return "the connection was lost"
    if isinstance(trouble, ConnectTimeout):
        return "no answer in time"
    text = next((argument for argument in trouble.args if argument), type(trouble).__name__)
    if isinstance(trouble, ConnectBindError):
        return f"can't connect from here: {text}"
    return str(text).rstrip(".")
