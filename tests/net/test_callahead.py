"""Asking a mail host for its recipients: connections, time and how many of each."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.domains import LookupTrouble
from smtpgw.net.callahead import CallAhead
from tests.lookups.rig import waited

ALICE, BOB = Mailbox("alice", "ours.example"), Mailbox("bob", "ours.example")


class _Transport(StringTransport):
    aborting = False

    def abortConnection(self) -> None:
        """Note it."""
        self.aborting = True


class _Line:
    """The host's side of a connection."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.transport = _Transport()
        protocol.makeConnection(self.transport)

    def say(self, *lines: bytes) -> None:
        """Replies."""
        for line in lines:
            self.protocol.dataReceived(line + b"\r\n")

    def greet(self) -> None:
        """Greeting and EHLO."""
        self.say(b"220 mx", b"250 mx")

    def answer(self, reply: bytes) -> None:
        """To MAIL, RCPT and RSET."""
        self.say(b"250 ok", reply, b"250 ok")

    def lose(self) -> None:
        """Close it."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def asked(self) -> bytes:
        """All that came."""
        return bytes(self.transport.value())


class _Endpoint:
    def __init__(self) -> None:
        self.attempts: list[tuple[Any, Deferred[Any]]] = []
        self.cancelled = 0

    def connect(self, factory: Any) -> Deferred[Any]:
        """Later."""

        def cancel(_: Deferred[Any]) -> None:
            self.cancelled += 1

        attempt: Deferred[Any] = Deferred(cancel)
        self.attempts.append((factory, attempt))
        return attempt

    def accept(self) -> _Line:
        """The oldest attempt."""
        factory, attempt = self.attempts.pop(0)
        line = _Line(factory.buildProtocol(None))
        attempt.callback(line.protocol)
        return line

    def refuse(self) -> None:
        """The oldest attempt."""
        self.attempts.pop(0)[1].errback(ConnectError())


class CallAheadTests(SynchronousTestCase):
    """A few connections, each with one question at a time."""

    def setUp(self) -> None:
        """A host."""
        self.clock = Clock()
        self.endpoint = _Endpoint()
        endpoint: Any = self.endpoint
        self.ahead = CallAhead(endpoint, self.clock, "gw.test", most_connections=2)

    def ask(self, mailbox: Mailbox = ALICE) -> Deferred[Any]:
        """A question."""
        return waited(self.ahead(mailbox))

    def trouble(self, asked: Deferred[Any]) -> str:
        """What it ended in."""
        return str(self.failureResultOf(asked, LookupTrouble).value)

    def test_answers(self) -> None:
        """Over one connection, as long as it is kept."""
        asked = self.ask()
        line = self.endpoint.accept()
        line.greet()
        line.answer(b"250 ok")
        self.assertIs(self.successResultOf(asked), True)
        asked = self.ask(BOB)
        line.answer(b"550 5.1.1 no")
        self.assertIs(self.successResultOf(asked), False)
        asked = self.ask()
        line.answer(b"450 later")
        self.assertEqual(self.trouble(asked), "RCPT: 450 later")
        self.assertEqual(self.endpoint.attempts, [])

    def test_idle(self) -> None:
        """It leaves with QUIT after ten seconds, and the connection is dropped if that does not end it."""
        self.ask()
        line = self.endpoint.accept()
        line.greet()
        line.answer(b"250 ok")
        self.clock.advance(10)
        self.assertTrue(line.asked.endswith(b"RSET\r\nQUIT\r\n"))
        self.assertTrue(line.transport.disconnecting and not line.transport.aborting)
        self.clock.advance(5)
        self.assertTrue(line.transport.aborting)
        line.lose()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.ask()
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_two_at_most(self) -> None:
        """No more connections than allowed; others wait for one to be free."""
        asked = [self.ask(Mailbox(f"u{number}", "ours.example")) for number in range(4)]
        self.assertEqual(len(self.endpoint.attempts), 2)
        lines = [self.endpoint.accept(), self.endpoint.accept()]
        for line in lines:
            line.greet()
        for _ in range(2):
            for line in lines:
                line.answer(b"250 ok")
        self.assertEqual([self.successResultOf(each) for each in asked], [True] * 4)

    def test_too_many(self) -> None:
        """Those who would wait behind a hundred others get trouble at once."""
        for number in range(100):
            self.ask(Mailbox(f"u{number}", "ours.example"))
        self.assertIn("too many", self.trouble(self.ask()))

    def test_share(self) -> None:
        """After a hundred questions a connection is closed, and another opened."""
        line = None
        for _ in range(100):
            asked = self.ask()
            if line is None:
                line = self.endpoint.accept()
                line.greet()
            line.answer(b"250 ok")
            self.successResultOf(asked)
        assert line is not None
        self.assertTrue(line.asked.endswith(b"QUIT\r\n"))
        self.ask()
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_refused(self) -> None:
        """A host that can't be reached is trouble for all who wait, and is tried again for the next."""
        asked = [self.ask(), self.ask(BOB)]
        self.endpoint.refuse()
        for each in asked:
            self.assertIn("can't connect", self.trouble(each))
        self.endpoint.refuse()
        self.assertEqual(self.endpoint.attempts, [])
        self.ask()
        self.assertEqual(len(self.endpoint.attempts), 1)

    def test_fewer_connections(self) -> None:
        """A host that takes one connection only is asked over that one."""
        asked = [self.ask(), self.ask(BOB), self.ask()]
        self.assertEqual(len(self.endpoint.attempts), 2)
        line = self.endpoint.accept()
        line.greet()
        self.endpoint.accept().say(b"421 4.7.0 too many connections")
        self.assertEqual(self.endpoint.attempts, [])
        for _ in range(3):
            line.answer(b"250 ok")
        self.assertEqual([self.successResultOf(each) for each in asked], [True] * 3)

    def test_kept_too_long(self) -> None:
        """A kept connection that ends under a question is replaced once, and nobody notices."""
        self.ask()
        line = self.endpoint.accept()
        line.greet()
        line.answer(b"250 ok")
        asked = self.ask()
        line.lose()
        self.assertNoResult(asked)
        line = self.endpoint.accept()
        line.greet()
        line.answer(b"250 ok")
        self.assertIs(self.successResultOf(asked), True)

    def test_lost(self) -> None:
        """A fresh connection that ends without an answer is trouble."""
        asked = self.ask()
        line = self.endpoint.accept()
        line.greet()
        line.lose()
        self.assertIn("closed the connection", self.trouble(asked))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_silent(self) -> None:
        """A host that says nothing, at any point, is left after twenty seconds."""
        for replies in ((), (b"220 mx",), (b"220 mx", b"250 mx"), (b"220 mx", b"250 mx", b"250 ok")):
            asked = self.ask()
            line = self.endpoint.accept()
            line.say(*replies)
            self.clock.advance(20)
            self.assertIn("in time", self.trouble(asked), replies)
            self.assertTrue(line.transport.aborting)
            line.lose()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dripping(self) -> None:
        """A host that sends an octet now and then wins no time."""
        asked = self.ask()
        line = self.endpoint.accept()
        line.greet()
        for _ in range(20):
            line.protocol.dataReceived(b"2")
            self.clock.advance(1)
        self.assertIn("in time", self.trouble(asked))

    def test_given_up(self) -> None:
        """A question that is given up costs its connection, or its place in the queue."""
        asked = [self.ask(Mailbox(f"u{number}", "ours.example")) for number in range(3)]
        line, other = self.endpoint.accept(), self.endpoint.accept()
        line.greet()
        for each in asked:
            each.addErrback(lambda _: None)
        asked[2].cancel()
        asked[0].cancel()
        self.assertTrue(line.transport.aborting)
        other.greet()
        other.answer(b"250 ok")
        self.assertIs(self.successResultOf(asked[1]), True)
        other.answer(b"250 ok")

    def test_line_end(self) -> None:
        """An address with a line end is unknown, and the connection stays as it is."""
        asked = self.ask(Mailbox("a\r\nDATA", "ours.example"))
        line = self.endpoint.accept()
        line.greet()
        self.assertIs(self.successResultOf(asked), False)
        self.assertNotIn(b"DATA", line.asked)

    def test_close(self) -> None:
        """When the gateway stops, nothing is left: no connection, no attempt, no timer, nobody who waits."""
        asked = [self.ask(Mailbox(f"u{number}", "ours.example")) for number in range(3)]
        line = self.endpoint.accept()
        line.greet()
        self.ahead.close()
        for each in asked:
            self.trouble(each)
        self.assertTrue(line.transport.aborting)
        self.assertEqual(self.endpoint.cancelled, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.trouble(self.ask())
