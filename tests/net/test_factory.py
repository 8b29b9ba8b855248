"""The listener: limits, deadlines, draining."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.notice import Connected, Rejected
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from tests.clauses import holds
from tests.net.server_rig import Rig
from tests.smtp.fakes import MemoryReception

_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"


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
            client.protocol.dataReceived(b"x")
            rig.clock.advance(1)
        self.assertEqual(client.said(), b"")
        for _ in range(4):
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

    def test_bound(self):
        """Whoever is in the middle of something and stays there is dropped after the bound."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\na\r\n")
        first, second = rig.factory.drain(bound_seconds=30), rig.factory.drain()
        rig.clock.pump([1] * 29)
        self.assertFalse(client.transport.is_aborted)
        rig.clock.advance(1)
        self.assertTrue(client.transport.is_aborted)
        client.lose()
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertTrue(rig.reception.intakes[0].is_abandoned)


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
