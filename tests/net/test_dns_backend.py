"""Tests of :mod:`smtpgw.net.dns_backend`, on loopback."""

import socket
from itertools import pairwise
from typing import Any

import dns.asyncquery
import dns.exception
import dns.inet
import dns.message
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import SkipTest, TestCase

from smtpgw.model.dns import RecordType
from smtpgw.net.dns_backend import TwistedBackend
from smtpgw.testing.names import FakeNameServer, Fault

ZONE = {("a.example", RecordType.A): ["192.0.2.1"]}


class _BackendTestCase(TestCase):
    timeout = 10

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.backend = TwistedBackend(reactor)
        self.query = dns.message.make_query("a.example.", "A")

    def server(self, interface: str = "127.0.0.1") -> FakeNameServer:
        """A name server."""
        server = FakeNameServer(self.reactor, ZONE)
        try:
            server.start(interface)
        except CannotListenError as trouble:
            raise SkipTest("no such address on this machine") from trouble
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    async def datagrams(self, server: FakeNameServer) -> Any:
        """A socket to a server."""
        return await self.backend.make_socket(socket.AF_INET, socket.SOCK_DGRAM, destination=server.address)

    async def stream(self, address: tuple[str, int]) -> Any:
        """A connection to a server."""
        return await self.backend.make_socket(socket.AF_INET, socket.SOCK_STREAM, destination=address, timeout=1.0)


class QueryTests(_BackendTestCase):
    """dnspython's own functions run on it."""

    async def test_udp_and_tcp(self) -> None:
        """A question by each."""
        host, port = self.server().address
        for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
            answer = await ask(self.query, host, port=port, timeout=2.0, backend=self.backend)
            self.assertEqual(len(answer.answer), 1)

    async def test_ipv6(self) -> None:
        """A server with an IPv6 address."""
        host, port = self.server("::1").address
        for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
            answer = await ask(self.query, host, port=port, timeout=2.0, backend=self.backend)
            self.assertEqual(len(answer.answer), 1)

    async def test_random_ports(self) -> None:
        """Each question leaves from another port, none of them predictable from the one before."""
        server = self.server()
        sockets = [await self.datagrams(server) for _ in range(20)]
        ports = [sock._socket.getsockname()[1] for sock in sockets]
        for sock in sockets:
            await sock.close()
        steps = {after - before for before, after in pairwise(ports)}
        self.assertEqual(len(set(ports)), 20)
        self.assertGreater(len(steps), 10)


class DatagramTests(_BackendTestCase):
    """Questions by UDP."""

    async def test_timeout(self) -> None:
        """Silence ends in dnspython's Timeout, and the socket can be closed."""
        server = self.server()
        server.fault = Fault.DROP
        sock = await self.datagrams(server)
        await sock.sendto(self.query.to_wire(), server.address, None)
        with self.assertRaises(dns.exception.Timeout):
            await sock.recvfrom(65_535, 0.05)
        await sock.close()

    async def test_refused(self) -> None:
        """Where nobody listens the wait ends at once."""
        server = FakeNameServer(self.reactor)
        server.start()
        await server.stop()
        sock = await self.datagrams(server)
        await sock.sendto(self.query.to_wire(), server.address, None)
        with self.assertRaises(ConnectionRefusedError):
            await sock.recvfrom(65_535, 5.0)
        await sock.close()

    async def test_others_are_not_heard(self) -> None:
        """A datagram from another address is never seen."""
        server = self.server()
        server.fault = Fault.DROP
        sock = await self.datagrams(server)
        stranger = self.reactor.listenUDP(0, DatagramProtocol(), interface="127.0.0.1")
        stranger.write(b"forged", sock._socket.getsockname())
        with self.assertRaises(dns.exception.Timeout):
            await sock.recvfrom(65_535, 0.1)
        await stranger.stopListening()
        await sock.close()

    async def test_flood(self) -> None:
        """Whoever sends more than any answer needs doesn't keep us reading for ever."""
        server = self.server()
        sock = await self.datagrams(server)
        for _ in range(60):
            server._ports[1].write(b"x", sock._socket.getsockname())
        with self.assertRaises(dns.exception.Timeout):
            for _ in range(60):
                await sock.recvfrom(65_535, 1.0)
        await sock.close()

    async def test_closed_while_waiting(self) -> None:
        """Closing while somebody waits leaves nothing in the reactor."""
        sock = await self.datagrams(self.server())
        waiting = Deferred.fromCoroutine(sock.recvfrom(65_535, 0.05))
        await sock.close()
        await DeferredList([waiting], consumeErrors=True)
        self.assertNotIn(sock, self.reactor.getReaders())

    async def test_given_up(self) -> None:
        """When the reactor gives a socket up, whoever waits is told."""
        sock = await self.datagrams(self.server())
        waiting = Deferred.fromCoroutine(sock.recvfrom(65_535, 5.0))
        sock.connectionLost(None)
        with self.assertRaises(OSError):
            await waiting
        await sock.close()

    async def test_no_route(self) -> None:
        """An address that can't be reached is an OSError, and no socket stays open."""
        with self.assertRaises(OSError):
            await self.backend.make_socket(socket.AF_INET, socket.SOCK_DGRAM, destination=("255.255.255.255", 53))


class _Silent(Protocol):
    """Takes everything and says what it is told to."""

    said = b""

    def connectionMade(self) -> None:
        self.transport.write(self.said)  # type: ignore[union-attr]


class StreamTests(_BackendTestCase):
    """Questions by TCP."""

    def listen(self, said: bytes = b"") -> tuple[str, int]:
        """A server that says something and then nothing."""
        protocol = type("_Told", (_Silent,), {"said": said})
        port = self.reactor.listenTCP(0, Factory.forProtocol(protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        return "127.0.0.1", port.getHost().port

    async def test_timeout(self) -> None:
        """Silence ends in dnspython's Timeout."""
        stream = await self.stream(self.listen())
        await stream.sendall(b"x", None)
        with self.assertRaises(dns.exception.Timeout):
            await stream.recv(2, 0.05)
        await stream.close()

    async def test_pieces(self) -> None:
        """What was read is given out in the pieces that are asked for."""
        stream = await self.stream(self.listen(b"abcdef"))
        self.assertEqual([await stream.recv(2, 1.0), await stream.recv(100, 1.0)], [b"ab", b"cdef"])
        await stream.close()

    async def test_bounded(self) -> None:
        """A server that never stops talking is not read on."""
        stream = await self.stream(self.listen(bytes(3_000_000)))
        await deferLater(self.reactor, 0.1)
        self.assertLess(len(stream._protocol.buffer), 400_000)
        taken = 0
        while taken < 3_000_000:
            taken += len(await stream.recv(65_536, 2.0))
        await stream.close()

    async def test_end(self) -> None:
        """The end of the stream is no octets."""
        stream = await self.stream(self.listen())
        stream._protocol.transport.loseConnection()
        self.assertEqual(await stream.recv(2, 1.0), b"")
        await stream.close()

    async def test_refused(self) -> None:
        """Where nobody listens it is an OSError, so that dnspython leaves the server alone."""
        server = FakeNameServer(self.reactor)
        server.start()
        await server.stop()
        with self.assertRaises(OSError):
            await self.stream(server.address)


class BackendTests(_BackendTestCase):
    """The rest of it."""

    async def test_wait_for(self) -> None:
        """A wait has a limit."""

        async def later(seconds: float) -> str:
            await self.backend.sleep(seconds)
            return "done"

        self.assertEqual(await self.backend.wait_for(later(0.0), 5.0), "done")
        with self.assertRaises(dns.exception.Timeout):
            await self.backend.wait_for(later(5.0), 0.01)

    async def test_only_plain_dns(self) -> None:
        """TLS is not offered."""
        with self.assertRaises(NotImplementedError):
            await self.backend.make_socket(
                socket.AF_INET, socket.SOCK_STREAM, destination=("127.0.0.1", 1), ssl_context=1
            )
