"""Octets to and from a milter, and how long each may take."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, NoRouteError
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.filters import FilterLost
from smtpgw.net.client_deadlines import Deadlines
from smtpgw.net.milter_client import MilterDialer, MilterLink


class LinkTests(SynchronousTestCase):
    """One connection."""

    def setUp(self):
        self.clock = Clock()
        self.link = MilterLink(self.clock, Deadlines(self.clock), 30.0)
        self.transport = StringTransport()
        self.link.makeConnection(self.transport)

    def hang_up(self):
        self.link.connectionLost(Failure(ConnectionDone()))

    def receive(self):
        return Deferred.fromCoroutine(self.link.receive())

    def pass_time(self, seconds):
        self.clock.pump([1.0] * seconds)

    def test_octets(self):
        """What is sent goes out at once; what comes is received, before it was asked for or after."""
        self.assertIsNone(self.link.send(b"question"))
        self.assertEqual(self.transport.value(), b"question")
        self.link.expect(5.0, 15.0)
        waiting = self.receive()
        self.link.dataReceived(b"answer")
        self.assertEqual(self.successResultOf(waiting), b"answer")
        self.link.dataReceived(b"one")
        self.link.dataReceived(b"two")
        self.assertTrue(self.link.has_input)
        self.assertEqual(self.successResultOf(self.receive()), b"onetwo")
        self.assertFalse(self.link.has_input)

    def test_silence(self):
        """An answer that does not come in time ends the connection, at once."""
        self.link.expect(5.0, 15.0)
        waiting = self.receive()
        self.pass_time(4)
        self.assertNoResult(waiting)
        self.pass_time(3)
        self.assertIn("too long", str(self.failureResultOf(waiting, FilterLost).value))
        self.assertTrue(self.transport.disconnected)
        self.assertFalse(self.link.is_open)

    def test_drops(self):
        """An answer that comes octet by octet has no more time than any other."""
        self.link.expect(5.0, 15.0)
        for _ in range(4):
            waiting = self.receive()
            self.pass_time(1)
            self.link.dataReceived(b"x")
            self.successResultOf(waiting)
        waiting = self.receive()
        self.pass_time(3)
        self.failureResultOf(waiting, FilterLost)

    def test_more_time(self):
        """A milter that asks for more time gets it, up to the last moment."""
        self.link.expect(5.0, 12.0)
        waiting = self.receive()
        for _ in range(4):
            self.pass_time(3)
            self.link.extend()
            self.link.dataReceived(b"p")
            if waiting.called and self.link.is_open:
                self.successResultOf(waiting)
                waiting = self.receive()
        self.pass_time(2)
        self.failureResultOf(waiting, FilterLost)

    def test_between_questions(self):
        """A connection that nobody asks anything may rest for as long as it likes."""
        self.link.expect(5.0, 15.0)
        self.link.dataReceived(b"answer")
        self.successResultOf(self.receive())
        self.pass_time(600)
        self.assertTrue(self.link.is_open)

    def test_back_pressure(self):
        """A milter that reads slowly holds the writer up; one that does not read at all is left."""
        self.link.pauseProducing()
        waiting = self.link.send(b"piece")
        self.pass_time(20)
        self.assertNoResult(waiting)
        self.link.resumeProducing()
        self.assertIsNone(self.successResultOf(waiting))
        self.assertIsNone(self.link.send(b"piece"))
        self.link.pauseProducing()
        waiting = self.link.send(b"piece")
        self.pass_time(32)
        self.failureResultOf(waiting, FilterLost)

    def test_pause(self):
        """Others get their turn."""
        waiting = Deferred.fromCoroutine(self.link.pause())
        self.assertNoResult(waiting)
        self.clock.advance(0)
        self.successResultOf(waiting)

    def test_flood(self):
        """What nobody asked for does not fill the memory."""
        for _ in range(5):
            self.link.dataReceived(bytes(65536))
        self.assertEqual(self.transport.producerState, "paused")
        self.successResultOf(self.receive())
        self.assertEqual(self.transport.producerState, "producing")

    def test_hangs_up(self):
        """Whoever waits, or asks later, hears of it."""
        waiting = self.receive()
        self.hang_up()
        self.assertIn("hung up", str(self.failureResultOf(waiting, FilterLost).value))
        self.failureResultOf(self.receive(), FilterLost)
        self.assertRaises(FilterLost, self.link.send, b"question")
        self.link.close(b"Q")
        self.assertEqual(self.transport.value(), b"")

    def test_last_words(self):
        """What came before it hung up is still received."""
        self.link.dataReceived(b"answer")
        self.hang_up()
        self.assertEqual(self.successResultOf(self.receive()), b"answer")

    def test_close(self):
        """The farewell goes out; then nothing is taken any more."""
        waiting = self.receive()
        self.link.close(b"Q")
        self.link.close(b"Q")
        self.failureResultOf(waiting, FilterLost)
        self.assertEqual((self.transport.value(), self.transport.disconnecting), (b"Q", True))
        self.link.dataReceived(b"late")
        self.assertFalse(self.link.has_input)

    def test_no_timer_is_left(self):
        """A milter that does not close in its turn is dropped after some seconds, and no timer runs on."""
        self.link.close(b"Q")
        self.pass_time(7)
        self.assertTrue(self.transport.disconnected)
        self.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DialerTests(SynchronousTestCase):
    """Where milters are."""

    def test_addresses(self):
        """TCP by address or name, Unix sockets; anything else is an error at the start."""
        reactor = MemoryReactorClock()
        for address, expected in (
            ("inet:127.0.0.1:11332", ("127.0.0.1", 11332)),
            ("inet:[::1]:8891", ("::1", 8891)),
        ):
            Deferred.fromCoroutine(MilterDialer(reactor, address, 30.0)())
            self.assertEqual((reactor.tcpClients[-1][:2], reactor.tcpClients[-1][3]), (expected, 5.0))
        Deferred.fromCoroutine(MilterDialer(reactor, "unix:/run/m.sock", 30.0)())
        self.assertEqual(reactor.unixClients[-1][0], "/run/m.sock")
        MilterDialer(reactor, "inet:milter.test:8891", 30.0)
        for address in ("", "inet:", "inet:host", "inet:host:0", "inet:host:x", "inet::1", "unix:", "tcp:a:1", "/a"):
            self.assertRaises(ValueError, MilterDialer, reactor, address, 30.0)

    def test_refused(self):
        """Nobody there: the reason is for the log."""
        reactor = MemoryReactorClock()
        waiting = Deferred.fromCoroutine(MilterDialer(reactor, "inet:127.0.0.1:1", 30.0)())
        factory = reactor.tcpClients[-1][2]
        factory.clientConnectionFailed(None, Failure(NoRouteError()))
        found = self.failureResultOf(waiting, FilterLost)
        self.assertIn("inet:127.0.0.1:1 can't be reached", str(found.value))

    def dial(self):
        return Deferred.fromCoroutine(self.dialer())

    def fail_last(self, seconds):
        self.reactor.advance(seconds)
        self.reactor.tcpClients[-1][2].clientConnectionFailed(None, Failure(ConnectTimeout()))

    def test_down(self):
        """One that does not answer keeps nobody waiting for a while; then one tries, and the others still don't."""
        self.reactor = MemoryReactorClock()
        self.dialer = MilterDialer(self.reactor, "inet:192.0.2.1:1", 30.0)
        waiting = [self.dial(), self.dial()]
        self.fail_last(5)
        self.reactor.tcpClients[0][2].clientConnectionFailed(None, Failure(ConnectTimeout()))
        for one in waiting:
            self.failureResultOf(one, FilterLost)
        self.reactor.advance(14.9)
        self.assertIn("192.0.2.1:1 can't be reached", str(self.failureResultOf(self.dial(), FilterLost).value))
        self.assertEqual(len(self.reactor.tcpClients), 2)
        self.reactor.advance(0.1)
        probe = self.dial()
        self.failureResultOf(self.dial(), FilterLost)
        self.assertEqual(len(self.reactor.tcpClients), 3)
        self.fail_last(5)
        self.failureResultOf(probe, FilterLost)
        self.failureResultOf(self.dial(), FilterLost)
        self.assertEqual(len(self.reactor.tcpClients), 3)
        # A client that goes away in the middle of its try leaves it to the next one.
        self.reactor.advance(15)
        probe = self.dial()
        self.reactor.advance(2)
        probe.cancel()
        self.failureResultOf(probe, FilterLost)
        probe = self.dial()
        self.assertEqual(len(self.reactor.tcpClients), 5)
        self.reactor.tcpClients[-1][2].buildProtocol(None).makeConnection(StringTransport())
        self.successResultOf(probe)
        self.dial()
        self.dial()
        self.assertEqual(len(self.reactor.tcpClients), 7)

    def test_refused_at_once(self):
        """A milter that is started anew is back with the next message."""
        self.reactor = MemoryReactorClock()
        self.dialer = MilterDialer(self.reactor, "inet:192.0.2.1:1", 30.0)
        for _ in range(3):
            waiting = self.dial()
            self.fail_last(0)
            self.failureResultOf(waiting, FilterLost)
        self.assertEqual(len(self.reactor.tcpClients), 3)

    def test_connected(self):
        """A link that is open."""
        reactor = MemoryReactorClock()
        waiting = Deferred.fromCoroutine(MilterDialer(reactor, "inet:127.0.0.1:1", 30.0)())
        protocol = reactor.tcpClients[-1][2].buildProtocol(None)
        protocol.makeConnection(StringTransport())
        self.assertTrue(self.successResultOf(waiting).is_open)
