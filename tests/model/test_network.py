"""IP networks, and what one client is."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.network import client_key, is_in_networks, plain_address

NONE = ("", "192.0.2", "x", "192.0.2.1 ", "[192.0.2.1]", "1::2::3", "\u0661.0.2.1", "192.0.2.1\r\n")


class AddressTests(SynchronousTestCase):
    """One spelling of each, and nothing for what is none."""

    def test_plain(self) -> None:
        """An IPv4 address in IPv6 clothes is an IPv4 address; a scope is not part of it."""
        for text in ("192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"):
            self.assertEqual(str(plain_address(text)), "192.0.2.1")
        self.assertEqual(str(plain_address("2001:DB8::1%eth0")), "2001:db8::1")
        for text in NONE:
            self.assertIsNone(plain_address(text), text)


class ClientKeyTests(SynchronousTestCase):
    """What counts as one client."""

    def test_keys(self):
        """IPv6 clients of one /64 are one client."""
        self.assertEqual(client_key("192.0.2.1"), "192.0.2.1")
        self.assertEqual(client_key("2001:db8:1:2::1"), client_key("2001:db8:1:2:ffff::9"))
        self.assertNotEqual(client_key("2001:db8:1:2::1"), client_key("2001:db8:1:3::1"))
        self.assertEqual(client_key("fe80::1%eth0"), client_key("fe80::2%eth0"))
        self.assertEqual(client_key("no:address"), "no:address")
        self.assertEqual(client_key("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertNotEqual(client_key("::ffff:192.0.2.1"), client_key("::ffff:192.0.2.2"))


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
