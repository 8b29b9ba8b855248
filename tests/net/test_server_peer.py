"""Addresses of peers."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet.address import HostnameAddress, IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import TlsFacts
from smtpgw.net.server_peer import peer_address, peer_port, tls_facts


class PeerAddressTests(SynchronousTestCase):
    """Whatever the transport is, there is a text."""

    def test_addresses(self):
        """IPv4, IPv6, IPv4 in IPv6, none."""
        for address, text in (
            (IPv4Address("TCP", "192.0.2.1", 1), "192.0.2.1"),
            (IPv6Address("TCP", "2001:db8::1", 1), "2001:db8::1"),
            (IPv6Address("TCP", "::ffff:192.0.2.1", 1), "192.0.2.1"),
            (IPv6Address("TCP", "fe80::1%eth0", 1), "fe80::1%eth0"),
            (UNIXAddress("/run/x"), ""),
            (UNIXAddress(None), ""),
            (HostnameAddress(b"x", 1), ""),
        ):
            with self.subTest(text):
                self.assertEqual(peer_address(address), text)

    def test_ports(self):
        """Of TCP, whatever the address; elsewhere there is none."""
        self.assertEqual(peer_port(IPv4Address("TCP", "192.0.2.1", 12345)), 12345)
        self.assertEqual(peer_port(IPv6Address("TCP", "2001:db8::1", 1)), 1)
        self.assertEqual(peer_port(UNIXAddress("/run/x")), 0)


class TlsFactsTests(SynchronousTestCase):
    """What OpenSSL says."""

    def test_facts(self):
        """Version and cipher; a client's certificate is not asked for."""

        class Handle:
            def get_protocol_version_name(self):
                return "TLSv1.3"

            def get_cipher_name(self):
                return "TLS_AES_256_GCM_SHA384"

        transport = StringTransport()
        transport.getHandle = Handle
        self.assertEqual(tls_facts(transport), TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384", False))
