"""Tests for addresses of clients."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.network import is_in_networks
from smtpgw.policy import client_network as client_network_module
from smtpgw.policy.client_network import client_network, counted_by, membership, plain_address, reversed_labels
from tests.clauses import holds

NONE = ("", "192.0.2", "x", "192.0.2.1 ", "[192.0.2.1]", "1::2::3", "\u0661.0.2.1", "192.0.2.1\r\n")


class AddressTests(SynchronousTestCase):
    """One spelling of each, and nothing for what is none."""

    def test_plain(self):
        """An IPv4 address in IPv6 clothes is an IPv4 address; a scope is not part of it."""
        for text in ("192.0.2.1", "::ffff:192.0.2.1", "::FFFF:c000:201"):
            self.assertEqual(str(plain_address(text)), "192.0.2.1")
        self.assertEqual(str(plain_address("2001:DB8::1%eth0")), "2001:db8::1")
        for text in NONE:
            self.assertIsNone(plain_address(text), text)

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

    def test_counted_by(self):
        """An IPv6 /64 is one client; IPv4 addresses are each one, also mapped ones."""
        self.assertEqual(counted_by("2001:db8::1"), counted_by("2001:db8::ffff"))
        self.assertNotEqual(counted_by("2001:db8::1"), counted_by("2001:db8:0:1::1"))
        self.assertEqual(counted_by("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertNotEqual(counted_by("::ffff:192.0.2.1"), counted_by("::ffff:192.0.2.2"))

    @holds("5782", "2.4", "IPv6 addresses are asked about nibble by nibble, the last first")
    def test_reversed(self):
        """Octets and nibbles in the order of the name server."""
        for text, labels in (
            ("192.0.2.99", "99.2.0.192"),
            ("2001:db8:1:2:3:4:567:89ab", "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2"),
        ):
            address = plain_address(text)
            assert address is not None
            self.assertEqual(reversed_labels(address), labels)
