"""IP networks, and what one client is."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.network import client_key, is_in_networks


class ClientKeyTests(SynchronousTestCase):
    """What counts as one client."""

    def test_keys(self):
        """IPv6 clients of one /64 are one client."""
        self.assertEqual(client_key("192.0.2.1"), "192.0.2.1")
        self.assertEqual(client_key("2001:db8:1:2::1"), client_key("2001:db8:1:2:ffff::9"))
        self.assertNotEqual(client_key("2001:db8:1:2::1"), client_key("2001:db8:1:3::1"))
        self.assertEqual(client_key("fe80::1%eth0"), client_key("fe80::2%eth0"))
        self.assertEqual(client_key("no:address"), "no:address")


class NetworkTests(SynchronousTestCase):
    """Whether an address is in one of some networks."""

    NETWORKS = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"))

    def test_inside(self) -> None:
        """Addresses of both families, an IPv4 one also in the form that an IPv6 socket gives it."""
        for address in ("192.0.2.7", "::ffff:192.0.2.7", "2001:db8:1::1"):
            self.assertTrue(is_in_networks(address, self.NETWORKS), address)

    def test_outside(self) -> None:
        """Others, and what is no address: a Unix socket has none."""
        for address in ("192.0.3.7", "::1", "", "no address", "fe80::1%eth0"):
            self.assertFalse(is_in_networks(address, self.NETWORKS), address)

    def test_zone(self) -> None:
        """The zone of a link-local address does not matter."""
        self.assertTrue(is_in_networks("fe80::1%eth0", [ip_network("fe80::/10")]))
