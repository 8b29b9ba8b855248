"""A relay connection on a transport in memory, with time in our hands."""

from typing import cast

from OpenSSL import SSL
from twisted.internet.error import (
    ConnectBindError,
    ConnectionDone,
    ConnectionLost,
    UserError,
)
from twisted.internet.error import ConnectionRefusedError as ConnectionRefused
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IConnector, ITCPTransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from smtpgw.boundaries.relay import Job, LinkFailure
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.outcome import Delayed, Outcome, Relayed, Scope
from smtpgw.model.route import TlsNeed
from smtpgw.net.client import RelayFactory, RelayProtocol, Shared, reason_of
from smtpgw.net.tls import RelayTls
from smtpgw.smtp.conversation import Conversation
from smtpgw.smtp.conversation_terms import RelaySettings
from tests.clauses import holds
from tests.net.rude_servers import NoThreads
from tests.smtp.test_conversation import HOP, make_job


@implementer(ITCPTransport)
class MemoryTransport(StringTransport):
    """Remembers what was asked of it."""

    aborted = 0
    lost = 0
    no_delay = False

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        super().write(data)

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None:
        raise NotImplementedError

    def getTcpKeepAlive(self) -> bool:
        raise NotImplementedError

    def loseWriteConnection(self) -> None:
        raise NotImplementedError

    def abortConnection(self) -> None:
        self.aborted += 1

    def loseConnection(self) -> None:
        self.lost += 1


class Caller:
    """A link's side, without reconnecting."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = list(jobs)
        self.outcomes: list[tuple[Outcome, ...]] = []
        self.ends: list[object] = []
        self.conversation: Conversation | None = None

    def connected(self, conversation: Conversation) -> None:
        self.conversation = conversation

    def not_connected(self, reason: str) -> None:
        self.ends.append(reason)

    def ready(self, tls: TlsFacts | None) -> None:
        self.wants_job()

    def failed(self, failure: LinkFailure, broken_tls: bool) -> None:
        self.ends.append(failure)

    def wants_job(self) -> None:
        if self.jobs:
            cast(Conversation, self.conversation).send(self.jobs.pop(0))

    def finished(self, job: Job, outcomes: tuple[Outcome, ...]) -> None:
        self.outcomes.append(outcomes)

    def gone(self, failure: LinkFailure | None) -> None:
        self.ends.append(failure)


class RelayProtocolTests(SynchronousTestCase):
    """One connection."""

    def connect(self, *jobs: Job) -> None:
        """A connection that stands."""
        self.clock = Clock()
        shared = Shared(self.clock, RelaySettings("gw.example.com"), NoThreads(), RelayTls())
        self.caller = Caller(*jobs)
        factory = RelayFactory(shared, self.caller, HOP, TlsNeed.OFF)
        self.protocol: RelayProtocol = factory.buildProtocol(None)
        self.transport = MemoryTransport()
        self.protocol.makeConnection(self.transport)

    def hear(self, *pieces: bytes) -> None:
        """Octets from the host."""
        for octets in pieces:
            self.protocol.dataReceived(octets)

    def lose(self) -> None:
        """The connection is gone."""
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def wait(self, seconds: int) -> None:
        """Time passes, evenly."""
        self.clock.pump([1.0] * seconds)

    def test_no_delay(self) -> None:
        """Small writes go out at once."""
        self.connect()
        self.assertTrue(self.transport.no_delay)

    def test_one_write_a_step(self) -> None:
        """A message takes one write for the envelope and one for content with the next envelope."""
        self.connect(make_job(), make_job())
        self.hear(b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n")
        self.assertEqual(len(self.transport.writes), 2)
        self.hear(b"250 x\r\n250 x\r\n", b"354 x\r\n")
        self.assertEqual(len(self.transport.writes), 3)
        self.hear(b"250 x\r\n250 x\r\n250 x\r\n354 x\r\n")
        self.assertEqual(len(self.transport.writes), 4)

    @holds(
        "5321",
        "4.5.3.2",
        "As a client, we wait 5 minutes for the greeting, EHLO, MAIL and RCPT, 2 for DATA, 10 for the end of data.",
    )
    def test_silence(self) -> None:
        """Each step has its own time; then the connection is dropped, and the message delayed."""
        steps = [b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n"]
        for heard, seconds in [(0, 300), (1, 300), (2, 300), (3, 300), (4, 120), (5, 600)]:
            self.connect(make_job())
            for octets in steps[:heard]:
                self.wait(100)
                self.hear(octets)
            self.wait(seconds - 2)
            self.assertEqual((self.transport.aborted, self.caller.ends), (0, []))
            self.wait(4)
            self.assertEqual(self.transport.aborted, 1, heard)
            self.assertEqual(len(self.caller.ends), 1)
            if heard >= 2:
                ((outcome,),) = self.caller.outcomes
                assert isinstance(outcome, Delayed)
                self.assertEqual(outcome.scope, Scope.MESSAGE if heard == 5 else Scope.HOST)
            self.lose()
            self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_dripping(self) -> None:
        """A reply that comes an octet a minute doesn't put the deadline off."""
        self.connect()
        for octet in b"220 hi":
            self.wait(60)
            self.hear(bytes([octet]))
        self.assertGreaterEqual(self.transport.aborted, 1)
        self.assertEqual(len(self.caller.ends), 1)
        self.lose()

    def test_slow_but_moving(self) -> None:
        """Whole replies do: a thousand recipients may take longer than one."""
        self.connect(make_job(*["b@example.net"] * 5))
        self.hear(b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n")
        for _ in range(6):
            self.wait(290)
            self.hear(b"250 x\r\n")
        self.assertEqual(self.transport.aborted, 0)
        self.lose()

    def test_dribbling(self) -> None:
        """Each of its thousand replies comes in time, and all together take days: the transaction has a limit."""
        self.connect(make_job(*["b@example.net"] * 1000))
        self.hear(b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n")
        answered = 0
        while not self.transport.aborted:
            self.assertLess(answered, 7)
            self.wait(290)
            if not self.transport.aborted:
                self.hear(b"250 x\r\n")
                answered += 1
        self.assertEqual(answered, 6, "half an hour")
        self.lose()
        [outcome, *_] = self.caller.outcomes[0]
        assert isinstance(outcome, Delayed)
        self.assertEqual((outcome.reason, outcome.scope), ("the transaction took too long", Scope.HOST))

    def test_each_has_its_own_limit(self) -> None:
        """The next transaction on the connection has all of the time again; a large message has more of it."""
        jobs = [make_job(*["b@example.net"] * 5, content=b"x" * 2**20, inline=True) for _ in range(3)]
        self.connect(*jobs)
        self.hear(b"220 x\r\n", b"250 x\r\n")
        for _ in jobs:
            for _ in range(6):
                self.wait(290)
                self.hear(b"250 x\r\n")
            self.wait(100)
            self.hear(b"354 x\r\n", b"250 x\r\n")
        self.assertEqual(self.transport.aborted, 0)
        self.assertEqual(len(self.caller.outcomes), 3)
        self.wait(9999)
        self.assertEqual(self.transport.aborted, 0, "an idle connection has no limit")
        self.lose()

    def test_idle(self) -> None:
        """An idle connection waits for its owner as long as he likes."""
        self.connect()
        self.hear(b"220 x\r\n", b"250 x\r\n")
        self.clock.pump([60.0] * 600)
        self.assertEqual(self.transport.aborted, 0)
        self.lose()
        self.assertEqual(self.caller.ends, [LinkFailure("idle", "the host closed the connection")])

    def test_quit_is_bounded(self) -> None:
        """A host that doesn't answer QUIT, or doesn't close, is dropped after some seconds."""
        for answer in [b"", b"221 bye\r\n"]:
            self.connect()
            self.hear(b"220 x\r\n", b"250 x\r\n")
            cast(Conversation, self.caller.conversation).close()
            self.hear(answer)
            self.assertEqual(self.transport.lost, 1 if answer else 0)
            self.wait(4)
            self.assertEqual(self.transport.aborted, 0)
            self.wait(3)
            self.assertEqual(self.transport.aborted, 1)
            self.lose()
            self.assertEqual(self.caller.ends, [None])

    def test_unsendable_on_an_idle_link(self) -> None:
        """A job that can't be sent is reported in the next turn of the reactor."""
        self.connect()
        self.hear(b"220 x\r\n", b"250 x\r\n")
        cast(Conversation, self.caller.conversation).send(make_job("\r\n@example.net"))
        self.assertEqual(self.caller.outcomes, [])
        self.clock.advance(0)
        self.assertEqual(len(self.caller.outcomes), 1)
        self.lose()

    def test_stream(self) -> None:
        """Content on disk goes through the transport, and its last octets with the next envelope."""
        content = b"x\r\n.\r\n" * 100_000
        self.connect(make_job(content=content, inline=False), make_job())
        self.hear(b"220 x\r\n", b"250-x\r\n250 PIPELINING\r\n", b"250 x\r\n250 x\r\n354 x\r\n")
        self.assertIn(content.replace(b"\r\n.", b"\r\n.."), self.transport.value())
        self.assertTrue(self.transport.writes[-1].startswith(b".\r\nMAIL"))
        self.hear(b"250 x\r\n")
        ((outcome,),) = self.caller.outcomes
        self.assertIsInstance(outcome, Relayed)
        self.lose()

    @holds("5321", "4.5.3.2.5", "As a client, a host that stops reading content is waited for three minutes.")
    def test_stream_not_taken(self) -> None:
        """A host that stops reading in the middle of content is dropped after three minutes."""
        self.connect(make_job(content=b"x\r\n" * 200_000, inline=False))
        self.hear(b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n")
        write = self.transport.write

        def full(octets: bytes) -> None:
            write(octets)
            if self.transport.producer is not None:
                self.transport.producer.pauseProducing()

        self.patch(self.transport, "write", full)
        self.hear(b"354 x\r\n")
        self.wait(178)
        self.assertEqual(self.transport.aborted, 0)
        self.wait(4)
        self.assertEqual(self.transport.aborted, 1)
        ((outcome,),) = self.caller.outcomes
        assert isinstance(outcome, Delayed)
        self.assertEqual(outcome.scope, Scope.MESSAGE)
        self.lose()

    def test_lost_while_streaming(self) -> None:
        """A connection lost in the middle of content stops the reading."""
        self.connect(make_job(content=b"x\r\n" * 200_000, inline=False))
        self.hear(b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n")
        self.patch(self.transport, "registerProducer", lambda producer, streaming: producer.pauseProducing())
        self.hear(b"354 x\r\n")
        written = len(self.transport.value())
        self.lose()
        self.assertEqual(len(self.caller.outcomes), 1)
        self.assertEqual(len(self.transport.value()), written)

    def test_flood(self) -> None:
        """A host that floods us is dropped at the first read, and nothing of it is kept."""
        for flood in [b"x" * 1_000_000, b"220-x\r\n" * 100_000, b"220 x\r\n" * 100_000, b"\r\n" * 100_000]:
            self.connect()
            self.hear(flood)
            self.assertEqual((self.transport.aborted, len(self.caller.ends)), (1, 1))
            self.hear(flood)
            self.assertEqual((self.transport.aborted, len(self.caller.ends)), (1, 1))
            self.lose()
            self.assertEqual(len(self.caller.ends), 1)


class ReasonTests(SynchronousTestCase):
    """Why a connection ended, in words."""

    def test_words(self) -> None:
        """One line for each kind, without a trace of Twisted in it."""
        for trouble, words in [
            (ConnectionDone(), "the host closed the connection"),
            (ConnectionLost(), "the connection was lost"),
            (ConnectTimeout(), "no answer in time"),
            (ConnectionRefused(111, "Connection refused"), "Connection refused"),
            (ConnectBindError(99, "Cannot assign address"), "can't connect from here: Cannot assign address"),
            (UserError(), "UserError"),
            (SSL.Error([("SSL routines", "", "wrong version number")]), "TLS failed: wrong version number"),
            (SSL.Error(), "TLS failed: Error"),
        ]:
            self.assertEqual(reason_of(Failure(trouble)), words)

    def test_not_connected(self) -> None:
        """The factory passes on that there is no connection."""
        caller = Caller()
        shared = Shared(Clock(), RelaySettings("gw.example.com"), NoThreads(), RelayTls())
        factory = RelayFactory(shared, caller, HOP, TlsNeed.OFF)
        factory.clientConnectionFailed(cast(IConnector, None), Failure(ConnectionRefused(111, "Connection refused")))
        self.assertEqual(caller.ends, ["Connection refused"])
