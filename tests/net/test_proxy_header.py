"""The header of a proxy, both versions, however it is cut."""

import random
import struct
from ipaddress import ip_address

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.proxy_header import BadProxyHeader, ProxiedClient, ProxyHeaderReader

_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
_BEHIND = b"EHLO c\r\nPROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n"


def block(command: int, family: int, body: bytes) -> bytes:
    """A header of version 2."""
    return _SIGNATURE + struct.pack(">BBH", command, family, len(body)) + body


def tcp(source: str, port: int) -> bytes:
    """One for a client of TCP."""
    one, other = ip_address(source), ip_address("192.0.2.25" if ":" not in source else "2001:db8::25")
    family = 0x11 if one.version == 4 else 0x21
    return block(0x21, family, one.packed + other.packed + struct.pack(">HH", port, 25))


def read(pieces: list[bytes]) -> tuple[ProxiedClient | None, bytes]:
    """What a reader makes of them, and all that is behind the header."""
    reader = ProxyHeaderReader()
    for index, piece in enumerate(pieces):
        found = reader.feed(piece)
        if found is not None:
            return found, reader.rest + b"".join(pieces[index + 1 :])
    return None, b""


GOOD = {
    b"PROXY TCP4 198.51.100.7 192.0.2.25 40000 25\r\n": ProxiedClient("198.51.100.7", 40000),
    b"PROXY TCP6 2001:DB8::7 2001:db8::25 1 25\r\n": ProxiedClient("2001:db8::7", 1),
    b"PROXY TCP6 ::ffff:198.51.100.7 ::1 0 25\r\n": ProxiedClient("198.51.100.7", 0),
    b"PROXY UNKNOWN\r\n": ProxiedClient(),
    b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n": ProxiedClient(),
    tcp("198.51.100.7", 40000): ProxiedClient("198.51.100.7", 40000),
    tcp("2001:db8::7", 65535): ProxiedClient("2001:db8::7", 65535),
    tcp("::ffff:198.51.100.7", 9): ProxiedClient("198.51.100.7", 9),
    block(0x21, 0x11, tcp("198.51.100.7", 5)[16:] + b"\x04\x00\x03abc"): ProxiedClient("198.51.100.7", 5),
    block(0x20, 0x00, b""): ProxiedClient(),
    block(0x20, 0x77, b"whatever"): ProxiedClient(),
    block(0x21, 0x00, b"\x03\x00\x04abcd"): ProxiedClient(),
    block(0x21, 0x31, b"/run/x".ljust(216, b"\0")): ProxiedClient(),
    block(0x20, 0x00, b"x" * 4080): ProxiedClient(),
}

BAD = [
    b"EHLO c\r\n",
    b"\x16\x03\x01\x02\x00",
    b"\0",
    b"proxy TCP4 198.51.100.7 192.0.2.25 40000 25\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.25 40000\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.25 40000 25 \r\n",
    b"PROXY TCP4  198.51.100.7 192.0.2.25 40000 25\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.25 65536 25\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.25 1 99999\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.25 040 25\r\n",
    b"PROXY TCP4 198.51.100.7 192.0.2.25 -1 25\r\n",
    b"PROXY TCP4 198.51.100.256 192.0.2.25 1 25\r\n",
    b"PROXY TCP4 198.051.100.7 192.0.2.25 1 25\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::25 1 25\r\n",
    b"PROXY TCP6 198.51.100.7 192.0.2.25 1 25\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 25\r\n",
    b"PROXY UDP4 198.51.100.7 192.0.2.25 1 25\r\n",
    b"PROXY UNKNOWNX\r\n",
    b"PROXY TCP4 198.51.100.7\n192.0.2.25 1 25\r\n",
    b"PROXY " + b"x" * 101,
    b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
    block(0x11, 0x11, b"x" * 12),
    block(0x22, 0x11, b"x" * 12),
    block(0x21, 0x12, b"x" * 12),
    block(0x21, 0x22, b"x" * 36),
    block(0x21, 0x11, b"x" * 11),
    block(0x21, 0x21, b"x" * 35),
    block(0x21, 0x31, b"x" * 215),
    block(0x20, 0x00, b"x" * 4081)[:16],
    block(0x21, 0x11, b"x" * 65535)[:16],
]


class HeaderTests(SynchronousTestCase):
    """What a proxy says is read exactly."""

    def test_good(self) -> None:
        """Whole, octet by octet, and at random places; what is behind it is left as it is."""
        cuts = random.Random(1)
        for header, client in GOOD.items():
            octets = header + _BEHIND
            place = cuts.randrange(1, len(octets))
            for pieces in (
                [octets],
                [octets[index : index + 1] for index in range(len(octets))],
                [octets[:place], octets[place:]],
            ):
                self.assertEqual(read(pieces), (client, _BEHIND), header)

    def test_unfinished(self) -> None:
        """A beginning is no header, and no mistake either."""
        for header in GOOD:
            for length in range(len(header)):
                self.assertEqual(read([header[:length]]), (None, b""))

    def test_bad(self) -> None:
        """Anything else is refused, whole or octet by octet, as soon as it is clear."""
        for octets in BAD:
            for pieces in ([octets], [octets[index : index + 1] for index in range(len(octets))]):
                with self.subTest(octets[:60]):
                    trouble = self.assertRaises(BadProxyHeader, read, pieces)
                    self.assertTrue(str(trouble).isascii())

    @given(
        st.binary(max_size=200), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", _SIGNATURE, _SIGNATURE + b"\x21\x11"])
    )
    @settings(max_examples=200, deadline=None)
    def test_garbage(self, octets: bytes, start: bytes) -> None:
        """Garbage never raises anything else, and is never kept without bound."""
        reader = ProxyHeaderReader()
        try:
            for _ in range(40):
                if reader.feed(start + octets + b"x") is not None:
                    return
                self.assertLess(len(reader._buffer), 4096 + 300)
        except BadProxyHeader:
            return
        self.assertLess(len(reader._buffer), 70_000)
