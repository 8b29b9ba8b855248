"""The listener: limits, deadlines, draining."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import alsoProvides

from smtpgw.model.notice import Connected, Rejected
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from tests.clauses import holds
from tests.dialogues.test_dialogues import LineClient
from tests.net.server_rig import AbortingTransport, Rig
from tests.smtp.fakes import NO_RELAY, MemoryReception

_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"


class TlsTransport(AbortingTransport):
    """A transport with TLS around it, whose handshake is done when the test says so."""

    def __init__(self):
        super().__init__()
        alsoProvides(self, ISSLTransport)

    def setTcpNoDelay(self, enabled):
        pass

    def getHandle(self):
        return self

    def get_protocol_version_name(self):
        return "TLSv1.3"

    def get_cipher_name(self):
        return "X"


class LimitTests(SynchronousTestCase):
    """No more connections than allowed, and every one that ends makes room."""

    def test_in_all(self):
        """One too many gets 421 4.3.2 and is closed; counted are only those that stay."""
        rig = Rig(connections=3)
        clients = [rig.connect(f"192.0.2.{n}") for n in range(3)]
        refused = rig.connect("192.0.2.9")
        self.assertEqual(refused.said()[:10], b"421 4.3.2 ")
        self.assertTrue(refused.transport.disconnecting)
        self.assertEqual(rig.factory.connections, 3)
        refused.lose()
        self.assertEqual(rig.factory.connections, 3)
        clients.pop().lose()
        self.assertEqual(rig.connect("192.0.2.9").said()[:4], b"220 ")

    def test_per_client(self):
        """421 4.7.0; another client is let in."""
        rig = Rig(connections_per_client=2)
        first, _ = rig.connect(), rig.connect()
        self.assertEqual(rig.connect().said()[:10], b"421 4.7.0 ")
        self.assertEqual(rig.connect("192.0.2.2").said()[:4], b"220 ")
        first.lose()
        first.lose()
        self.assertEqual(rig.connect().said()[:4], b"220 ")
        self.assertEqual(rig.connect().said()[:10], b"421 4.7.0 ")

    def test_counts_return_to_nothing(self):
        """However connections end."""
        rig = Rig(connections=5, connections_per_client=2)
        clients = [rig.connect(f"192.0.2.{n % 4}") for n in range(20)]
        self.assertEqual(rig.factory.connections, 5)
        for client in clients:
            client.lose()
        self.assertEqual(rig.factory.connections, 0)
        self.assertEqual(dict(rig.factory._count._per_client), {})
        self.assertEqual(rig.factory._protocols, set())

    def test_no_limits(self):
        """Zero is none."""
        rig = Rig(connections=0, connections_per_client=0)
        self.assertEqual({rig.connect().said()[:4] for _ in range(100)}, {b"220 "})

    def test_notices(self):
        """Who came, and who was turned away."""
        rig = Rig(connections=1)
        rig.connect()
        rig.connect("192.0.2.2")
        first, second = rig.notices
        self.assertIsInstance(first, Connected)
        self.assertEqual(
            (first.client.address, first.client.listener, first.client.session_id), ("192.0.2.1", "tcp:25", "1")
        )
        self.assertIsInstance(second, Rejected)
        self.assertEqual((second.stage, second.client.address, second.refuse.reply.code), ("connect", "192.0.2.2", 421))


class DeadlineTests(SynchronousTestCase):
    """Time limits, kept by one sweep for all."""

    @holds("5321", "4.5.3.2.7", "A client that is idle up to the limit hears 421, and the connection is closed.")
    def test_idle(self):
        """421 4.4.2, then some seconds, then the connection is dropped."""
        rig = Rig(idle_timeout_seconds=10)
        client = rig.connect()
        client.said()
        rig.clock.pump([1] * 9)
        self.assertEqual(client.said(), b"")
        rig.clock.pump([1] * 2)
        self.assertEqual(client.said()[:10], b"421 4.4.2 ")
        self.assertTrue(client.transport.disconnecting)
        self.assertFalse(client.transport.is_aborted)
        rig.clock.pump([1] * 9)
        self.assertTrue(client.transport.is_aborted)

    def test_octet_by_octet(self):
        """Octets that never become a command are no progress."""
        rig = Rig(idle_timeout_seconds=10)
        client = rig.connect()
        for _ in range(11):
            client.protocol.dataReceived(b"x")
            rig.clock.advance(1)
        self.assertIn(b"421 4.4.2 ", client.said())

    def test_slow_content(self):
        """Content that comes slowly does come; only the whole session has an end."""
        rig = Rig(idle_timeout_seconds=10, session_timeout_seconds=100)
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n")
        for _ in range(98):
            client.protocol.dataReceived(b"x" * 10)
            rig.clock.advance(1)
        self.assertEqual(client.said(), b"")
        for _ in range(4):
            client.protocol.dataReceived(b"x" * 10)
            rig.clock.advance(1)
        self.assertEqual(client.said()[:10], b"421 4.4.2 ")
        self.assertTrue(rig.reception.intakes[0].is_abandoned)

    def test_dripping_content(self):
        """Content that comes octet by octet is as good as silence."""
        rig = Rig(idle_timeout_seconds=10)
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n")
        for _ in range(12):
            client.protocol.dataReceived(b"x")
            rig.clock.advance(1)
        self.assertEqual(client.said()[:10], b"421 4.4.2 ")
        self.assertTrue(rig.reception.intakes[0].is_abandoned)

    def test_our_time(self):
        """While we think, no time runs out; the answer comes, however late."""
        rig = Rig(idle_timeout_seconds=10, session_timeout_seconds=100)
        rig.reception.is_late = True
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n.\r\n")
        rig.clock.pump([1] * 500)
        self.assertFalse(client.transport.disconnecting)
        rig.reception.intakes[0].done(rig.reception.final)
        self.assertIn(b"250 2.0.0 Ok: queued", client.said())
        rig.clock.pump([1] * 9)
        self.assertFalse(client.transport.disconnecting)

    def test_no_timer_without_connections(self):
        """Nothing runs when nobody is there."""
        rig = Rig()
        self.assertEqual(rig.clock.getDelayedCalls(), [])
        clients = [rig.connect() for _ in range(10)]
        self.assertEqual(len(rig.clock.getDelayedCalls()), 1)
        for client in clients:
            client.lose()
        rig.clock.pump([1] * 2)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_stopped(self):
        """A closed listener leaves no timer behind; its connections keep their deadlines until they are gone."""
        rig = Rig(idle_timeout_seconds=10)
        client = rig.connect()
        rig.factory.doStop()
        rig.clock.pump([1] * 11)
        self.assertIn(b"421 4.4.2 ", client.said())
        client.lose()
        self.assertEqual(rig.clock.getDelayedCalls(), [])


class DrainTests(SynchronousTestCase):
    """Shutting down loses nothing and takes a bounded time."""

    def test_empty(self):
        """Nobody there, nothing to wait for."""
        rig = Rig()
        self.successResultOf(rig.factory.drain())
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_idle_and_new(self):
        """Idle clients hear it at once, new ones at the door."""
        rig = Rig()
        client = rig.connect().greet()
        drained = rig.factory.drain()
        self.assertEqual(client.said(), b"421 4.3.2 Service shutting down, try again later\r\n")
        self.assertTrue(client.transport.disconnecting)
        late = rig.connect()
        self.assertEqual(late.said()[:10], b"421 4.3.2 ")
        self.assertNoResult(drained)
        client.lose()
        late.lose()
        self.successResultOf(drained)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_owed_answers_first(self):
        """A message whose answer is owed gets it, and the next command 421."""
        rig = Rig()
        rig.reception.is_late = True
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\na\r\n.\r\nMAIL FROM:<a@x.example>\r\n")
        rig.factory.drain()
        self.assertEqual(client.said(), b"")
        rig.reception.intakes[0].done(rig.reception.final)
        said = client.said().split(b"\r\n")
        self.assertEqual([line[:9] for line in said], [b"250 2.0.0", b"421 4.3.2", b""])

    def test_end_of_transaction(self):
        """Content that ends while we drain gets its reply, and 421 4.3.2 right behind it, also when it is late."""
        for is_late in (False, True):
            rig = Rig()
            rig.reception.is_late = is_late
            client = rig.connect().greet()
            client.send(_ONE + b"DATA\r\na\r\n")
            drained = rig.factory.drain()
            said = client.send(b".\r\n")
            if is_late:
                self.assertEqual(said, b"")
                rig.reception.intakes[0].done(rig.reception.final)
                said = client.said()
            self.assertEqual([line[:9] for line in said.splitlines()], [b"250 2.0.0", b"421 4.3.2"])
            self.assertTrue(client.transport.disconnecting)
            client.lose()
            self.successResultOf(drained)

    def test_refused_sender(self):
        """A MAIL whose answer comes late and is no: nothing is under way any more."""
        rig = Rig()
        late = Deferred()
        rig.reception.on_mail = lambda mail: late
        client = rig.connect().greet()
        client.send(b"MAIL FROM:<a@x.example>\r\n")
        rig.factory.drain()
        late.callback(NO_RELAY)
        self.assertEqual([line[:9] for line in client.said().splitlines()], [b"550 5.7.1", b"421 4.3.2"])
        self.assertTrue(client.transport.disconnecting)

    def test_timeout(self):
        """A time limit that is reached meanwhile: the reason is ours."""
        rig = Rig(idle_timeout_seconds=5)
        client = rig.connect().greet()
        client.send(_ONE)
        rig.factory.drain(30)
        rig.clock.pump([1] * 6)
        self.assertEqual(client.said()[:10], b"421 4.3.2 ")
        self.assertTrue(client.transport.disconnecting)

    def test_handshake(self):
        """A client that is in its TLS handshake then hears 421 4.3.2 instead of the banner."""
        rig = Rig(tls="implicit", tls_context=object())
        client = rig.connect(transport=TlsTransport())
        rig.factory.drain()
        self.assertFalse(client.transport.disconnecting)
        client.protocol.handshakeCompleted()
        self.assertEqual(client.said()[:10], b"421 4.3.2 ")
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual([(n.stage, n.refuse.reply.status) for n in rig.notices], [("connect", "4.3.2")])

    def test_bound_in_a_handshake(self):
        """Nothing can be said yet: closed at the bound."""
        rig = Rig(tls="implicit", tls_context=object())
        client = rig.connect(transport=TlsTransport())
        rig.factory.drain(1)
        rig.clock.advance(1)
        self.assertEqual(client.said(), b"")
        self.assertTrue(client.transport.disconnecting)

    def test_bound_while_an_answer_is_owed(self):
        """421 4.3.2 is the answer then; what comes later goes nowhere."""
        rig = Rig()
        cancelled = []
        rig.reception.on_mail = lambda mail: Deferred(cancelled.append)
        client = rig.connect().greet()
        client.send(_ONE)
        rig.factory.drain(1)
        rig.clock.advance(1)
        self.assertEqual(client.said(), b"421 4.3.2 Service shutting down, try again later\r\n")
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(len(cancelled), 1)

    def test_bound(self):
        """Whoever is in the middle of something then hears 421 4.3.2, and has two seconds to take it."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\na\r\n")
        first, second = rig.factory.drain(bound_seconds=30), rig.factory.drain()
        rig.clock.pump([1] * 29)
        self.assertFalse(client.transport.disconnecting)
        client.said()
        rig.clock.advance(1)
        self.assertEqual(client.said(), b"421 4.3.2 Service shutting down, try again later\r\n")
        self.assertTrue(client.transport.disconnecting)
        self.assertTrue(rig.reception.intakes[0].is_abandoned)
        third = rig.factory.drain()
        rig.clock.advance(1)
        self.assertFalse(client.transport.is_aborted)
        rig.clock.advance(1)
        self.assertTrue(client.transport.is_aborted)
        client.lose()
        for drained in (first, second, third):
            self.successResultOf(drained)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_bound_reached_and_let_go(self):
        """A client that takes its 421 at once leaves nothing to wait for."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ONE)
        drained = rig.factory.drain(1)
        rig.clock.advance(1)
        client.lose()
        self.successResultOf(drained)
        self.assertEqual(rig.clock.getDelayedCalls(), [])


class DrainOverTcpTests(TestCase):
    """What a client really hears."""

    timeout = 20

    async def start(self):
        self.factory = GatewayFactory(MemoryReception(), ServerSettings(hostname="mx.example"), reactor)
        port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        client = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), LineClient())
        client.transport.write(b"HELO c\r\n" + _ONE + b"DATA\r\na\r\n")
        for code in (b"220", b"250", b"250", b"250", b"354"):
            self.assertEqual((await client.line())[:3], code)
        return client

    async def test_end_of_content(self):
        """The reply, the farewell, and the end."""
        client = await self.start()
        drained = self.factory.drain(10)
        client.transport.write(b".\r\n")
        self.assertEqual((await client.line())[:10], b"250 2.0.0 ")
        self.assertEqual((await client.line())[:10], b"421 4.3.2 ")
        await client.gone
        await drained

    async def test_bound(self):
        """The farewell, and a proper end of the connection."""
        client = await self.start()
        drained = self.factory.drain(0.01)
        self.assertEqual((await client.line())[:10], b"421 4.3.2 ")
        await client.gone
        self.assertTrue(client.reason.check(ConnectionDone))
        await drained


class MakingTests(SynchronousTestCase):
    """What a factory gives its protocols."""

    def test_twisted_attributes(self):
        """Portal, challengers and host, as with Twisted's factory."""
        rig = Rig()
        rig.factory.portal = object()
        rig.factory.challengers = {b"X": object}
        protocol = rig.factory.buildProtocol(None)
        self.assertIs(protocol.factory, rig.factory)
        self.assertIs(protocol.portal, rig.factory.portal)
        self.assertIs(protocol.challengers, rig.factory.challengers)
        self.assertEqual(protocol.host, b"mx.example")

    def test_tls_needs_a_certificate(self):
        """A listener that must have TLS and can't is not made."""
        for tls in ("required", "implicit"):
            settings = ServerSettings(hostname="mx", tls=tls)
            self.assertRaises(ValueError, GatewayFactory, MemoryReception(), settings, Clock())

    def test_tls_off(self):
        """A certificate alone does not offer TLS."""
        rig = Rig(tls_context=object(), tls="off")
        self.assertIsNone(rig.factory.buildProtocol(None).ctx)

    def test_session_ids(self):
        """Each connection has its own."""
        factory = GatewayFactory(
            MemoryReception(), ServerSettings(hostname="mx"), Clock(), new_session_id=iter("abc").__next__
        )
        self.assertEqual([factory.new_session_id() for _ in range(3)], ["a", "b", "c"])
