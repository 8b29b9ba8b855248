"""Clients that close their side of the connection and go on reading."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, ITLSTransport
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import alsoProvides, implementer

from smtpgw.model.verdict import ACCEPT
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from tests.clauses import holds
from tests.dialogues.test_dialogues import LineClient
from tests.net.server_rig import AbortingTransport, Rig
from tests.smtp.fakes import MemoryReception

_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"


class HalfClosedTests(SynchronousTestCase):
    """A client that has closed its side after its last command waits for the answers."""

    ALL = b"EHLO c\r\n" + _ONE + b"DATA\r\na\r\n.\r\n"

    def start(self, **settings):
        self.rig = Rig(**settings)
        client = self.rig.connect()
        client.said()
        return client

    def test_nothing_owed(self):
        """Closed at once, in any phase."""
        for octets in (b"", self.ALL, b"EHLO c\r\n" + _ONE, b"MAIL FR", b"QUIT\r\n"):
            client = self.start()
            client.send(octets)
            client.protocol.readConnectionLost()
            self.assertTrue(client.transport.disconnecting)
            self.assertEqual(client.said(), b"")
            self.assertEqual(self.rig.factory.connections, 1)
            client.lose()
            self.assertEqual(self.rig.factory.connections, 0)

    def test_everything_slow(self):
        """Hooks and the end of data answer late: everything that was sent is still answered, in order."""
        client = self.start()
        mail, rcpt = Deferred(), Deferred()
        self.rig.reception.on_mail = lambda _: mail
        self.rig.reception.on_rcpt = lambda _: rcpt
        self.rig.reception.is_late = True
        client.send(self.ALL + b"NOOP\r\n")
        client.protocol.readConnectionLost()
        for answer in (mail, rcpt):
            self.assertFalse(client.transport.disconnecting)
            answer.callback(ACCEPT)
        self.assertFalse(client.transport.disconnecting)
        self.rig.reception.intakes[0].done(self.rig.reception.final)
        codes = [line[:3] for line in client.said().splitlines()]
        self.assertEqual(codes, [b"250", b"250", b"354", b"250", b"250"])
        self.assertTrue(client.transport.disconnecting)
        self.assertFalse(self.rig.reception.intakes[0].is_abandoned)

    def test_answer_that_never_comes(self):
        """Whoever has said all may be gone: a hook that never answers does not hold its connection for ever."""
        client = self.start(idle_timeout_seconds=60.0)
        self.rig.reception.on_mail = lambda _: Deferred()
        client.send(self.ALL)
        client.protocol.readConnectionLost()
        self.rig.clock.pump([1.0] * 58)
        self.assertFalse(client.transport.disconnecting or client.transport.is_aborted)
        self.rig.clock.pump([1.0] * 5)
        self.assertTrue(client.transport.is_aborted)

    def test_unfinished_content(self):
        """A message without its end is forgotten, and no reply pretends otherwise."""
        client = self.start()
        client.send(b"EHLO c\r\n" + _ONE + b"DATA\r\na\r\n")
        client.protocol.readConnectionLost()
        self.assertTrue(self.rig.reception.intakes[0].is_abandoned)
        self.assertEqual(self.rig.reception.messages, [])
        self.assertEqual(client.said(), b"")
        self.assertTrue(client.transport.disconnecting)

    def test_held_intake(self):
        """Content that waits for room is written when there is some; its transport is not asked to read on."""
        client = self.start()
        client.send(b"EHLO c\r\n" + _ONE + b"DATA\r\n")
        self.rig.reception.asks_for_pause = True
        client.send(b"a\r\n")
        client.send(b"b\r\n.\r\n")
        client.protocol.readConnectionLost()
        self.assertFalse(client.transport.disconnecting)
        self.rig.reception.asks_for_pause = False
        self.rig.reception.intakes[0].resume()
        self.assertEqual(self.rig.reception.messages[0].content, b"a\r\nb\r\n")
        self.assertIn(b"queued as", client.said())
        self.assertTrue(client.transport.disconnecting)
        self.assertFalse(client.transport.is_reading)

    def test_unread_replies(self):
        """A full transport first, then the rest of the answers, then the end."""
        client = self.start()
        client.protocol.pauseProducing()
        client.send(b"NOOP\r\n" * 3)
        client.protocol.readConnectionLost()
        self.assertFalse(client.transport.disconnecting)
        client.protocol.resumeProducing()
        self.assertEqual(client.said().count(b"250 "), 3)
        self.assertTrue(client.transport.disconnecting)

    def test_unread_replies_for_ever(self):
        """The time limit holds as ever."""
        client = self.start(idle_timeout_seconds=5)
        client.protocol.pauseProducing()
        client.send(b"NOOP\r\n")
        client.protocol.readConnectionLost()
        self.rig.clock.pump([1] * 6)
        self.assertTrue(client.transport.disconnecting)
        self.rig.clock.pump([1] * 9)
        self.assertTrue(client.transport.is_aborted)

    def test_starttls(self):
        """A STARTTLS that is answered after the end: there is nobody for a handshake."""
        self.rig = Rig(tls_context=object())
        transport = StartTlsTransport()
        client = self.rig.connect(transport=transport).greet()
        late = Deferred()
        self.rig.reception.on_mail = lambda _: late
        client.send(b"MAIL FROM:<a@x>\r\nRSET\r\nSTARTTLS\r\n")
        client.protocol.readConnectionLost()
        late.callback(ACCEPT)
        self.assertEqual([line[:3] for line in client.said().splitlines()], [b"250", b"250", b"220"])
        self.assertTrue(transport.disconnecting)
        self.assertFalse(transport.has_tls)

    def test_shut_down(self):
        """Draining does not keep the answers back."""
        client = self.start()
        self.rig.reception.is_late = True
        client.send(self.ALL)
        client.protocol.readConnectionLost()
        self.rig.factory.drain()
        self.rig.reception.intakes[0].done(self.rig.reception.final)
        self.assertEqual([line[:3] for line in client.said().splitlines()], [b"250", b"421"])

    def test_lost_meanwhile(self):
        """The connection is cleaned up once, and late answers go nowhere."""
        client = self.start()
        self.rig.reception.is_late = True
        client.send(self.ALL)
        client.protocol.readConnectionLost()
        client.lose()
        client.said()
        self.rig.reception.intakes[0].done(self.rig.reception.final)
        self.assertEqual(client.said(), b"")
        self.assertEqual(self.rig.factory.connections, 0)


class HalfClosedOverTcpTests(TestCase):
    """The same with the system's own sockets."""

    timeout = 20

    async def hold(self, octets, endpoint, listen):
        """Send all, close our side, and hear everything up to the end."""
        reception = self.reception = MemoryReception()
        reception.on_mail = lambda _: deferLater(reactor, 0.02, lambda: ACCEPT)
        reception.is_late = True
        factory = GatewayFactory(reception, ServerSettings(hostname="mx.example"), reactor)
        lost = []
        leave = factory.leave
        factory.leave = lambda protocol: (lost.append(protocol), leave(protocol))
        port = listen(factory)
        self.addCleanup(port.stopListening)
        client = await connectProtocol(endpoint(port), HalfClosingClient())
        client.transport.write(octets)
        client.transport.loseWriteConnection()
        if b"\r\n.\r\n" in octets:
            while not reception.messages:
                await deferLater(reactor, 0.01)
            await deferLater(reactor, 0.02)
            self.assertFalse(client.gone.called)
            reception.messages[0].done(reception.final)
        await client.gone
        self.assertTrue(client.reason.check(ConnectionDone))
        await factory.drain()
        self.assertEqual((factory.connections, len(lost)), (0, 1))
        return [line[:3] for line in client.buffer.splitlines() if line[3:4] != b"-"]

    def over_tcp(self, octets):
        return self.hold(
            octets,
            lambda port: TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port),
            lambda factory: reactor.listenTCP(0, factory, interface="127.0.0.1"),
        )

    @holds("5321", "4.2", "Every command gets its reply, also when the client has closed its side for sending.")
    async def test_whole_session(self):
        """As nc -N sends it: the reply to the message comes, so it is not sent again."""
        said = await self.over_tcp(HalfClosedTests.ALL)
        self.assertEqual(said, [b"220", b"250", b"250", b"250", b"354", b"250"])

    async def test_large(self):
        """More than fits in one read, and more commands behind it."""
        content = b"x" * 998 + b"\r\n"
        said = await self.over_tcp(
            b"EHLO c\r\n" + _ONE + b"DATA\r\n" + content * 1000 + b".\r\n" + b"NOOP\r\n" * 20_000
        )
        self.assertEqual(len(self.reception.messages[0].content), 1_000_000)
        self.assertEqual(len(said), 6 + 20_000)

    async def test_unfinished(self):
        """Half a message: the connection ends, and nothing is kept."""
        said = await self.over_tcp(b"EHLO c\r\n" + _ONE + b"DATA\r\na\r\n")
        self.assertEqual(said, [b"220", b"250", b"250", b"250", b"354"])
        self.assertEqual(self.reception.messages, [])
        self.assertTrue(self.reception.intakes[0].is_abandoned)

    async def test_nothing(self):
        """A client that only looks whether somebody is there."""
        self.assertEqual(await self.over_tcp(b""), [b"220"])

    async def test_unix(self):
        """Over a Unix socket."""
        path = self.mktemp()[-80:].lstrip("/").replace("/", "-")
        said = await self.hold(
            HalfClosedTests.ALL,
            lambda port: UNIXClientEndpoint(reactor, path),
            lambda factory: reactor.listenUNIX(path, factory),
        )
        self.assertEqual(said, [b"220", b"250", b"250", b"250", b"354", b"250"])


@implementer(IHalfCloseableProtocol)
class HalfClosingClient(LineClient):
    """Goes on reading when its own side is closed."""

    def writeConnectionLost(self):
        pass

    def readConnectionLost(self):
        self.transport.loseConnection()


class StartTlsTransport(AbortingTransport):
    """Knows whether TLS was begun."""

    def __init__(self):
        super().__init__()
        self.has_tls = False
        alsoProvides(self, ITLSTransport)

    def setTcpNoDelay(self, enabled):
        pass

    def startTLS(self, context):
        self.has_tls = True
