"""
dnspython's asynchronous resolver on Twisted: its sockets, time limits and pauses, on any POSIX reactor.

One datagram socket for each question, bound to a random port by the kernel and connected to the server: the kernel
then drops what others send, and a server that isn't there is known at once. Twisted's own datagram ports aren't used:
they write two log lines for every question. Nothing is read while nobody waits: a flood stays in the kernel's buffer.
"""

import socket
from collections.abc import Awaitable
from typing import Any, TypeVar

import dns.asyncbackend
import dns.exception
import dns.inet
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

T = TypeVar("T")

_MAX_DATAGRAM_OCTETS = 2048
"""More than the 1232 octets that we offer to take (EDNS0), for servers that don't look."""

_MAX_DATAGRAMS = 20
"""Read for one question, right ones and wrong ones; then it is asked anew from another port."""

_MAX_STREAM_OCTETS = 65_537
"""The longest answer over TCP with its length before it; reading pauses when more is buffered."""


async def _within(reactor: Any, seconds: float | None, waiting: Deferred[T]) -> T:
    """The result, or dnspython's ``Timeout``."""
    if seconds is not None:
        waiting.addTimeout(max(0.0, seconds), reactor)
    try:
        return await waiting
    except DeferredTimeout:
        raise dns.exception.Timeout(timeout=seconds) from None


@implementer(IReadDescriptor)
class _TwistedDatagrams(dns.asyncbackend.DatagramSocket):  # type: ignore[name-defined,misc]  # not re-exported formally
    """A connected UDP socket that is watched only while somebody waits."""

    def __init__(self, reactor: Any, sock: socket.socket) -> None:
        super().__init__(sock.family, socket.SOCK_DGRAM)
        self._reactor = reactor
        self._socket = sock
        self._waiter: Deferred[tuple[bytes, Any]] | None = None
        self._datagrams_left = _MAX_DATAGRAMS

    async def sendto(self, what: bytes, destination: Any, timeout: float | None) -> int:
        """Send to the server. A full buffer counts as a datagram that was lost on its way."""
        try:
            return self._socket.send(what)
        except BlockingIOError:
            return len(what)

    async def recvfrom(self, size: int, timeout: float | None) -> tuple[bytes, Any]:
        """One datagram and where it came from."""
        # Whoever forges answers as fast as we read them would otherwise hold the reactor in dnspython's loop.
        self._datagrams_left -= 1
        if self._datagrams_left < 0:
            raise dns.exception.Timeout(timeout=timeout)
        try:
            return self._socket.recvfrom(_MAX_DATAGRAM_OCTETS)
        except BlockingIOError:
            pass
        self._waiter = Deferred(lambda _: self._unwatch())
        self._reactor.addReader(self)
        return await _within(self._reactor, timeout, self._waiter)

    def _unwatch(self) -> None:
        self._waiter = None
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        """For the reactor."""
        return self._socket.fileno()

    def logPrefix(self) -> str:  # noqa: N802 - the reactor's name
        """For the reactor."""
        return "dns"

    def doRead(self) -> None:  # noqa: N802 - the reactor's name
        """The reactor found something to read, or an ICMP error."""
        waiter = self._waiter
        if waiter is None:
            return
        try:
            received = self._socket.recvfrom(_MAX_DATAGRAM_OCTETS)
        except BlockingIOError:
            return
        except OSError:
            self._unwatch()
            waiter.errback(Failure())
            return
        self._unwatch()
        waiter.callback(received)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor gave the descriptor up."""
        waiter = self._waiter
        if waiter is not None:
            self._unwatch()
            waiter.errback(Failure(OSError("the reactor closed the socket")))

    async def close(self) -> None:
        """Also while somebody waits, who then never hears of it."""
        if self._waiter is not None:
            self._unwatch()
        self._socket.close()


class _StreamProtocol(Protocol):
    """Buffers what is read, up to one answer."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.is_lost = False
        self.lost: Deferred[None] = Deferred()
        self.waiter: Deferred[None] | None = None
        self._is_paused = False

    def dataReceived(self, data: bytes) -> None:
        """Keep it, and stop reading when that is more than an answer can have."""
        self.buffer += data
        if len(self.buffer) > _MAX_STREAM_OCTETS and not self._is_paused:
            self._is_paused = True
            self.transport.pauseProducing()  # type: ignore[union-attr]  # set while connected
        self._wake()

    def take(self, size: int) -> bytes:
        """At most that many octets."""
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        if self._is_paused and len(self.buffer) <= _MAX_STREAM_OCTETS:
            self._is_paused = False
            self.transport.resumeProducing()  # type: ignore[union-attr]
        return taken

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The server, or we, have closed."""
        self.is_lost = True
        self._wake()
        self.lost.callback(None)

    def _wake(self) -> None:
        waiter, self.waiter = self.waiter, None
        if waiter is not None:
            waiter.callback(None)


class _TwistedStream(dns.asyncbackend.StreamSocket):  # type: ignore[name-defined,misc]
    """A TCP connection."""

    def __init__(self, reactor: Any, family: int, protocol: _StreamProtocol) -> None:
        super().__init__(family, socket.SOCK_STREAM)
        self._reactor = reactor
        self._protocol = protocol

    async def sendall(self, what: bytes, timeout: float | None) -> None:
        """Hand it to the transport, which has room for a question."""
        self._protocol.transport.write(what)  # type: ignore[union-attr]

    async def recv(self, size: int, timeout: float | None) -> bytes:
        """Up to that many octets; none at the end of the stream."""
        protocol = self._protocol
        if not protocol.buffer and not protocol.is_lost:
            waiter: Deferred[None] = Deferred(self._forget_waiter)
            protocol.waiter = waiter
            await _within(self._reactor, timeout, waiter)
        return protocol.take(size)

    def _forget_waiter(self, _: Deferred[None]) -> None:
        self._protocol.waiter = None

    async def close(self) -> None:
        """Abort, and wait until the transport is gone."""
        if not self._protocol.is_lost:
            self._protocol.transport.abortConnection()  # type: ignore[union-attr]
            await self._protocol.lost


class TwistedBackend(dns.asyncbackend.Backend):  # type: ignore[name-defined,misc]
    """What :mod:`dns.asyncresolver` needs. Its coroutines await Deferreds."""

    def __init__(self, reactor: Any) -> None:
        """:param reactor: with ``IReactorFDSet``, ``IReactorTCP`` and ``IReactorTime``."""
        self._reactor = reactor

    def name(self) -> str:
        """For dnspython."""
        return "twisted"

    def datagram_connection_required(self) -> bool:
        """Makes dnspython tell ``make_socket`` the server also for UDP."""
        return True

    async def make_socket(
        self,
        af: int,
        socktype: int,
        proto: int = 0,
        source: tuple[str, int] | None = None,
        destination: tuple[str, int] | None = None,
        timeout: float | None = None,
        ssl_context: Any = None,
        server_hostname: str | None = None,
    ) -> _TwistedDatagrams | _TwistedStream:
        """
        A socket to a server.

        :raises OSError: when it can't be had; dnspython then leaves the server alone.
        """
        if destination is None or ssl_context is not None:
            raise NotImplementedError("only plain DNS to one server")
        if socktype == socket.SOCK_DGRAM:
            return self._datagrams(af, source, destination)
        host, port = destination
        endpoint_class = TCP6ClientEndpoint if af == socket.AF_INET6 else TCP4ClientEndpoint
        seconds = 30.0 if timeout is None else max(0.001, timeout)
        endpoint = endpoint_class(self._reactor, host, port, timeout=seconds, bindAddress=source)
        try:
            protocol = await connectProtocol(endpoint, _StreamProtocol())
        except ConnectError as trouble:
            raise OSError(str(trouble)) from trouble
        return _TwistedStream(self._reactor, af, protocol)

    def _datagrams(self, af: int, source: tuple[str, int] | None, destination: tuple[str, int]) -> _TwistedDatagrams:
        sock = socket.socket(af, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            if source is not None:
                sock.bind(dns.inet.low_level_address_tuple(source, af))
            # Connecting binds to a port of the kernel's choice, which is a random one.
            sock.connect(dns.inet.low_level_address_tuple(destination, af))
        except OSError:
            sock.close()
            raise
        return _TwistedDatagrams(self._reactor, sock)

    async def sleep(self, interval: float) -> None:
        """Pause between two rounds of servers."""
        await deferLater(self._reactor, interval)

    async def wait_for(self, awaitable: Awaitable[T], timeout: float | None) -> T:
        """The awaitable's result, or dnspython's ``Timeout``."""
        return await _within(self._reactor, timeout, ensureDeferred(awaitable))  # type: ignore[arg-type]
