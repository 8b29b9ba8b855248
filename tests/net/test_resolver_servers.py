"""Tests of :mod:`smtpgw.net.resolver_servers`."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.resolver_servers import is_loopback, system_servers


class SystemServerTests(SynchronousTestCase):
    """Servers of the machine."""

    def servers(self, text: str | bytes) -> tuple[tuple[str, int], ...]:
        """Those of a resolv.conf."""
        path = Path(self.mktemp())
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return system_servers(path)

    def test_in_order(self) -> None:
        """In the order of the file, at most three."""
        text = "# comment\nsearch example.com\n" + "".join(f"nameserver 192.0.2.{n}\n" for n in range(1, 6))
        self.assertEqual(self.servers(text), (("192.0.2.1", 53), ("192.0.2.2", 53), ("192.0.2.3", 53)))

    def test_nothing_there(self) -> None:
        """Without the file, without servers in it, or with rubbish in it: the one on this machine."""
        here = (("127.0.0.1", 53),)
        self.assertEqual(system_servers("/nonexistent/resolv.conf"), here)
        for text in ("", "search example.com\n", "nameserver here.example\n", b"\xff\xfe\x00nameserver\n"):
            self.assertEqual(self.servers(text), here)


class LoopbackTests(SynchronousTestCase):
    """Whose AD bit is believed."""

    def test_addresses(self) -> None:
        """Only addresses of this machine's loopback."""
        for address in ("127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"):
            self.assertTrue(is_loopback(address))
        for address in ("192.0.2.1", "::2", "::ffff:192.0.2.1", "10.0.0.1", "localhost", "fe80::1%lo"):
            self.assertFalse(is_loopback(address))
