"""Links, from the first connection attempt to the last word to the owner."""

from typing import cast

from twisted.internet.error import ConnectionRefusedError as ConnectionRefused
from twisted.internet.interfaces import IConnector
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.relay import LinkFacts, LinkFailure
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.net.client import RelayFactory, RelayProtocol
from smtpgw.net.client_link import RelayLink
from smtpgw.net.dialer import TcpDialer
from smtpgw.net.tls import RelayTls
from smtpgw.smtp.conversation_terms import RelaySettings
from tests.net.rude_servers import NoThreads, Owner
from tests.net.test_client import MemoryTransport
from tests.smtp.test_conversation import HOP, make_job


class RelayLinkTests(SynchronousTestCase):
    """One link in memory."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        settings = RelaySettings("gw.example.com", connect_timeout_seconds=7)
        self.dialer = TcpDialer(self.reactor, settings, RelayTls(), NoThreads())  # type: ignore[arg-type]
        self.owner = Owner(stays=True)
        self.protocol: RelayProtocol

    def open(self, need: TlsNeed = TlsNeed.OFF, source: str | None = None, hop: Hop = HOP) -> RelayLink:
        """Begin."""
        return self.dialer.open(hop, need, source, self.owner)

    def stand(self) -> MemoryTransport:
        """The last connection attempt succeeds."""
        factory = self.reactor.tcpClients[-1][2]
        protocol = cast(RelayFactory, factory).buildProtocol(None)
        transport = MemoryTransport()
        protocol.makeConnection(transport)
        self.protocol = protocol
        return transport

    def test_connects(self) -> None:
        """To the hop's address, within our time, from any or a given source."""
        self.open()
        host, port, _, timeout, bind = self.reactor.tcpClients[0]
        self.assertEqual((host, port, timeout, bind), ("192.0.2.25", 25, 7, None))
        self.open(source="192.0.2.7")
        self.assertEqual(self.reactor.tcpClients[1][4], ("192.0.2.7", 0))

    def test_families(self) -> None:
        """From an IPv4 source no IPv6 address is reached, nor the other way round; the owner hears it later."""
        for address, source in [("2001:db8::1", "192.0.2.7"), ("192.0.2.25", "2001:db8::7")]:
            self.owner = Owner()
            self.open(source=source, hop=Hop("mx", address, 25))
            self.assertEqual(self.owner.events, [])
            self.reactor.advance(0)
            reason = f"{address} can't be reached from the source address {source}"
            self.assertEqual(self.successResultOf(self.owner.ended), LinkFailure("connect", reason))
        self.assertEqual(self.reactor.tcpClients, [])

    def test_senseless(self) -> None:
        """An address that the system can't use is a failure too, and nothing is raised."""

        def connect(*_arguments: object, **_options: object) -> None:
            raise OSError(22, "Invalid argument")

        self.patch(self.reactor, "connectTCP", connect)
        self.open()
        self.assertEqual(self.owner.events, [])
        self.reactor.advance(0)
        self.assertEqual(
            self.successResultOf(self.owner.ended), LinkFailure("connect", "can't connect: Invalid argument")
        )

    def test_refused(self) -> None:
        """A refused connection is a failure of the stage connect."""
        self.open()
        factory = self.reactor.tcpClients[0][2]
        factory.clientConnectionFailed(cast(IConnector, None), Failure(ConnectionRefused(111, "Connection refused")))
        self.assertEqual(self.successResultOf(self.owner.ended), LinkFailure("connect", "Connection refused"))

    def test_ready(self) -> None:
        """The facts tell how long it took."""
        link = self.open()
        self.reactor.advance(2)
        self.stand()
        self.reactor.advance(1)
        self.protocol.dataReceived(b"220 x\r\n")
        self.protocol.dataReceived(b"250 x\r\n")
        self.assertEqual(self.successResultOf(self.owner.ready), LinkFacts(HOP, None, 3.0))
        link.send(make_job())
        self.assertRaises(RuntimeError, link.send, make_job())

    def test_not_ready(self) -> None:
        """A job for a link that isn't ready is an error of ours."""
        self.assertRaises(RuntimeError, self.open().send, make_job())

    def test_given_up_while_connecting(self) -> None:
        """Closed or dropped before it stands: the owner hears it once, and what connects late is dropped."""
        for end in [RelayLink.close, RelayLink.abort]:
            self.owner = Owner()
            link = self.open()
            end(link)
            self.assertEqual(self.successResultOf(self.owner.ended), LinkFailure("connect", "given up by us"))
            self.assertEqual(self.stand().aborted, 1)
            self.reactor.tcpClients[-1][2].clientConnectionFailed(cast(IConnector, None), Failure(ConnectionRefused()))
            end(link)
            self.assertEqual(self.owner.events, ["failed"])

    def test_second_try(self) -> None:
        """Broken TLS: a second connection, in clear text; the third link to that host begins in clear text."""
        self.open(TlsNeed.OPPORTUNISTIC)
        self.stand()
        for octets in [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"nonsense\r\n"]:
            self.protocol.dataReceived(octets)
        self.assertEqual(self.owner.events, [])
        self.assertEqual(len(self.reactor.tcpClients), 2)
        transport = self.stand()
        for octets in [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n"]:
            self.protocol.dataReceived(octets)
        self.assertEqual(self.owner.events, ["ready"])
        self.assertNotIn(b"STARTTLS", transport.value())
        self.owner = Owner(stays=True)
        self.open(TlsNeed.OPPORTUNISTIC)
        transport = self.stand()
        for octets in [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n"]:
            self.protocol.dataReceived(octets)
        self.assertNotIn(b"STARTTLS", transport.value())

    def test_no_third_try(self) -> None:
        """What fails in clear text as well has failed."""
        self.open(TlsNeed.OPPORTUNISTIC)
        self.stand()
        for octets in [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"nonsense\r\n"]:
            self.protocol.dataReceived(octets)
        self.stand()
        self.protocol.dataReceived(b"nonsense\r\n")
        self.assertEqual(self.owner.events, ["failed"])
        self.assertEqual(len(self.reactor.tcpClients), 2)

    def test_given_up_before_the_second_try(self) -> None:
        """A link closed in the middle of STARTTLS doesn't connect again."""
        link = self.open(TlsNeed.OPPORTUNISTIC)
        transport = self.stand()
        for octets in [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n"]:
            self.protocol.dataReceived(octets)
        link.close()
        self.assertEqual((transport.aborted, self.owner.events), (1, ["failed"]))
        self.assertEqual(len(self.reactor.tcpClients), 1)

    def test_no_second_try_when_needed(self) -> None:
        """Where TLS is needed a broken one is the end."""
        for need in [TlsNeed.REQUIRED, TlsNeed.VERIFY]:
            self.owner = Owner()
            self.open(need)
            attempts = len(self.reactor.tcpClients)
            self.stand()
            for octets in [b"220 x\r\n", b"250-x\r\n250 STARTTLS\r\n", b"nonsense\r\n"]:
                self.protocol.dataReceived(octets)
            failure = self.successResultOf(self.owner.ended)
            assert failure is not None
            self.assertEqual((failure.stage, failure.permanent), ("tls", False))
            self.assertEqual(len(self.reactor.tcpClients), attempts)
