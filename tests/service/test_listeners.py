"""Listeners bind or say why not."""

# mypy: no-check-untyped-defs

from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.config_schema import ListenConfig
from smtpgw.service.listeners import CannotStart, addresses_of, bind, own_addresses, tcp_port
from tests.service.house import House


class _Port:
    def __init__(self, address):
        self.address = address

    def getHost(self):
        return self.address


class BindTests(SynchronousTestCase):
    """Binding an endpoint."""

    def test_bound_with_a_backlog(self):
        """A TCP endpoint gets a backlog that survives a burst, unless it has one."""
        reactor = MemoryReactorClock()
        bind(ListenConfig("tcp:2525:interface=127.0.0.1"), House().reception, reactor)
        bind(ListenConfig("tcp:2526:backlog=7"), House().reception, reactor)
        self.assertEqual([(port, backlog) for port, _, backlog, _ in reactor.tcpServers], [(2525, 1024), (2526, 7)])

    def test_in_use(self):
        """A port that is taken is one line that names the endpoint and the reason."""
        reactor = MemoryReactorClock()
        error = OSError(98, "Address already in use")

        def listen(*arguments, **keywords):
            raise CannotListenError("127.0.0.1", 2525, error)

        reactor.listenTCP = listen
        trouble = self.assertRaises(CannotStart, bind, ListenConfig(), House().reception, reactor)
        self.assertEqual(str(trouble), "cannot listen on tcp:2525:interface=127.0.0.1: Address already in use")


class OwnAddressesTests(SynchronousTestCase):
    """A gateway is never its own next hop."""

    def test_named_interface(self):
        """A listener on one address is that address and port."""
        ports = [_Port(IPv4Address("TCP", "192.0.2.1", 25)), _Port(UNIXAddress("/x"))]
        self.assertEqual(own_addresses(ports, "gw.test", self.fail), {("192.0.2.1", 25)})

    def test_all_interfaces(self):
        """A listener on all addresses is loopback and what the host's name leads to."""
        ports = [_Port(IPv4Address("TCP", "0.0.0.0", 25))]
        found = own_addresses(ports, "gw.test", lambda name: ["192.0.2.9"])
        self.assertEqual(found, {("127.0.0.1", 25), ("::1", 25), ("192.0.2.9", 25)})

    def test_a_name_that_leads_nowhere(self):
        """A host whose name has no address is no reason not to start."""
        self.assertEqual(addresses_of("no such name.invalid"), [])

    def test_port_number(self):
        """Only TCP ports have one."""
        self.assertEqual(tcp_port(_Port(IPv4Address("TCP", "192.0.2.1", 25))), 25)
        self.assertRaises(TypeError, tcp_port, _Port(UNIXAddress("/x")))
