"""
The least of HTTP: GET, and what counts is the status.

Connections are kept and shared by all who ask the same host. A server costs at most so many octets for each answer and
so many seconds; redirects are not followed, for they could lead anywhere.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, platformTrust, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web._newclient import RequestNotSent
from twisted.web.client import (
    URI,
    Agent,
    BrowserLikePolicyForHTTPS,
    HTTPConnectionPool,
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
)
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IResponse
from zope.interface import implementer

from smtpgw.model.domains import LookupTrouble

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 8.0
_IDLE_SECONDS = 30
_KEPT_CONNECTIONS = 4
_MOST_OCTETS = 64 * 1024
"""Of an answer, head and body. The connection of a longer one is dropped."""

_PEM_END = b"-----END CERTIFICATE-----"


class HttpClient:
    """Implements :data:`smtpgw.lookups.http.Get`."""

    def __init__(self, reactor: Any, authorities: Path | None = None) -> None:
        """
        :param authorities: of TLS, a PEM file; ``None``: the system's.
        :raises OSError: when it can't be read.
        """
        self._reactor = reactor
        self._pool = HTTPConnectionPool(reactor)
        self._pool.maxPersistentPerHost = _KEPT_CONNECTIONS
        self._pool.cachedConnectionTimeout = _IDLE_SECONDS
        self._endpoints = _Endpoints(reactor, authorities)
        self._agent = Agent.usingEndpointFactory(reactor, self._endpoints, self._pool)

    async def get(self, url: str, fields: Mapping[str, str]) -> int:
        """
        The status of the answer.

        :param url: ASCII, without userinfo.
        :raises LookupTrouble: when there is none in time.
        """
        headers = Headers({b"User-Agent": [b"smtpgw"], b"Accept": [b"*/*"]})
        for name, value in fields.items():
            headers.setRawHeaders(name.encode("ascii"), [value.encode("utf-8")])
        request = cast(Deferred[IResponse], self._agent.request(b"GET", url.encode("ascii"), headers))
        request.addTimeout(_ANSWER_SECONDS, self._reactor, _late)
        try:
            response = await request
        except (ResponseFailed, RequestTransmissionFailed, RequestGenerationFailed) as trouble:
            reasons = cast(list[Failure], trouble.reasons)
            words = "; ".join(f"{type(reason.value).__name__}: {reason.getErrorMessage()}" for reason in reasons)
            raise LookupTrouble(words) from None
        except (ConnectError, ConnectTimeout, ConnectionClosed, RequestNotSent) as trouble:
            raise LookupTrouble(f"{type(trouble).__name__}: {trouble}") from None
        # Read to its end, so that the connection can be used again; the bound and the idle time are the connection's.
        response.deliverBody(_Dropped(self._reactor))
        return int(response.code)

    async def close(self) -> None:
        """Drop every connection, in use or kept; who waits for an answer gets trouble."""
        await gatherResults([connection.abort() for connection in list(self._endpoints.connections)])
        await self._pool.closeCachedConnections()


def _late(_: object, seconds: float) -> Any:
    raise LookupTrouble(f"no answer within {seconds:g} seconds")


class _Dropped(Protocol):
    """A body that nobody reads."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def connectionMade(self) -> None:
        """Not for ever."""
        self._timer = self._reactor.callLater(_ANSWER_SECONDS, self._drop)

    def _drop(self) -> None:
        cast(ITCPTransport, self.transport).loseConnection()

    def connectionLost(self, reason: Failure | None = None) -> None:
        """It is over, one way or the other."""
        if self._timer.active():
            self._timer.cancel()


@implementer(IAgentEndpointFactory)
class _Endpoints:
    """By host name, over TLS for https, each connection bounded."""

    def __init__(self, reactor: Any, authorities: Path | None) -> None:
        self._reactor = reactor
        self.connections: set[Any] = set()
        trust = platformTrust() if authorities is None else trustRootFromCertificates(_certificates(authorities))
        self._policy = BrowserLikePolicyForHTTPS(trust)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: N802 - Twisted's name
        """See the interface."""
        host = uri.host.decode("ascii")
        endpoint: IStreamClientEndpoint = HostnameEndpoint(self._reactor, host, uri.port, _CONNECT_SECONDS)
        if uri.scheme == b"https":
            endpoint = wrapClientTLS(self._policy.creatorForNetloc(uri.host, uri.port), endpoint)
        return _BoundedEndpoint(endpoint, self.connections)


@implementer(IStreamClientEndpoint)
class _BoundedEndpoint:
    def __init__(self, endpoint: IStreamClientEndpoint, connections: set[Any]) -> None:
        self._endpoint = endpoint
        self._connections = connections

    def connect(self, protocolFactory: IProtocolFactory) -> "Deferred[IProtocol]":  # noqa: N803 - Twisted's name
        """See the interface."""
        return self._endpoint.connect(_BoundedFactory(protocolFactory, self._connections))


@implementer(IProtocolFactory)
class _BoundedFactory:
    """
    Limits what is received between one request and the next.

    Twisted's parser bounds a line of the head, but not how many there are.
    """

    noisy = False

    def __init__(self, factory: IProtocolFactory, connections: set[Any]) -> None:
        self._factory = factory
        self._connections = connections

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:
        """The factory's, with a count of octets before it."""
        protocol: Any = self._factory.buildProtocol(addr)
        if protocol is None:
            return None
        received, request, lost = protocol.dataReceived, protocol.request, protocol.connectionLost
        count = 0

        def counted(data: bytes) -> None:
            nonlocal count
            count += len(data)
            if count > _MOST_OCTETS:
                protocol.transport.abortConnection()
            else:
                received(data)

        def requested(what: Any) -> Any:
            nonlocal count
            count = 0
            return request(what)

        def ended(reason: Failure) -> None:
            self._connections.discard(protocol)
            lost(reason)

        self._connections.add(protocol)
        protocol.dataReceived, protocol.request, protocol.connectionLost = counted, requested, ended
        return cast(IProtocol, protocol)

    def doStart(self) -> None:  # noqa: N802 - Twisted's name
        """See the interface."""
        self._factory.doStart()

    def doStop(self) -> None:  # noqa: N802 - Twisted's name
        """See the interface."""
        self._factory.doStop()


def _certificates(path: Path) -> list[Certificate]:
    blocks = path.read_bytes().split(_PEM_END)[:-1]
    return [Certificate.loadPEM(block[block.index(b"-----BEGIN") :] + _PEM_END) for block in blocks]
