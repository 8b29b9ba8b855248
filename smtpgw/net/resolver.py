"""
Asks the name servers, for everybody in this process: dnspython's stub resolver, a cache of ours before it.

One question is on its way once, however many wait for its answer. Questions under way and waiting are bounded; beyond
the bounds, past the time limit, and for whatever else goes wrong, the answer is ``TEMPORARY``.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import dns.exception
import dns.flags
import dns.inet
import dns.message
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver
from dns.asyncresolver import Resolver as DnspythonResolver
from twisted.internet.defer import CancelledError, Deferred, FirstError, ensureDeferred, gatherResults
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from smtpgw.boundaries.world import Clock
from smtpgw.model.dns import Answer, AnswerStatus, RecordType
from smtpgw.net.dns_backend import TwistedBackend
from smtpgw.net.dns_cache import DnsCache, DnsKey, kept_seconds
from smtpgw.net.resolver_answers import question_name, records_of
from smtpgw.net.resolver_cost import is_affordable
from smtpgw.net.resolver_servers import Server, is_loopback, system_servers

T = TypeVar("T")

_log = Logger()

_PAYLOAD_OCTETS = 1232
"""What fits into one unfragmented packet on nearly every path (DNS flag day 2020)."""

_SERVER_SECONDS = 2.0
"""A server that hasn't answered by then has lost the packet, or lives too far away: the next one is asked."""

_TROUBLES = {
    "Timeout": "no answer",
    "LifetimeTimeout": "no answer",
    "ConnectionRefusedError": "connection refused",
    "OSError": "not reachable",
    "EOFError": "connection closed",
    "ChainTooLong": "too many aliases",
}
"""By the name of dnspython's exception; errors that it collects may also be names of response codes."""


async def gather(awaitables: Sequence[Awaitable[T]]) -> list[T]:
    """The results of all, in order; they run at the same time. The first exception is raised when one fails."""
    running: list[Deferred[T]] = [ensureDeferred(awaitable) for awaitable in awaitables]  # type: ignore[arg-type]
    try:
        return await gatherResults(running, consumeErrors=True)
    except FirstError as first:
        first.subFailure.raiseException()


def _what_went_wrong(trouble: Exception) -> str:
    """In a few words, and without the servers' addresses: it may get into a notification."""
    words = dict.fromkeys(
        error[3] if isinstance(error[3], str) else _TROUBLES.get(type(error[3]).__name__, "unreadable answer")
        for error in getattr(trouble, "kwargs", {}).get("errors", ())
    )
    return ", ".join(words) or _TROUBLES.get(type(trouble).__name__, type(trouble).__name__)


class _Abandoned(BaseException):
    """The question was cancelled. dnspython takes every ``Exception`` for a server's fault and asks the next one."""


class _Server(dns.nameserver.Do53Nameserver):
    """A server whose word on DNSSEC counts only when it is on this machine (RFC 7672 section 2.1.1)."""

    async def async_query(
        self,
        request: dns.message.QueryMessage,
        timeout: float,
        source: str | None,
        source_port: int,
        max_size: bool,
        backend: Any,
        one_rr_per_rrset: bool = False,
        ignore_trailing: bool = False,
    ) -> dns.message.Message:
        """An answer to the question, without the AD bit if anybody could have set it."""
        response: dns.message.Message
        try:
            if max_size:
                response = await self._by_tcp(request, timeout, backend)
            else:
                response = await super().async_query(
                    request, timeout, source, source_port, max_size, backend, one_rr_per_rrset, ignore_trailing
                )
        except CancelledError:
            raise _Abandoned from None
        if not is_loopback(self.address):
            response.flags &= ~dns.flags.AD
        return response

    async def _by_tcp(self, request: dns.message.QueryMessage, timeout: float, backend: Any) -> dns.message.Message:
        """As dnspython does it, but what is too dear is not read."""
        wire: bytes = await backend.wait_for(self._exchange(request, timeout, backend), timeout)
        if not is_affordable(wire):
            raise dns.exception.FormError("too much in one answer")
        response = dns.message.from_wire(wire)
        if not request.is_response(response):
            raise dns.exception.FormError("no answer to the question")
        return response

    async def _exchange(self, request: dns.message.QueryMessage, timeout: float, backend: Any) -> bytes:
        family = dns.inet.af_for_address(self.address)
        destination = (self.address, self.port)
        stream = await backend.make_socket(family, socket.SOCK_STREAM, 0, None, destination, timeout)
        try:
            await stream.sendall(request.to_wire(prepend_length=True), timeout)
            length = int.from_bytes(await _exactly(stream, 2), "big")
            return await _exactly(stream, length)
        finally:
            await stream.close()


async def _exactly(stream: Any, size: int) -> bytes:
    """That many octets. :raises EOFError: the stream ended before."""
    pieces = []
    while size:
        piece = await stream.recv(size, None)
        if not piece:
            raise EOFError
        size -= len(piece)
        pieces.append(piece)
    return b"".join(pieces)


class _Flight:
    """One question, and who waits for its answer."""

    __slots__ = ("is_over", "key", "name", "query", "timer", "waiters")

    def __init__(self, key: DnsKey, name: dns.name.Name) -> None:
        self.key = key
        self.name = name
        self.waiters: list[Deferred[Answer]] = []
        self.query: Deferred[Answer] | None = None
        self.timer: IDelayedCall | None = None
        self.is_over = False


class _FlightBackend(TwistedBackend):
    """
    Begins nothing for a question that is over.

    Cancelling alone is not enough: it may come while the socket of a server that was too slow is being closed, and then
    looks like that server's time limit.
    """

    def __init__(self, reactor: Any, flight: _Flight) -> None:
        super().__init__(reactor)
        self._flight = flight

    async def make_socket(self, *arguments: Any, **options: Any) -> Any:
        """As usual, or not at all."""
        if self._flight.is_over:
            raise _Abandoned
        return await super().make_socket(*arguments, **options)

    async def sleep(self, interval: float) -> None:
        """As usual, or not at all."""
        if self._flight.is_over:
            raise _Abandoned
        await super().sleep(interval)


class DnsResolver:
    """
    A stub resolver that implements :class:`smtpgw.boundaries.world.Resolver`.

    Records are validated as in :func:`smtpgw.net.resolver_answers.records_of`; an answer may be ``FOUND`` with no
    record left. Cancelling a lookup leaves the question running for others and for the cache.
    """

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[Server] | None,
        *,
        clock: Clock,
        deadline_seconds: float = 10.0,
        server_seconds: float = _SERVER_SECONDS,
        cache: DnsCache | None = None,
        max_running: int = 200,
        max_waiting: int = 5_000,
    ) -> None:
        """
        :param servers: in the order in which they are asked; ``None`` for the system's, when a file is read.
        :param deadline_seconds: for a lookup as a whole, time in line included.
        :param server_seconds: until the next server is asked.
        :param max_running: questions under way at a time; each has a socket.
        :param max_waiting: questions in line.
        """
        self._reactor = reactor
        self._clock = clock
        self._deadline_seconds = deadline_seconds
        self._cache = DnsCache() if cache is None else cache
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._flights: dict[DnsKey, _Flight] = {}
        self._line: deque[_Flight] = deque()
        self._running = 0
        self._is_closed = False
        self.servers: tuple[Server, ...] = system_servers() if servers is None else tuple(servers)
        resolver = DnspythonResolver(configure=False)
        resolver.nameservers = [_Server(host, port) for host, port in self.servers]
        resolver.timeout = server_seconds
        resolver.lifetime = deadline_seconds
        resolver.use_edns(0, 0, _PAYLOAD_OCTETS)
        resolver.flags = dns.flags.RD | dns.flags.AD
        self._dnspython = resolver

    async def lookup(self, name: str, record_type: RecordType) -> Answer:
        """See :class:`smtpgw.boundaries.world.Resolver`."""
        question = question_name(name)
        if question is None:
            return Answer(AnswerStatus.NO_NAME, expires_at=self._clock.time() + 3_600.0)
        key = (name.lower().removesuffix("."), record_type)
        known = self._cache.get(key, self._clock.time())
        if known is not None:
            return known
        flight = self._flights.get(key)
        if flight is None:
            if self._is_closed:
                return self._temporary("the resolver is closed")
            if self._running >= self._max_running and len(self._line) >= self._max_waiting:
                return self._temporary("too many questions wait for the name server")
            flight = self._take_off(key, question)
        waiter: Deferred[Answer] = Deferred()
        flight.waiters.append(waiter)
        return await waiter

    def close(self) -> None:
        """End every question; those who wait get a temporary failure, at once."""
        self._is_closed = True
        for flight in list(self._flights.values()):
            self._land(flight, self._temporary("the resolver is closed"))

    # --- One question ---

    def _take_off(self, key: DnsKey, question: dns.name.Name) -> _Flight:
        flight = self._flights[key] = _Flight(key, question)
        flight.timer = self._reactor.callLater(self._deadline_seconds, self._too_late, flight)
        self._line.append(flight)
        # From the reactor, not from here: an answer that is there at once must find its waiter.
        self._reactor.callLater(0, self._pump)
        return flight

    def _pump(self) -> None:
        line = self._line
        while line and self._running < self._max_running:
            flight = line.popleft()
            self._running += 1
            query = flight.query = Deferred.fromCoroutine(self._ask(flight))
            query.addBoth(self._answered, flight)

    def _answered(self, result: Answer | Failure, flight: _Flight) -> None:
        self._running -= 1
        if flight.is_over:
            self._pump()
            return
        if isinstance(result, Failure):
            # The boundary promises never to raise, and the waiters of a flight that fails would wait for ever.
            _log.failure("unexpected trouble with an answer about {name}", failure=result, name=str(flight.name))
            result = self._temporary(f"{result.type.__name__ if result.type else 'trouble'} in an answer")
        self._cache.put(flight.key, result, self._clock.time())
        self._land(flight, result)
        self._pump()

    def _too_late(self, flight: _Flight) -> None:
        flight.timer = None
        self._land(flight, self._temporary(f"no answer within {self._deadline_seconds:g} seconds"))

    def _land(self, flight: _Flight, answer: Answer) -> None:
        if flight.is_over:
            return
        flight.is_over = True
        del self._flights[flight.key]
        if flight.timer is not None:
            flight.timer.cancel()
            flight.timer = None
        if flight.query is None:
            self._line.remove(flight)
        else:
            flight.query.cancel()
        for waiter in flight.waiters:
            waiter.callback(answer)

    async def _ask(self, flight: _Flight) -> Answer:
        record_type = flight.key[1]
        try:
            found = await self._dnspython.resolve(
                flight.name,
                dns.rdatatype.from_text(record_type.value),
                raise_on_no_answer=False,
                search=False,
                backend=_FlightBackend(self._reactor, flight),
            )
        except dns.resolver.NXDOMAIN as absent:
            response = absent.response(flight.name)
            is_authenticated = bool(response.flags & dns.flags.AD)
            return self._answer(AnswerStatus.NO_NAME, response.resolve_chaining().minimum_ttl, is_authenticated)
        except (dns.exception.DNSException, OSError) as trouble:
            return self._temporary(_what_went_wrong(trouble))
        is_authenticated = bool(found.response.flags & dns.flags.AD)
        ttl_seconds = found.chaining_result.minimum_ttl
        if found.rrset is None:
            return self._answer(AnswerStatus.NO_DATA, ttl_seconds, is_authenticated)
        answer = self._answer(AnswerStatus.FOUND, ttl_seconds, is_authenticated)
        return Answer(answer.status, records_of(record_type, found.rrset), answer.expires_at, is_authenticated)

    def _answer(self, status: AnswerStatus, ttl_seconds: float, is_authenticated: bool) -> Answer:
        return Answer(status, (), self._clock.time() + kept_seconds(status, ttl_seconds), is_authenticated)

    def _temporary(self, detail: str) -> Answer:
        return Answer(AnswerStatus.TEMPORARY, expires_at=self._clock.time(), detail=detail)
