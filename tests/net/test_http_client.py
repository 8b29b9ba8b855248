"""The least of HTTP: statuses, and what a server may cost. Real connections are made in tests/integration."""

from pathlib import Path
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent, HTTPConnectionPool

from smtpgw.model.domains import LookupTrouble
from smtpgw.net import http_client
from smtpgw.net.http_client import HttpClient
from smtpgw.testing.certificates import Authority
from tests.lookups.rig import waited


class _Transport(StringTransport):
    aborted = False
    protocol: Any = None

    def abortConnection(self) -> None:
        """Note it."""
        self.aborted = True
        self.protocol.connectionLost(Failure(ConnectionDone()))


class _Endpoint:
    """Connects at once."""

    def __init__(self) -> None:
        self.connections: list[Any] = []

    def connect(self, factory: Any) -> Any:
        """One more."""
        from twisted.internet.defer import succeed

        protocol = factory.buildProtocol(None)
        transport = _Transport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        self.connections.append(protocol)
        return succeed(protocol)

    def endpointForURI(self, uri: Any) -> Any:
        """Bounded as the real ones are."""
        endpoint: Any = self
        return http_client._BoundedEndpoint(endpoint, set())


class HttpClientTests(SynchronousTestCase):
    """A status in time, or trouble."""

    def setUp(self) -> None:
        """A client without a network."""
        self.clock = Clock()
        self.endpoint = _Endpoint()
        self.client = HttpClient(self.clock)
        pool = HTTPConnectionPool(self.clock)
        pool.maxPersistentPerHost = 4
        self.client._agent = Agent.usingEndpointFactory(self.clock, self.endpoint, pool)

    def get(self) -> Any:
        """A question."""
        return waited(self.client.get("http://host/a?b=c", {"Authorization": "Basic xyz"}))

    def say(self, octets: bytes) -> None:
        """From the server, in pieces as the network would cut them."""
        protocol = self.endpoint.connections[-1]
        for start in range(0, len(octets), 4096):
            if not protocol.transport.aborted:
                protocol.dataReceived(octets[start : start + 4096])

    def trouble(self, asked: Any) -> str:
        """What it ended in."""
        return str(self.failureResultOf(asked, LookupTrouble).value)

    def test_status(self) -> None:
        """The request is a plain GET; two answers come over one connection."""
        for status in (200, 404, 302):
            asked = self.get()
            self.say(b"HTTP/1.1 %d what\r\nContent-Length: 3\r\nLocation: /b\r\n\r\nabc" % status)
            self.assertEqual(self.successResultOf(asked), status)
        self.assertEqual(len(self.endpoint.connections), 1)
        sent = self.endpoint.connections[0].transport.value()
        self.assertTrue(sent.startswith(b"GET /a?b=c HTTP/1.1\r\n"))
        self.assertEqual(sent.count(b"Authorization: Basic xyz\r\n"), 3)
        self.assertEqual(sent.count(b"GET "), 3)

    def test_late(self) -> None:
        """A server that says nothing, or never ends its head, is left after eight seconds."""
        for said in (b"", b"HTTP/1.1 200 OK\r\nX: y\r\n"):
            asked = self.get()
            self.say(said)
            self.clock.advance(8)
            self.assertIn("no answer within 8 seconds", self.trouble(asked))
            self.assertTrue(self.endpoint.connections[-1].transport.aborted)

    def test_endless_head(self) -> None:
        """A head without an end is cut at 64 KiB."""
        asked = self.get()
        self.say(b"HTTP/1.1 200 OK\r\n" + b"X-Y: z\r\n" * 10_000)
        self.trouble(asked)
        self.assertTrue(self.endpoint.connections[-1].transport.aborted)

    def test_endless_body(self) -> None:
        """A body is not waited for, nor kept; beyond 64 KiB its connection is dropped."""
        asked = self.get()
        self.say(b"HTTP/1.1 404 no\r\nContent-Length: 100000\r\n\r\n")
        self.assertEqual(self.successResultOf(asked), 404)
        self.say(b"x" * 70_000)
        self.assertTrue(self.endpoint.connections[-1].transport.aborted)
        self.clock.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slow_body(self) -> None:
        """A body that never ends does not hold its connection for ever."""
        asked = self.get()
        self.say(b"HTTP/1.1 404 no\r\nContent-Length: 100\r\n\r\nx")
        self.assertEqual(self.successResultOf(asked), 404)
        self.clock.advance(8)
        transport = self.endpoint.connections[-1].transport
        self.assertTrue(transport.aborted or transport.disconnecting)

    def test_no_http(self) -> None:
        """What is no HTTP is trouble."""
        for said in (b"220 mx ESMTP\r\n", b"\x00" * 100 + b"\r\n", b"HTTP/1.1 abc what\r\n\r\n"):
            asked = self.get()
            self.say(said)
            self.trouble(asked)

    def test_lost(self) -> None:
        """A connection that ends before the answer is trouble."""
        asked = self.get()
        self.endpoint.connections[-1].connectionLost(Failure(ConnectionDone()))
        self.assertIn("ConnectionDone", self.trouble(asked))


class AuthorityTests(SynchronousTestCase):
    """Whose certificates are trusted."""

    def test_file(self) -> None:
        """Every certificate of a PEM file, with text between them."""
        path = Path(self.mktemp())
        path.write_bytes(b"# one\n" + Authority().certificate + b"# two\n" + Authority().certificate)
        self.assertEqual(len(http_client._certificates(path)), 2)
        HttpClient(Clock(), path)

    def test_missing(self) -> None:
        """A file that isn't there is told at the start."""
        self.assertRaises(OSError, HttpClient, Clock(), Path("/nowhere.pem"))
