"""What comes before the banner: proxies, the door, and those who can't wait."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from ipaddress import ip_network

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.ssl import CertificateOptions
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.model.notice import Connected, Rejected
from smtpgw.model.reply import reply
from smtpgw.model.verdict import Refuse
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from tests.clauses import holds
from tests.dialogues.certificate import server_options
from tests.dialogues.test_dialogues import LineClient
from tests.net.server_rig import Rig
from tests.smtp.fakes import MemoryReception

_PROXIES = (ip_network("192.0.2.0/24"),)
_HEADER = b"PROXY TCP4 198.51.100.7 192.0.2.25 40000 25\r\n"
_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
_NO = Refuse(reply(554, "5.7.1", "Not you"), "dnsbl", "listed")


class MemoryDoor:
    """Answers as it is told, and keeps count."""

    def __init__(self, answer=None):
        self.answer = answer
        self.came = []
        self.went = []

    def connect(self, client):
        self.came.append(client)
        if isinstance(self.answer, Exception):
            raise self.answer
        return client if self.answer is None else self.answer

    def leave(self, client):
        self.went.append(client)


async def later(deferred):
    """An answer that is waited for."""
    return await deferred


class ProxyTests(SynchronousTestCase):
    """A proxy's header is read before anything is said, and nothing else is read with it."""

    def start(self, **settings):
        self.rig = Rig(proxy_networks=_PROXIES, **settings)
        return self.rig.connect()

    def test_banner_waits(self):
        """The banner comes behind the header, and the client is whom it names."""
        client = self.start()
        self.assertEqual(client.said(), b"")
        for index in range(len(_HEADER) - 1):
            self.assertEqual(client.send(_HEADER[index : index + 1]), b"")
        self.assertEqual(client.send(b"\n")[:4], b"220 ")
        told = self.rig.notices[0].client
        self.assertEqual((told.address, told.port), ("198.51.100.7", 40000))

    def test_commands_in_the_same_segment(self):
        """What stands behind the header is the session's, to the last octet."""
        client = self.start()
        said = client.send(_HEADER + b"EHLO c\r\n" + _ONE + b"DATA\r\nPROXY x\r\n.\r\nQUIT\r\n")
        self.assertEqual(said[:4], b"220 ")
        self.assertIn(b"221 ", said)
        self.assertEqual(self.rig.reception.messages[0].content, b"PROXY x\r\n")
        self.assertEqual(self.rig.reception.messages[0].client.address, "198.51.100.7")

    def test_any_cut(self):
        """However the network cuts it, the same is said."""
        octets = _HEADER + b"EHLO c\r\n" + _ONE + b"DATA\r\na\r\n.\r\nWHAT\r\nQUIT\r\n"
        whole = self.start().send(octets)
        for place in range(1, len(octets)):
            client = self.start()
            said = client.send(octets[:place])
            if not client.transport.disconnecting:
                said += client.send(octets[place:])
            self.assertEqual(said, whole, place)

    def test_itself(self):
        """A proxy that speaks for itself keeps its own address."""
        client = self.start()
        self.assertEqual(client.send(b"PROXY UNKNOWN\r\n")[:4], b"220 ")
        self.assertEqual(self.rig.notices[0].client.address, "192.0.2.1")

    def test_bad(self):
        """Without a header there is no word, and no session."""
        client = self.start()
        self.assertEqual(client.send(b"EHLO c\r\n"), b"")
        self.assertTrue(client.transport.is_aborted)

    def test_silent(self):
        """A proxy that says nothing is dropped after some seconds."""
        client = self.start(proxy_timeout_seconds=5)
        client.send(b"PROXY ")
        self.rig.clock.pump([1] * 4)
        self.assertFalse(client.transport.is_aborted)
        self.rig.clock.pump([1] * 2)
        self.assertTrue(client.transport.is_aborted)
        self.assertEqual(client.said(), b"")
        client.lose()
        self.assertEqual(self.rig.factory.connections, 0)

    def test_gone(self):
        """A proxy that closes its side in the middle is forgotten."""
        client = self.start()
        client.send(b"PROXY ")
        client.protocol.readConnectionLost()
        self.assertTrue(client.transport.disconnecting)
        self.assertEqual(client.said(), b"")

    def test_not_trusted(self):
        """A header of anybody else is no header: the connection ends at it, and no client is invented."""
        self.rig = Rig(proxy_networks=(ip_network("203.0.113.0/24"),))
        client = self.rig.connect()
        self.assertEqual(client.said()[:4], b"220 ")
        self.assertEqual(client.send(_HEADER + b"EHLO c\r\n")[:4], b"421 ")
        self.assertTrue(client.transport.disconnecting)

    def test_second_header(self):
        """There is one header, not two."""
        client = self.start()
        self.assertIn(b"421 4.7.0", client.send(_HEADER + _HEADER))

    def test_each_client_is_counted(self):
        """The bound for one client is for those behind the proxy, not for the proxy; the one in all is for both."""
        client = self.start(connections_per_client=1, connections=3)
        client.send(_HEADER)
        second = self.rig.connect()
        self.assertEqual(second.send(_HEADER)[:10], b"421 4.7.0 ")
        third = self.rig.connect()
        self.assertEqual(third.send(_HEADER.replace(b".7 ", b".8 "))[:4], b"220 ")
        self.rig.connect()
        self.assertEqual(self.rig.connect().said()[:10], b"421 4.3.2 ")
        for one in (client, second, third):
            one.lose()
        self.assertEqual(self.rig.factory.connections, 1)
        self.assertEqual(dict(self.rig.factory._count._per_client), {})

    def test_draining(self):
        """A proxy that has said nothing yet is let go without a word."""
        client = self.start()
        drained = self.rig.factory.drain(5)
        self.rig.clock.pump([1] * 6)
        self.assertEqual(client.said(), b"")
        self.assertTrue(client.transport.disconnecting)
        client.lose()
        self.successResultOf(drained)


class DoorTests(SynchronousTestCase):
    """The door is asked before the banner, and hears of every end."""

    def start(self, answer=None, **settings):
        self.door = MemoryDoor(answer)
        self.rig = Rig(door=self.door, **settings)
        return self.rig.connect()

    def test_accepted(self):
        """The name that the door has found stays with the client."""
        client = self.start()
        self.assertEqual(client.said()[:4], b"220 ")
        self.door.answer = msgspec.structs.replace(self.door.came[0], name="c.example.net")
        client = self.rig.connect().greet()
        client.send(_ONE + b"DATA\r\n.\r\n")
        self.assertEqual(self.rig.reception.messages[0].client.name, "c.example.net")
        self.assertEqual(self.door.came[0].address, "192.0.2.1")
        self.assertEqual(self.door.came[0].port, 12345)

    @holds("5321", "3.1", "A client that is not welcome hears 554 instead of the banner.")
    def test_refused(self):
        """Its words stand instead of the banner; the door hears of the end once."""
        for answer in (_NO, succeed(_NO)):
            client = self.start(answer)
            self.assertEqual(client.said(), b"554 5.7.1 Not you\r\n")
            self.assertTrue(client.transport.disconnecting)
            self.assertEqual([n.refuse for n in self.rig.notices if isinstance(n, Rejected)], [_NO])
            self.assertFalse([n for n in self.rig.notices if isinstance(n, Connected)])
            client.lose()
            client.lose()
            self.assertEqual(len(self.door.went), 1)

    def test_slow(self):
        """Nothing is said until it answers; what the client has sent waits as well, and its time does not run."""
        for wrap in (lambda deferred: deferred, later):
            waiting = Deferred()
            client = self.start(wrap(waiting), idle_timeout_seconds=10)
            self.assertEqual(client.send(b"EHLO c\r\n" + b"NOOP\r\n" * 20_000), b"")
            self.assertFalse(client.transport.is_reading)
            self.rig.clock.pump([1] * 60)
            self.assertFalse(client.transport.disconnecting)
            waiting.callback(self.door.came[0])
            said = client.said()
            self.assertTrue(said.startswith(b"220 "))
            self.assertEqual(said.count(b"250 2.0.0 Ok"), 20_000)
            self.assertTrue(client.transport.is_reading)

    def test_half_closed_while_it_thinks(self):
        """A client that has said all already hears the banner first, then its answers, then it is over."""
        waiting = Deferred()
        client = self.start(waiting)
        client.send(b"EHLO c\r\nQUIT\r\n")
        client.protocol.readConnectionLost()
        client.protocol.resumeProducing()
        self.assertEqual(client.said(), b"")
        waiting.callback(self.door.came[0])
        said = client.said()
        self.assertTrue(said.startswith(b"220 "))
        self.assertTrue(said.endswith(b"221 2.0.0 Bye\r\n"))
        self.assertTrue(client.transport.disconnecting)

    def test_never_answers(self):
        """A door that never answers holds a client that has said all no longer than a silent one."""
        client = self.start(Deferred(), idle_timeout_seconds=10)
        client.protocol.readConnectionLost()
        self.rig.clock.pump([1] * 12)
        self.assertTrue(client.transport.disconnecting)

    def test_gone_while_it_thinks(self):
        """It is cancelled, hears of the end, and its late answer goes nowhere."""
        cancelled = []
        client = self.start(Deferred(cancelled.append))
        client.lose()
        self.assertEqual((len(cancelled), len(self.door.went)), (1, 1))
        self.assertEqual(client.said(), b"")

    def test_trouble(self):
        """Its trouble is 421 4.3.0, whatever kind it is, and the client may come again."""
        for answer, kind in ((RuntimeError("secret"), RuntimeError), (fail(RuntimeError("secret")), RuntimeError)):
            client = self.start(answer)
            self.assertEqual(client.said()[:10], b"421 4.3.0 ")
            self.assertEqual(len(self.flushLoggedErrors(kind)), 1)
            client.lose()
            self.assertEqual(len(self.door.went), 1)
        self.assertEqual(self.start(succeed("yes")).said()[:10], b"421 4.3.0 ")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    def test_trouble_with_leaving(self):
        """Is logged, and the connection is counted out all the same."""

        def broken(client):
            raise RuntimeError("secret")

        client = self.start()
        self.door.leave = broken
        client.lose()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.rig.factory.connections, 0)

    def test_too_many(self):
        """Who finds no room does not come to the door."""
        client = self.start(connections=1)
        client.said()
        self.rig.connect("192.0.2.2")
        self.assertEqual(len(self.door.came), 1)

    def test_draining(self):
        """A client at the door of a gateway that shuts down hears so instead of the banner."""
        waiting = Deferred()
        client = self.start(waiting)
        self.rig.factory.drain()
        waiting.callback(self.door.came[0])
        self.assertEqual(client.said()[:10], b"421 4.3.2 ")
        self.assertTrue(client.transport.disconnecting)


class EarlyTalkerTests(SynchronousTestCase):
    """Who can't wait for the banner is no mail server."""

    def start(self, **settings):
        self.rig = Rig(early_talker_seconds=2, **settings)
        return self.rig.connect()

    @holds("5321", "4.3.1", "A client waits for the banner; one that does not may be turned away.")
    def test_early(self):
        """554 5.5.1, and the end; nothing of it is taken for a command."""
        client = self.start()
        self.assertEqual(client.said(), b"")
        said = client.send(b"EHLO c\r\n" + _ONE)
        self.assertEqual((said[:10], said.count(b"\r\n")), (b"554 5.5.1 ", 1))
        self.assertTrue(client.transport.disconnecting)
        self.rig.clock.advance(10)
        self.assertEqual(client.said(), b"")
        self.assertEqual(self.rig.reception.mails, [])
        self.assertEqual(self.rig.notices[0].refuse.reply.code, 554)

    def test_patient(self):
        """Who waits is greeted, and served."""
        client = self.start()
        self.rig.clock.advance(2)
        self.assertEqual(client.said()[:4], b"220 ")
        self.assertIn(b"250", client.send(b"EHLO c\r\n"))

    def test_trusted(self):
        """Clients that are known are not kept waiting."""
        client = self.start(trusted_networks=_PROXIES)
        self.assertEqual(client.said()[:4], b"220 ")

    def test_gone(self):
        """No timer stays behind."""
        client = self.start()
        client.lose()
        self.rig.clock.pump([1] * 3)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_door_and_wait(self):
        """Both take their time at once, in any order; both have to be over."""
        for door_first in (True, False):
            waiting = Deferred()
            door = MemoryDoor(waiting)
            rig = Rig(door=door, early_talker_seconds=2)
            client = rig.connect()
            if door_first:
                waiting.callback(door.came[0])
            else:
                rig.clock.advance(2)
            self.assertEqual(client.said(), b"")
            if door_first:
                rig.clock.advance(2)
            else:
                waiting.callback(door.came[0])
            self.assertEqual(client.said()[:4], b"220 ")

    def test_behind_a_proxy(self):
        """The proxy's header is not early; what comes right behind it is."""
        rig = Rig(early_talker_seconds=2, proxy_networks=_PROXIES)
        client = rig.connect()
        self.assertEqual(client.send(_HEADER), b"")
        rig.clock.advance(2)
        self.assertEqual(client.said()[:4], b"220 ")
        client = rig.connect()
        self.assertEqual(client.send(_HEADER + b"EHLO c\r\n")[:10], b"554 5.5.1 ")


class XclientTests(SynchronousTestCase):
    """A trusted client may say for whom it speaks; then everything begins anew."""

    def start(self, answer=None, **settings):
        self.door = MemoryDoor(answer)
        self.rig = Rig(door=self.door, xclient_networks=_PROXIES, **settings)
        return self.rig.connect().greet()

    def test_taken(self):
        """Address, port, name, HELO and login are those that were given; the banner comes again."""
        client = self.start()
        said = client.send(b"XCLIENT ADDR=198.51.100.7 PORT=4000 NAME=c.example.net HELO=h.example LOGIN=user\r\n")
        self.assertEqual(said[:4], b"220 ")
        client.greet()
        client.send(_ONE + b"DATA\r\n.\r\n")
        seen = self.rig.reception.messages[0].client
        self.assertEqual(
            (seen.address, seen.port, seen.name, seen.helo, seen.identity),
            ("198.51.100.7", 4000, "c.example.net", "h.example", "user"),
        )
        self.assertEqual([one.address for one in self.door.came], ["192.0.2.1", "198.51.100.7"])
        self.assertEqual([one.address for one in self.door.went], ["192.0.2.1"])
        client.lose()
        self.assertEqual([one.address for one in self.door.went], ["192.0.2.1", "198.51.100.7"])

    def test_without_a_login(self):
        """Who is named without a login has none, whoever had logged in before."""
        client = self.start()
        client.send(b"XCLIENT LOGIN=user\r\n")
        self.assertEqual(client.protocol.client().identity, "user")
        client.send(b"XCLIENT ADDR=198.51.100.7\r\n")
        self.assertIsNone(client.protocol.client().identity)

    def test_not_available(self):
        """An address that is not known belongs to no network."""
        client = self.start()
        client.send(b"XCLIENT ADDR=[UNAVAILABLE] NAME=[UNAVAILABLE]\r\n")
        self.assertEqual((self.door.came[1].address, self.door.came[1].name), ("", None))

    def test_refused_by_the_door(self):
        """The client that was named is turned away like any other."""
        client = self.start()
        self.door.answer = _NO
        self.assertEqual(client.send(b"XCLIENT ADDR=198.51.100.7\r\n"), b"554 5.7.1 Not you\r\n")
        self.assertTrue(client.transport.disconnecting)

    def test_counted(self):
        """It counts for the client that was named."""
        client = self.start(connections_per_client=1)
        client.send(b"XCLIENT ADDR=198.51.100.7\r\n")
        self.assertEqual(self.rig.connect().said()[:4], b"220 ")
        self.assertEqual(self.rig.connect("198.51.100.7").said()[:10], b"421 4.7.0 ")

    def test_not_trusted(self):
        """For anybody else there is no such command."""
        rig = Rig()
        client = rig.connect()
        self.assertNotIn(b"XCLIENT", client.send(b"EHLO c\r\n"))
        self.assertEqual(client.send(b"XCLIENT ADDR=198.51.100.7\r\n")[:1], b"5")
        self.assertEqual(client.protocol.client().address, "192.0.2.1")


class TlsTests(TestCase):
    """Over TCP, with TLS from the first octet."""

    timeout = 20

    async def start(self, **settings):
        self.reception = MemoryReception()
        self.factory = GatewayFactory(
            self.reception,
            ServerSettings(hostname="mx.example", tls="implicit", **settings),
            reactor,
            tls_context=server_options(),
        )
        self.port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port)
        return await connectProtocol(endpoint, LineClient())

    async def stop(self, client):
        client.transport.abortConnection()
        await client.gone
        await self.port.stopListening()
        await self.factory.drain()

    async def test_proxy_before_tls(self):
        """The header comes in clear text, TLS behind it."""
        client = await self.start(proxy_networks=(ip_network("127.0.0.0/8"),))
        client.transport.write(_HEADER)
        client.transport.startTLS(CertificateOptions())
        client.transport.write(b"")
        self.assertEqual((await client.line())[:4], b"220 ")
        client.transport.write(b"EHLO c\r\n" + _ONE)
        while not self.reception.rcpts:
            await client.line()
        self.assertEqual(self.reception.rcpts[0][0].address, "198.51.100.7")
        self.assertEqual(self.reception.rcpts[0][0].protocol, "ESMTPS")
        await self.stop(client)

    async def test_early_inside(self):
        """Early is what is said inside of TLS before the banner."""
        client = await self.start(early_talker_seconds=0.3)
        client.transport.startTLS(CertificateOptions())
        client.transport.write(b"EHLO c\r\n")
        self.assertEqual((await client.line())[:10], b"554 5.5.1 ")
        await client.gone
        await self.stop_listening()

    async def test_patient_inside(self):
        """The handshake itself is not early."""
        client = await self.start(early_talker_seconds=0.05)
        client.transport.startTLS(CertificateOptions())
        client.transport.write(b"")
        self.assertEqual((await client.line())[:4], b"220 ")
        await self.stop(client)

    async def stop_listening(self):
        await self.port.stopListening()
        await self.factory.drain()
