"""Connections to milters: octets and deadlines. What they say is read in :mod:`smtpgw.milter`."""

from __future__ import annotations

import math
from collections.abc import Awaitable
from ipaddress import ip_address
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    TCP6ClientEndpoint,
    UNIXClientEndpoint,
    connectProtocol,
)
from twisted.internet.error import ConnectError, ConnectingCancelledError, ConnectionClosed, DNSLookupError
from twisted.internet.interfaces import IPushProducer, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpgw.boundaries.filters import FilterLost
from smtpgw.net.client_deadlines import Deadlines

CONNECT_SECONDS = 5.0

_SLOW_SECONDS = 1.0
_DOWN_SECONDS = 15.0
"""After an attempt to connect that took as long and failed, nobody waits for another one for this time."""

_LEAVE_SECONDS = 5.0
"""For the farewell to get out."""

_MOST_INPUT_OCTETS = 256 * 1024
"""That nobody has received yet; beyond it the connection is not read."""


@implementer(IPushProducer)
class MilterLink(Protocol):
    """``FilterLink`` in :mod:`smtpgw.boundaries.filters` says what it promises."""

    deadline = math.inf
    """See ``Awaiting`` in :mod:`smtpgw.net.client_deadlines`."""

    def __init__(self, clock: IReactorTime, deadlines: Deadlines, stall_seconds: float) -> None:
        """:param stall_seconds: how long the milter may read nothing."""
        self.is_open = False
        # What a transport can beyond ``ITransport``: producers, and to abort.
        self._wire: Any = None
        self._clock = clock
        self._deadlines = deadlines
        self._stall_seconds = stall_seconds
        self._input = bytearray()
        self._receiver: Deferred[bytes] | None = None
        self._sender: Deferred[None] | None = None
        self._is_full = False
        self._answer_seconds = 0.0
        self._answer_by = math.inf
        self._answer_at_last = math.inf
        self._lost = ""

    # --- FilterLink ---

    def send(self, octets: bytes) -> Awaitable[None] | None:
        """See ``FilterLink.send``."""
        if not self.is_open:
            raise FilterLost(self._lost or "its connection is closed")
        self._wire.write(octets)
        if not self._is_full:
            return None
        waiting: Deferred[None] = Deferred()
        self._sender = waiting
        self.deadline = self._clock.seconds() + self._stall_seconds
        return waiting

    async def pause(self) -> None:
        """See ``FilterLink.pause``."""
        await deferLater(self._clock, 0)

    @property
    def has_input(self) -> bool:
        """See ``FilterLink.has_input``."""
        return bool(self._input)

    def expect(self, seconds: float, most_seconds: float) -> None:
        """See ``FilterLink.expect``."""
        self._answer_seconds = seconds
        self._answer_at_last = self._clock.seconds() + most_seconds
        self.extend()

    def extend(self) -> None:
        """See ``FilterLink.extend``."""
        self._answer_by = min(self._clock.seconds() + self._answer_seconds, self._answer_at_last)

    async def receive(self) -> bytes:
        """See ``FilterLink.receive``."""
        if self._input:
            octets = bytes(self._input)
            self._input.clear()
            if self.is_open:
                self._wire.resumeProducing()
            return octets
        if not self.is_open:
            raise FilterLost(self._lost or "its connection is closed")
        waiting: Deferred[bytes] = Deferred()
        self._receiver = waiting
        self.deadline = self._answer_by
        return await waiting

    def close(self, farewell: bytes = b"") -> None:
        """See ``FilterLink.close``."""
        if not self.is_open:
            return
        if farewell:
            self._wire.write(farewell)
        self._end("its connection was closed by us")
        self.deadline = self._clock.seconds() + _LEAVE_SECONDS
        self._wire.unregisterProducer()
        # So that the end of a milter that hangs is noticed, it is read on, and nothing of it kept.
        self._wire.resumeProducing()
        self._wire.loseConnection()

    # --- Awaiting ---

    def expire(self) -> None:
        """It took too long."""
        self.deadline = math.inf
        self._end("it took too long")
        self._wire.abortConnection()

    # --- Transport ---

    def connectionMade(self) -> None:
        """It stands."""
        self._wire = self.transport
        self.is_open = True
        self._wire.registerProducer(self, True)
        self._deadlines.add(self)

    def dataReceived(self, data: bytes) -> None:
        """Something came."""
        if not self.is_open:
            return
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            self.deadline = math.inf
            receiver.callback(data)
            return
        self._input += data
        if len(self._input) > _MOST_INPUT_OCTETS:
            self._wire.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is gone."""
        self.deadline = math.inf
        self._deadlines.discard(self)
        self._end("it has hung up")

    def _end(self, why: str) -> None:
        self.is_open = False
        self._lost = self._lost or why
        receiver, self._receiver = self._receiver, None
        sender, self._sender = self._sender, None
        for waiting in (receiver, sender):
            if waiting is not None and not waiting.called:
                waiting.errback(FilterLost(self._lost))

    # --- Producer ---

    def pauseProducing(self) -> None:
        """The milter reads more slowly than we write."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """It has read."""
        self._is_full = False
        sender, self._sender = self._sender, None
        if sender is not None:
            self.deadline = math.inf
            sender.callback(None)

    def stopProducing(self) -> None:
        """The connection is going; ``connectionLost`` follows."""


class MilterDialer:
    """
    Connects to one milter; ``OpenLink`` in :mod:`smtpgw.boundaries.filters`.

    A milter that does not answer at all is remembered as down: for some seconds, and then while one client tries
    again, the others hear so at once. What is refused at once costs nobody anything, and is tried every time.
    """

    def __init__(self, reactor: IReactorTime, address: str, timeout_seconds: float) -> None:
        """
        :param address: ``inet:host:port`` (IPv6 in brackets) or ``unix:path``.
        :raises ValueError: when it is neither.
        """
        self._reactor = reactor
        self._address = address
        self._endpoint = _endpoint(reactor, address)
        self._deadlines = Deadlines(reactor)
        self._timeout_seconds = timeout_seconds
        self._down = ""
        self._down_until = -math.inf
        self._is_probing = False

    async def __call__(self) -> MilterLink:
        """See ``OpenLink``."""
        if not self._down:
            return await self._connect()
        if self._is_probing or self._reactor.seconds() < self._down_until:
            raise FilterLost(self._down)
        self._is_probing = True
        try:
            return await self._connect()
        finally:
            self._is_probing = False

    async def _connect(self) -> MilterLink:
        link = MilterLink(self._reactor, self._deadlines, self._timeout_seconds)
        began = self._reactor.seconds()
        try:
            await connectProtocol(self._endpoint, link)
        except ConnectingCancelledError as trouble:
            # The client has gone, which says nothing about the milter.
            raise FilterLost(f"{self._address} was not reached in time: {_words(trouble)}") from trouble
        except (ConnectError, ConnectionClosed, DNSLookupError, OSError) as trouble:
            cause = f"{self._address} can't be reached: {_words(trouble)}"
            now = self._reactor.seconds()
            self._down = cause if now - began >= _SLOW_SECONDS else ""
            self._down_until = now + _DOWN_SECONDS
            raise FilterLost(cause) from trouble
        self._down = ""
        return link


def _endpoint(reactor: IReactorTime, address: str) -> IStreamClientEndpoint:
    kind, _, where = address.partition(":")
    if kind == "unix" and where:
        return UNIXClientEndpoint(reactor, where, timeout=CONNECT_SECONDS)
    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    if kind != "inet" or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{address!r} is neither inet:host:port nor unix:path")
    try:
        version = ip_address(host).version
    except ValueError:
        return HostnameEndpoint(reactor, host, int(port), timeout=CONNECT_SECONDS)
    endpoint = TCP4ClientEndpoint if version == 4 else TCP6ClientEndpoint
    return endpoint(reactor, host, int(port), timeout=CONNECT_SECONDS)


def _words(trouble: Exception) -> str:
    return str(trouble).strip().rstrip(".") or type(trouble).__name__
