"""Listeners bind or say why not."""

# mypy: no-check-untyped-defs

import socket
from random import Random

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.schema import ListenConfig
from smtpgw.delivery.hops import ANY_ADDRESS, HopRules
from smtpgw.delivery.resolution import find_hops
from smtpgw.model.route import ViaHost, ViaMx
from smtpgw.service.listeners import CannotStart, addresses_of, bind, outgoing_addresses, own_addresses, tcp_port
from smtpgw.testing.memory_names import MemoryResolver
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
        """A listener on all addresses is all of loopback, what the host's name leads to, and where it calls from."""
        for port in (IPv4Address("TCP", "0.0.0.0", 25), IPv6Address("TCP", "::", 25)):
            found = own_addresses([_Port(port)], "gw.test", lambda name: ["192.0.2.9"], lambda: ["192.0.2.10"])
            self.assertEqual(found, {(ANY_ADDRESS, 25), ("192.0.2.9", 25), ("192.0.2.10", 25)})

    def test_no_loop(self):
        """What a listener on all addresses reports keeps a smarthost, and a literal, from leading back to it."""
        own = own_addresses([_Port(IPv4Address("TCP", "0.0.0.0", 2525))], "gw.test", lambda name: [], list)
        for via, domain in ((ViaHost("127.0.0.3", 2525), "a.test"), (ViaMx(2525), "[127.0.0.3]")):
            finding = find_hops(via, domain, MemoryResolver({}), HopRules(own_addresses=own), Random(1))
            found = self.successResultOf(Deferred.fromCoroutine(finding))
            self.assertEqual(getattr(found, "status", None), "5.4.6")

    def test_mapped(self):
        """An IPv4 address behind an IPv6 socket is an IPv4 address."""
        ports = [_Port(IPv6Address("TCP", "::ffff:192.0.2.1", 25))]
        self.assertEqual(own_addresses(ports, "gw.test", self.fail), {("192.0.2.1", 25)})

    def test_outgoing_addresses(self):
        """A machine without a route has none; with one, it is an address."""

        class Socket:
            def __init__(self, family, kind):
                self.family = family

            def __enter__(self):
                return self

            def __exit__(self, *exception):
                pass

            def connect(self, address):
                if self.family == socket.AF_INET:
                    raise OSError(101, "Network is unreachable")

            def getsockname(self):
                return ("2001:db8::9%eth0", 40000, 0, 2)

        self.patch(socket, "socket", Socket)
        self.assertEqual(outgoing_addresses(), ["2001:db8::9"])

    def test_a_name_that_leads_nowhere(self):
        """A host whose name has no address is no reason not to start."""
        self.assertEqual(addresses_of("no such name.invalid"), [])

    def test_port_number(self):
        """Only TCP ports have one."""
        self.assertEqual(tcp_port(_Port(IPv4Address("TCP", "192.0.2.1", 25))), 25)
        self.assertRaises(TypeError, tcp_port, _Port(UNIXAddress("/x")))
