"""The protocol and its transport."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet import reactor
from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, UNIXClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server import GatewayESMTP
from smtpgw.net.server_settings import ServerSettings
from tests.clauses import holds
from tests.dialogues.certificate import server_options
from tests.dialogues.test_dialogues import LineClient
from tests.net.server_rig import AbortingTransport, Rig
from tests.net.test_server_half_closed import HalfClosingClient
from tests.smtp.fakes import MemoryReception

_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"


class PacingTests(SynchronousTestCase):
    """Memory is bounded by pausing the transport, and nothing stays paused."""

    def test_owed(self):
        """While an answer is owed 64 KiB are kept; then reading stops until it is given."""
        rig = Rig()
        rig.reception.is_late = True
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n.\r\n")
        client.send(b"NOOP\r\n" * 10_000)
        self.assertTrue(client.transport.is_reading)
        client.send(b"NOOP\r\n" * 1000)
        self.assertFalse(client.transport.is_reading)
        # TLS gives out what it has, paused or not.
        client.send(b"NOOP\r\n")
        rig.reception.intakes[0].done(rig.reception.final)
        self.assertEqual(client.said().count(b"250 2.0.0 Ok\r\n"), 11_001)
        self.assertTrue(client.transport.is_reading)

    def test_intake(self):
        """An intake that asks for a pause gets one; what comes all the same is kept, and written afterwards."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n")
        rig.reception.asks_for_pause = True
        client.send(b"a\r\n")
        intake = rig.reception.intakes[0]
        self.assertFalse(client.transport.is_reading)
        client.send(b"b\r\n")
        self.assertEqual(intake.content, b"a")
        rig.reception.asks_for_pause = False
        intake.resume()
        self.assertTrue(client.transport.is_reading)
        self.assertEqual(client.send(b"c\r\n.\r\n")[:10], b"250 2.0.0 ")
        self.assertEqual(intake.content, b"a\r\nb\r\nc\r\n")

    def test_resumed_before_it_returns(self):
        """An intake that has room again before its write returns does not stop the session."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n")
        intake = rig.reception.intakes[0]

        def write(data):
            intake.resume()
            return False

        intake.write = write
        client.send(b"a\r\nb")
        self.assertTrue(client.transport.is_reading)

    def test_last_piece_does_not_pause(self):
        """The end of data is reported whether there is room or not."""
        rig = Rig()
        rig.reception.asks_for_pause = True
        client = rig.connect().greet()
        self.assertIn(b"queued as", client.send(_ONE + b"DATA\r\na\r\n.\r\n"))
        self.assertTrue(client.transport.is_reading)

    def test_unread_replies(self):
        """A client that does not read its replies is not read, until it does."""
        rig = Rig()
        client = rig.connect()
        client.said()
        client.protocol.pauseProducing()
        self.assertFalse(client.transport.is_reading)
        self.assertEqual(client.send(b"NOOP\r\n" * 100), b"")
        client.protocol.resumeProducing()
        self.assertEqual(client.said().count(b"250 "), 100)
        self.assertTrue(client.transport.is_reading)

    def test_unread_while_running(self):
        """The transport's buffer fills in the middle of a flood: the rest of it waits."""
        rig = Rig()
        transport = AbortingTransport()
        client = rig.connect(transport=transport)
        client.said()
        write = transport.write

        def full(octets):
            write(octets)
            client.protocol.pauseProducing()

        transport.write = full
        said = client.send(b"HELP\r\n" * 5000)
        self.assertLess(said.count(b"214 "), 300)
        transport.write = write
        client.protocol.resumeProducing()
        self.assertEqual(said.count(b"214 ") + client.said().count(b"214 "), 5000)

    def test_turns(self):
        """Of a flood some hundred commands are answered at a time; in between all others have their turn."""
        for command in (b"NOOP\r\n", b"EHLO c\r\n", b"MAIL FROM:<>\r\nRSET\r\n"):
            rig = Rig()
            client = rig.connect().greet()
            once = client.send(command).count(b"\n")
            client.protocol.dataReceived(command * 2000)
            self.assertLess(client.transport.value().count(b"\n"), 300 * once)
            self.assertFalse(client.transport.is_reading)
            self.assertEqual(client.said().count(b"\n"), 2000 * once)
            self.assertTrue(client.transport.is_reading)

    def test_turns_and_the_end(self):
        """A flood with QUIT behind it, or from a client that is gone, leaves nothing behind."""
        rig = Rig()
        client = rig.connect().greet()
        self.assertIn(b"221 ", client.send(b"EHLO c\r\n" * 2000 + b"QUIT\r\n"))
        client = rig.connect().greet()
        client.protocol.dataReceived(b"EHLO c\r\n" * 2000)
        client.lose()
        rig.factory.stopFactory()
        rig.clock.advance(60)
        self.assertEqual(client.transport.value().count(b"250 "), 257)

    def test_one_write_for_a_read(self):
        """The replies to one read go out together."""
        rig = Rig()
        client = rig.connect().greet()
        writes = []
        client.transport.write = writes.append
        client.protocol.dataReceived(_ONE + b"DATA\r\na\r\n.\r\n" + _ONE)
        self.assertEqual(len(writes), 1)


class EndTests(SynchronousTestCase):
    """However a connection ends, it is cleaned up once."""

    def test_lost_in_content(self):
        """A partial message is forgotten."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\nhalf")
        client.lose()
        client.lose()
        self.assertTrue(rig.reception.intakes[0].is_abandoned)
        self.assertEqual(rig.reception.messages, [])

    def test_lost_behind_the_end_of_data(self):
        """A finished message is the reception's: it is not abandoned, and its late answer goes nowhere."""
        rig = Rig()
        rig.reception.is_late = True
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n.\r\n")
        client.lose()
        intake = rig.reception.intakes[0]
        self.assertFalse(intake.is_abandoned)
        client.said()
        intake.done(rig.reception.final)
        self.assertEqual(client.said(), b"")

    def test_lost_while_a_check_thinks(self):
        """The check is cancelled, and nothing is logged."""
        rig = Rig()
        cancelled = []
        rig.reception.on_mail = lambda mail: Deferred(cancelled.append)
        client = rig.connect().greet()
        client.send(_ONE)
        client.lose()
        self.assertEqual(len(cancelled), 1)

    @holds("5321", "4.1.1.10", "QUIT is 221, and the server closes the connection.")
    def test_input_behind_quit(self):
        """Is dropped."""
        rig = Rig()
        client = rig.connect()
        self.assertEqual(client.send(b"QUIT\r\nNOOP\r\n"), b"221 2.0.0 Bye\r\n")
        self.assertEqual(client.send(b"NOOP\r\n"), b"")
        self.assertTrue(client.transport.disconnecting)
        self.assertIsNone(client.transport.producer)

    def test_closing_resumes(self):
        """A paused transport reads again when it is closed, or TLS would never hear the farewell."""
        rig = Rig(idle_timeout_seconds=5)
        client = rig.connect()
        client.protocol.pauseProducing()
        rig.clock.pump([1] * 6)
        self.assertTrue(client.transport.is_reading)
        self.assertTrue(client.transport.disconnecting)

    def test_refused_content_without_end(self):
        """Content that is refused is read for its end, but not for ever: then the refusal is said, and it is over."""
        rig = Rig(message_size=1000, closing_seconds=3)
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\n" + b"x" * 1001)
        for _ in range(15):
            self.assertEqual(client.send(b"x" * 65536), b"")
        self.assertFalse(client.transport.disconnecting)
        self.assertEqual(client.send(b"x" * 131072)[:10], b"552 5.3.4 ")
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(client.send(b"\r\n.\r\nNOOP\r\n"), b"")
        rig.clock.pump([1] * 4)
        self.assertTrue(client.transport.is_aborted)

    def test_refused_content_with_an_end(self):
        """The next message has all its room again."""
        rig = Rig(message_size=1000)
        client = rig.connect().greet()
        for _ in range(4):
            client.send(_ONE + b"DATA\r\n")
            client.send(b"x" * 700_000)
            self.assertEqual(client.send(b"\r\n.\r\n")[:10], b"552 5.3.4 ")
        self.assertIn(b"250 2.0.0 Ok: queued", client.send(_ONE + b"DATA\r\n.\r\n"))


class LingerTests(TestCase):
    """The last reply arrives, whatever the client is still sending."""

    timeout = 20

    async def hold(self, octets, **settings):
        """All that a client gets that sends on until it has sent all, and sees no reset."""
        factory = GatewayFactory(MemoryReception(), ServerSettings(hostname="mx.example", **settings), reactor)
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        client = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), HalfClosingClient()
        )
        client.transport.write(octets)
        await client.gone
        self.assertTrue(client.reason.check(ConnectionDone), client.reason)
        await port.stopListening()
        await factory.drain()
        return client.buffer

    async def test_behind_quit(self):
        """Megabytes behind QUIT do not turn its reply into a reset."""
        self.assertTrue((await self.hold(b"QUIT\r\n" + b"NOOP\r\n" * 500_000)).endswith(b"221 2.0.0 Bye\r\n"))

    async def test_behind_too_many_errors(self):
        """Nor behind the last straw."""
        said = await self.hold(b"EHLO c\r\n" + b"WHAT\r\n" * 500_000)
        self.assertTrue(said.endswith(b"421 4.7.0 Too many errors\r\n"))

    async def test_endless_content(self):
        """Nor when refused content does not end."""
        said = await self.hold(b"EHLO c\r\n" + _ONE + b"DATA\r\n" + b"x" * 4_000_000, message_size=1000)
        self.assertIn(b"552 5.3.4 ", said)


class UnixTests(TestCase):
    """Unix sockets have no addresses."""

    def test_names(self):
        """EHLO and messages work; the address is empty."""
        rig = Rig()
        client = rig.connect(transport=StringTransport(peerAddress=UNIXAddress("/x")))
        client.greet()
        self.assertIn(b"queued as", client.send(_ONE + b"DATA\r\n.\r\n"))
        self.assertEqual(rig.reception.messages[0].client.address, "")

    async def test_socket(self):
        """Over a real one."""
        factory = GatewayFactory(MemoryReception(), ServerSettings(hostname="mx.example"), reactor)
        path = self.mktemp()[-80:].lstrip("/").replace("/", "-")
        port = reactor.listenUNIX(path, factory)
        client = await connectProtocol(UNIXClientEndpoint(reactor, path), LineClient())
        self.assertEqual((await client.line())[:4], b"220 ")
        client.transport.write(b"EHLO c\r\n")
        self.assertEqual(await client.line(), b"250-mx.example")
        client.transport.loseConnection()
        await client.gone
        await port.stopListening()
        await factory.drain()


class StandaloneTests(SynchronousTestCase):
    """Made by hand, as users of Twisted's class do."""

    def make(self, transport):
        protocol = GatewayESMTP()
        clock = Clock()
        protocol.callLater = clock.callLater
        protocol.delivery = MemoryReception()
        protocol.timeout = 10
        protocol.makeConnection(transport)
        return protocol, clock

    def test_reception_as_delivery(self):
        """A reception may stand where a delivery stands."""
        transport = AbortingTransport()
        protocol, _ = self.make(transport)
        protocol.dataReceived(b"EHLO c\r\n" + _ONE + b"DATA\r\n.\r\n")
        self.assertEqual(len(protocol.delivery.messages), 1)
        protocol.setTimeout(None)

    def test_timer(self):
        """421 4.4.2, and some seconds later the connection is dropped."""
        transport = AbortingTransport()
        protocol, clock = self.make(transport)
        clock.advance(9)
        protocol.dataReceived(b"NOOP\r\n")
        clock.advance(9)
        self.assertFalse(transport.disconnecting)
        clock.advance(1)
        self.assertTrue(transport.value().endswith(b"421 4.4.2 Timed out waiting for you\r\n"))
        clock.advance(10)
        self.assertTrue(transport.is_aborted)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_timer_waits_for_us(self):
        """Not while an answer is owed."""
        transport = AbortingTransport()
        protocol, clock = self.make(transport)
        protocol.delivery.is_late = True
        protocol.dataReceived(b"EHLO c\r\n" + _ONE + b"DATA\r\n.\r\n")
        clock.pump([5] * 20)
        self.assertFalse(transport.disconnecting)
        protocol.setTimeout(None)


class TlsTests(TestCase):
    """TLS on real connections."""

    timeout = 20

    async def start(self, **settings):
        self.reception = MemoryReception()
        self.factory = GatewayFactory(
            self.reception, ServerSettings(hostname="mx.example", **settings), reactor, tls_context=server_options()
        )
        self.port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        return await connectProtocol(endpoint, LineClient())

    async def stop(self, client):
        client.transport.abortConnection()
        await client.gone
        await self.port.stopListening()
        await self.factory.drain()

    async def send_message(self, client):
        client.transport.write(b"EHLO c\r\n")
        while (await client.line())[3:4] != b" ":
            pass
        client.transport.write(_ONE + b"DATA\r\n" + b"x" * 100_000 + b"\r\n.\r\n")
        for start in (b"250 2.1.0", b"250 2.1.5", b"354", b"250 2.0.0"):
            self.assertTrue((await client.line()).startswith(start))
        return self.reception.messages[0]

    async def test_implicit(self):
        """TLS from the first octet: the banner comes inside, and what is known of TLS goes with the message."""
        client = await self.start(tls="implicit")
        client.transport.startTLS(CertificateOptions())
        client.transport.write(b"")
        self.assertEqual((await client.line())[:4], b"220 ")
        message = await self.send_message(client)
        self.assertEqual(message.content, b"x" * 100_000 + b"\r\n")
        self.assertEqual((message.client.protocol, message.client.tls.version), ("ESMTPS", "TLSv1.3"))
        await self.stop(client)

    async def test_implicit_by_a_wrapped_factory(self):
        """The same when whoever listens has put TLS around the factory already."""
        self.reception = MemoryReception()
        settings = ServerSettings(hostname="mx.example", tls="implicit")
        self.factory = GatewayFactory(self.reception, settings, reactor, tls_context=server_options())
        wrapped = TLSMemoryBIOFactory(server_options(), False, self.factory)
        self.port = reactor.listenTCP(0, wrapped, interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        client = await connectProtocol(wrapClientTLS(CertificateOptions(), endpoint), LineClient())
        self.assertEqual((await client.line())[:4], b"220 ")
        message = await self.send_message(client)
        self.assertEqual((message.client.protocol, message.client.tls.version), ("ESMTPS", "TLSv1.3"))
        await self.stop(client)

    @holds("3848", "1", "The protocol of a session behind STARTTLS is ESMTPS.")
    async def test_starttls(self):
        """The same behind STARTTLS."""
        client = await self.start()
        await client.line()
        client.transport.write(b"STARTTLS\r\n")
        self.assertEqual((await client.line())[:4], b"220 ")
        client.transport.startTLS(CertificateOptions())
        message = await self.send_message(client)
        self.assertEqual(message.client.protocol, "ESMTPS")
        self.assertEqual(message.client.address, "127.0.0.1")
        await self.stop(client)

    async def test_end_without_farewell(self):
        """A client that closes its TLS side and the connection: the end, once, and the message stays."""
        client = await self.start(tls="implicit")
        client.transport.startTLS(CertificateOptions())
        client.transport.write(b"")
        await client.line()
        await self.send_message(client)
        client.transport.loseConnection()
        await client.gone
        await self.port.stopListening()
        await self.factory.drain()
        self.assertEqual(self.factory.connections, 0)
        self.assertEqual(len(self.reception.messages), 1)

    async def test_drained_in_the_handshake(self):
        """A client in the handshake behind STARTTLS hears inside of TLS why it must go."""
        client = await self.start()
        await client.line()
        client.transport.write(b"STARTTLS\r\n")
        await client.line()
        drained = self.factory.drain()
        client.transport.startTLS(CertificateOptions())
        client.transport.write(b"EHLO c\r\n")
        self.assertEqual((await client.line())[:10], b"421 4.3.2 ")
        await client.gone
        await drained
        await self.port.stopListening()

    async def test_clear_text_behind_starttls(self):
        """Commands in clear text after the 220 are no commands: the connection ends."""
        client = await self.start()
        await client.line()
        client.transport.write(b"STARTTLS\r\n")
        await client.line()
        client.transport.write(b"MAIL FROM:<evil@x>\r\nRCPT TO:<evil@x>\r\n")
        await client.gone
        self.assertEqual(self.reception.mails, [])
        await self.stop(Gone())


class Gone(Protocol):
    """A client that has gone already."""

    def __init__(self):
        self.transport = StringTransport()
        self.gone = Deferred()
        self.gone.callback(None)
