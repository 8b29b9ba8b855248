"""Clients that send too much, too slowly, or read nothing."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import socket

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from tests.net.server_rig import Rig
from tests.smtp.fakes import MemoryReception

_ENVELOPE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\nDATA\r\n"


class FloodTests(SynchronousTestCase):
    """Every flood meets a bound, and the bound has a reply."""

    def test_bad_commands(self):
        """A hundred thousand of them: twenty answers, a farewell."""
        client = Rig().connect()
        said = client.send(b"WHAT\r\n" * 100_000)
        self.assertEqual((said.count(b"500 5.5.2"), said.count(b"421 4.7.0")), (20, 1))
        self.assertTrue(client.transport.disconnecting)

    def test_recipients(self):
        """Fifty thousand RCPT: as many as allowed are kept."""
        rig = Rig(recipients=1000)
        client = rig.connect().greet()
        client.send(b"MAIL FROM:<a@x>\r\n")
        said = client.send(b"RCPT TO:<b@y>\r\n" * 50_000)
        self.assertEqual((said.count(b"250 2.1.5"), said.count(b"452 4.5.3")), (1000, 49_000))
        self.assertEqual(len(rig.reception.rcpts), 1000)

    def test_endless_line(self):
        """Ten megabytes without a line end: nothing is kept, nothing said; the idle limit ends it."""
        rig = Rig(idle_timeout_seconds=20)
        client = rig.connect()
        client.said()
        for _ in range(10):
            for _ in range(16):
                client.protocol.dataReceived(b"x" * 65_536)
            rig.clock.advance(1)
        self.assertLess(client.protocol._session.buffered_octets, 2048)
        self.assertEqual(client.said(), b"")
        rig.clock.pump([1] * 12)
        self.assertEqual(client.said()[:10], b"421 4.4.2 ")

    def test_one_octet_a_second(self):
        """A command that comes so slowly never ends; the connection does."""
        rig = Rig(idle_timeout_seconds=60)
        client = rig.connect()
        client.said()
        for octet in b"MAIL FROM:<" + b"a" * 60:
            client.protocol.dataReceived(bytes([octet]))
            rig.clock.advance(1)
        self.assertEqual(client.said()[:10], b"421 4.4.2 ")

    def test_octet_by_octet_message(self):
        """Slow and proper clients are served."""
        rig = Rig(idle_timeout_seconds=60)
        client = rig.connect()
        for octet in b"EHLO c\r\n" + _ENVELOPE + b"A: 1\r\n.\r\n":
            client.protocol.dataReceived(bytes([octet]))
            rig.clock.advance(0.5)
        self.assertEqual(rig.reception.messages[0].content, b"A: 1\r\n")

    def test_pipeline_behind_a_check_that_never_answers(self):
        """Input waits, bounded; when the client goes, all of it goes."""
        rig = Rig()
        rig.reception.on_mail = lambda mail: Deferred()
        client = rig.connect().greet()
        client.send(_ENVELOPE)
        while client.transport.is_reading:
            client.protocol.dataReceived(b"x" * 4096)
        self.assertLess(client.protocol._session.buffered_octets, 80_000)
        client.lose()
        self.assertEqual(client.protocol._session.buffered_octets, 0)
        self.assertEqual(rig.factory.connections, 0)

    def test_endless_header_and_content(self):
        """Content over the limit is not kept."""
        rig = Rig(message_size=100_000)
        client = rig.connect().greet()
        client.send(_ENVELOPE)
        for _ in range(100):
            client.protocol.dataReceived(b"X: y\r\n" * 1000)
        self.assertLessEqual(len(rig.reception.intakes[0].content), 106_000)
        self.assertTrue(rig.reception.intakes[0].is_abandoned)
        self.assertEqual(client.send(b".\r\n")[:10], b"552 5.3.4 ")


class UnreadTests(TestCase):
    """A client that reads no replies, on a real connection."""

    timeout = 30

    async def test_replies_are_bounded(self):
        """Its commands are no longer read; after the idle limit the connection is dropped."""
        settings = ServerSettings(hostname="mx.example", idle_timeout_seconds=2, closing_seconds=1)
        factory = GatewayFactory(MemoryReception(), settings, reactor)
        made = []
        build = factory.buildProtocol
        factory.buildProtocol = lambda address: made.append(build(address)) or made[-1]
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(0.2)
        await deferToThread(client.connect, ("127.0.0.1", port.getHost().port))

        def flood():
            sent = 0
            try:
                while sent < 200_000_000:
                    sent += client.send(b"HELP\r\n" * 10_000)
            except OSError:
                return sent
            return sent

        sent = await deferToThread(flood)
        self.assertLess(sent, 50_000_000)
        transport = made[0].transport
        self.assertTrue(made[0].is_unread)
        self.assertLess(len(transport.dataBuffer) + transport._tempDataLen, 1_000_000)
        self.assertLess(made[0]._session.buffered_octets, 1_000_000)
        for _ in range(80):
            if not factory.connections:
                break
            await deferLater(reactor, 0.1, lambda: None)
        self.assertEqual(factory.connections, 0)
        client.close()
        await port.stopListening()
        await factory.drain()
