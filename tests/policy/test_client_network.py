"""Tests for addresses of clients."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.network import is_in_networks
from smtpgw.policy import client_network as client_network_module
from smtpgw.policy.client_network import client_network, membership

NONE = ("", "192.0.2", "x", "192.0.2.1 ", "[192.0.2.1]", "1::2::3", "\u0661.0.2.1", "192.0.2.1\r\n")


class AddressTests(SynchronousTestCase):
    """One spelling of each, and nothing for what is none."""

    def test_network(self):
        """Neighbours are one: an IPv4 /24, an IPv6 /64."""
        self.assertEqual(client_network("192.0.2.77"), "192.0.2.0/24")
        self.assertEqual(client_network("::ffff:192.0.2.78"), "192.0.2.0/24")
        self.assertEqual(client_network("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64")
        self.assertNotEqual(client_network("2001:db8:1:3::1"), client_network("2001:db8:1:2::1"))
        for text in NONE:
            self.assertEqual(client_network(text), "")

    def test_membership(self):
        """It remembers, and a client per address of an IPv6 network does not fill the memory."""
        asked = []

        def counted(address, networks):
            asked.append(address)
            return is_in_networks(address, networks)

        self.patch(client_network_module, "is_in_networks", counted)
        is_member = membership([ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")])
        for _ in range(3):
            self.assertTrue(is_member("::ffff:192.0.2.1"))
            self.assertFalse(is_member("192.0.3.1"))
        self.assertEqual(len(asked), 2)
        for number in range(10_000):
            is_member(f"2001:db9::{number:x}")
        self.assertTrue(is_member("::ffff:192.0.2.1"))
        self.assertEqual(asked[-1], "::ffff:192.0.2.1")
