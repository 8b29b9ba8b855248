"""Every dialogue, on the session alone, on the protocol without a network, and over TCP with TLS."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import random
import re

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import CertificateOptions
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings, session_rules
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Facts
from tests.dialogues.certificate import server_options
from tests.dialogues.dialogue import Dialogue, all_dialogues
from tests.smtp.fakes import NO_RELAY, CoreDriver, MemoryReception

_UNKNOWN = Refuse(reply(550, "5.1.1", "No such user"), "recipients")


class DialogueReception(MemoryReception):
    """Answers as README.txt says."""

    def __init__(self, call_later):
        """:param call_later: of a clock; ``None``: answer everything at once."""
        super().__init__()
        self.on_rcpt = self.about
        self.call_later = call_later

    def about(self, recipient):
        mailbox = recipient.mailbox
        if mailbox.local == "unknown":
            return _UNKNOWN
        if mailbox.domain == "elsewhere.example":
            return NO_RELAY
        if mailbox.local == "broken":
            if self.call_later is None:
                return Refuse(replies.TROUBLE, "")
            raise RuntimeError("broken")
        if mailbox.local == "slow" and self.call_later is not None:
            late = Deferred()
            self.call_later(0.01, late.callback, ACCEPT)
            return late
        return ACCEPT


def cuts_of(octets, name):
    """Whole, octet by octet, and at random places."""
    yield "whole", [octets]
    yield "octets", [octets[index : index + 1] for index in range(len(octets))]
    source = random.Random(name)
    for number in range(5):
        places = sorted(source.randrange(len(octets) + 1) for _ in range(10))
        yield f"random {number}", [octets[a:b] for a, b in zip([0, *places], [*places, len(octets)], strict=True)]


class ReaderTests(SynchronousTestCase):
    """A dialogue that is not held as written is noticed."""

    def test_all_are_read(self):
        """Each has both sides, and begins with the banner."""
        found = all_dialogues()
        self.assertGreaterEqual(len(found), 12)
        for dialogue in found:
            self.assertEqual(dialogue.steps[0][0], "S")
            self.assertTrue(dialogue.client)

    def test_disagreement(self):
        """A wrong line, a missing one, one too many, half a line."""
        dialogue = Dialogue("x", steps=[("S", b"250 .*"), ("S", b"221 .*")])
        self.assertIsNone(dialogue.disagreement(b"250 a\r\n221 b\r\n"))
        for heard in (b"", b"250 a\r\n", b"250 a\r\n220 b\r\n", b"250 a\r\n221 b\r\n221 c\r\n", b"250 a\r\n221 b"):
            self.assertIsNotNone(dialogue.disagreement(heard))


class CoreTests(SynchronousTestCase):
    """The session alone."""

    def test_dialogues(self):
        """As written, however it is cut."""
        for dialogue in all_dialogues():
            if dialogue.has_tls:
                continue
            rules = session_rules(ServerSettings(hostname="mx.example", **dialogue.settings))
            for cut, pieces in cuts_of(dialogue.client, dialogue.name):
                with self.subTest(dialogue.name, cut=cut):
                    driver = CoreDriver(
                        DialogueReception(None),
                        facts=Facts(message_size=rules.message_size),
                        **{name: getattr(rules, name) for name in rules.__struct_fields__},
                    )
                    driver.session.greet()
                    driver.run()
                    for piece in pieces:
                        driver.feed(piece)
                    self.assertIsNone(dialogue.disagreement(driver.sent))
                    self.assertEqual(driver.is_closed, dialogue.ends)


class ProtocolTests(SynchronousTestCase):
    """The protocol on a transport in memory."""

    def test_dialogues(self):
        """As written, however it is cut, with answers that come late."""
        for dialogue in all_dialogues():
            if dialogue.has_tls:
                continue
            for cut, pieces in cuts_of(dialogue.client, dialogue.name):
                with self.subTest(dialogue.name, cut=cut):
                    clock = Clock()
                    settings = ServerSettings(hostname="mx.example", **dialogue.settings)
                    factory = GatewayFactory(DialogueReception(clock.callLater), settings, clock)
                    protocol = factory.buildProtocol(None)
                    transport = StringTransport()
                    protocol.makeConnection(transport)
                    for piece in pieces:
                        protocol.dataReceived(piece)
                    clock.pump([0.02] * 5)
                    self.assertIsNone(dialogue.disagreement(transport.value()))
                    self.assertEqual(transport.disconnecting, dialogue.ends)
                    self.flushLoggedErrors(RuntimeError)


class LineClient(Protocol):
    """Gathers lines, and hands them to whoever waits for them."""

    def __init__(self):
        self.buffer = b""
        self.waiting = None
        self.gone = Deferred()
        self.reason = None

    def dataReceived(self, data):
        self.buffer += data
        self.tell()

    def connectionLost(self, reason):
        self.reason = reason
        self.tell(is_gone=True)
        self.gone.callback(None)

    def line(self):
        self.waiting = waiting = Deferred()
        self.tell()
        return waiting

    def tell(self, is_gone=False):
        if self.waiting is not None and (b"\r\n" in self.buffer or is_gone):
            line, _, self.buffer = self.buffer.partition(b"\r\n")
            waiting, self.waiting = self.waiting, None
            waiting.callback(line)


class NetworkTests(TestCase):
    """Over TCP on loopback, with TLS where the dialogue has it."""

    timeout = 20

    async def hold(self, dialogue):
        """One dialogue, from the first line to the last."""
        factory = GatewayFactory(
            DialogueReception(reactor.callLater),
            ServerSettings(hostname="mx.example", **dialogue.settings),
            reactor,
            tls_context=server_options() if dialogue.has_tls else None,
        )
        port = reactor.listenTCP(0, factory, interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
        client = await connectProtocol(endpoint, LineClient())
        try:
            for number, (kind, octets) in enumerate(dialogue.steps):
                if kind == "C":
                    client.transport.write(octets)
                elif kind == "S":
                    line = await client.line()
                    self.assertTrue(re.fullmatch(octets, line), f"{dialogue.name}, step {number}: {line!r}")
                elif kind == "TLS":
                    client.transport.startTLS(CertificateOptions())
                else:
                    await client.gone
                    self.assertEqual(client.buffer, b"")
        finally:
            client.transport.abortConnection()
            await client.gone
            await port.stopListening()
            await factory.drain()
            self.flushLoggedErrors(RuntimeError)
        self.assertEqual(factory.connections, 0)

    async def test_dialogues(self):
        """Each step in its turn."""
        for dialogue in all_dialogues():
            await self.hold(dialogue)
