"""Next hops on loopback that behave as badly as told, and an owner of links that writes down what it hears."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from smtpgw.boundaries.relay import Job, Link, LinkFacts, LinkFailure
from smtpgw.model.outcome import Outcome
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.net import client_deadlines
from smtpgw.net.client_link import RelayLink
from smtpgw.net.dialer import TcpDialer
from smtpgw.net.server_tls import ServerTls
from smtpgw.net.tls import RelayTls
from smtpgw.smtp.conversation_terms import RelaySettings
from tests.smtp.test_conversation import Receiver

T = TypeVar("T")


class RealThreads:
    """The reactor's threads."""

    def run(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        return deferToThread(function, *arguments)


class NoThreads:
    """Blocking work is done at once, in the caller's thread."""

    def run(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        return maybeDeferred(function, *arguments)


class Owner:
    """
    Owns one link.

    :ivar jobs: given one by one as they are asked for; then the link is closed, unless ``stays``.
    :ivar ended: fires with the failure when the link is over.
    """

    def __init__(self, *jobs: Job, stays: bool = False) -> None:
        self.jobs = list(jobs)
        self.stays = stays
        self.facts: list[LinkFacts] = []
        self.outcomes: list[tuple[Outcome, ...]] = []
        self.events: list[str] = []
        self.ready: Deferred[LinkFacts] = Deferred()
        self.ended: Deferred[LinkFailure | None] = Deferred()

    def _next(self, link: Link) -> None:
        if self.jobs:
            link.send(self.jobs.pop(0))
        elif not self.stays:
            link.close()

    def link_ready(self, link: Link, facts: LinkFacts) -> None:
        self.events.append("ready")
        self.facts.append(facts)
        self._next(link)
        self.ready.callback(facts)

    def link_failed(self, link: Link, failure: LinkFailure) -> None:
        self.events.append("failed")
        self.ended.callback(failure)

    def link_wants_job(self, link: Link) -> None:
        self.events.append("wants_job")
        self._next(link)

    def link_finished(self, link: Link, job: Job, outcomes: tuple[Outcome, ...]) -> None:
        self.events.append("finished")
        self.outcomes.append(outcomes)

    def link_gone(self, link: Link, failure: LinkFailure | None) -> None:
        self.events.append("gone")
        self.ended.callback(failure)


class RudeProtocol(Protocol):
    """One connection to a rude host."""

    def __init__(self, host: "RudeHost") -> None:
        self.host = host
        self.receiver = Receiver(*host.keywords, faults=dict(host.faults))
        self.is_tls = False
        self._asks_tls = False
        self.wire: Any

    def connectionMade(self) -> None:
        self.wire = self.transport
        self.host.connections.append(self)
        self.host.open.add(self)
        self._say(self.receiver.greet())

    def dataReceived(self, data: bytes) -> None:
        self.host.heard.append(data)
        if self._asks_tls and not self.is_tls:
            # Only where the handshake is never begun: what comes now is the client's.
            self.host.handshakes.append(data)
            if self.host.breaks_with is not None:
                self._say(self.host.breaks_with)
            return
        if data.upper() == b"STARTTLS\r\n" and ("STARTTLS", 1) not in self.host.faults:
            self._asks_tls = True
            self._say(b"220 go\r\n" + self.host.behind_220)
            if self.host.tls is not None:
                self.is_tls = True
                self.receiver = Receiver(*self.host.keywords, faults=dict(self.host.faults_inside))
                self.wire.startTLS(self.host.tls)
            return
        if data.upper() == b"STARTTLS\r\n":
            self._say(self.host.faults["STARTTLS", 1])
            return
        replies = self.receiver.feed(data)
        self._say(replies)
        if self.receiver.verbs and self.receiver.verbs[-1] == "QUIT" and self.host.closes:
            self.wire.loseConnection()

    def _say(self, octets: bytes) -> None:
        octets, dropped, _ = octets.partition(b"<drop>")
        if octets:
            self.wire.write(octets)
        if dropped:
            self.wire.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.host.open.discard(self)
        if not self.host.open and self.host.emptied is not None:
            emptied, self.host.emptied = self.host.emptied, None
            emptied.callback(None)


class RudeHost(Factory):
    """
    A host and its manners.

    :ivar faults: see :class:`tests.smtp.test_conversation.Receiver`; ``<drop>`` in a reply drops the connection.
        ``("STARTTLS", 1)`` is its reply to STARTTLS.
    :ivar faults_inside: likewise, inside TLS.
    :ivar tls: begins the handshake; ``None`` with STARTTLS offered: says 220 and then ``breaks_with``.
    :ivar behind_220: written in clear text behind the reply to STARTTLS.
    :ivar closes: after QUIT.
    """

    noisy = False

    def __init__(self, *keywords: str, faults: dict[tuple[str, int], bytes] | None = None) -> None:
        self.keywords = keywords
        self.faults = faults or {}
        self.faults_inside: dict[tuple[str, int], bytes] = {}
        self.tls: ServerTls | None = None
        self.behind_220 = b""
        self.breaks_with: bytes | None = None
        self.closes = True
        self.connections: list[RudeProtocol] = []
        self.open: set[RudeProtocol] = set()
        self.heard: list[bytes] = []
        self.handshakes: list[bytes] = []
        self.emptied: Deferred[None] | None = None

    def buildProtocol(self, _addr: object) -> RudeProtocol:
        return RudeProtocol(self)

    @property
    def messages(self) -> list[tuple[bytes, list[bytes], bytes]]:
        """All that arrived."""
        return [message for one in self.connections for message in one.receiver.messages]


class LoopbackCase(TestCase):
    """A real dialer and real hosts, on loopback."""

    timeout = 20

    def listen(self, host: RudeHost, name: str = "127.0.0.1") -> Hop:
        """Serve a host until the end of the test."""
        from twisted.internet import reactor

        port = cast(Any, reactor).listenTCP(0, host, interface="127.0.0.1")

        def close() -> Any:
            stopped = maybeDeferred(port.stopListening)
            if not host.open:
                return stopped
            emptied: Deferred[None] = Deferred()
            host.emptied = emptied
            for one in list(host.open):
                one.wire.abortConnection()
            return stopped.addCallback(lambda _: emptied)

        self.addCleanup(close)
        return Hop(name, "127.0.0.1", port.getHost().port)

    def dialer(self, ca_path: str | None = None, **times: float) -> TcpDialer:
        """A dialer with our default times, or others."""
        from twisted.internet import reactor

        self.patch(client_deadlines, "_SWEEP_SECONDS", 0.05)
        settings = RelaySettings("gw.example.com", **times)
        return TcpDialer(cast(Any, reactor), settings, RelayTls(ca_path), RealThreads())

    def open(
        self,
        dialer: TcpDialer,
        hop: Hop,
        owner: Owner,
        need: TlsNeed = TlsNeed.OPPORTUNISTIC,
        source: str | None = None,
    ) -> RelayLink:
        """Open a link, and drop it at the end of the test if it still stands."""
        link = dialer.open(hop, need, source, owner)

        def drop() -> Any:
            if owner.ended.called:
                return None
            link.abort()
            return owner.ended

        self.addCleanup(drop)
        return link
