"""Packets in both directions, and how little of a broken milter's is believed."""

# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.milter import codec
from smtpgw.milter.codec import Action, Negotiated, PacketReader, Wish, packet
from tests.milter.fakes import negotiated


class PacketTests(SynchronousTestCase):
    """Four octets of length, a command, data."""

    def test_form(self):
        """The length counts the command."""
        self.assertEqual(packet(b"B", b"text"), b"\x00\x00\x00\x05Btext")
        self.assertEqual(packet(b"Q"), b"\x00\x00\x00\x01Q")

    def test_cut_anywhere(self):
        """Packets are the same, however the network cuts them."""
        octets = packet(b"c") + packet(b"h", b"X-A\0b\0") + packet(b"a")
        expected = [(b"c", b""), (b"h", b"X-A\0b\0"), (b"a", b"")]
        self.assertEqual(PacketReader().feed(octets), expected)
        reader = PacketReader()
        found = [one for octet in octets for one in reader.feed(bytes([octet]))]
        self.assertEqual(found, expected)

    def test_impossible_length(self):
        """A length of zero, or of gigabytes, is found at once, and nothing is kept for it."""
        for size in (0, 70_000, 1 << 31, (1 << 32) - 1):
            reader = PacketReader()
            self.assertEqual(reader.feed(packet(b"c") + size.to_bytes(4, "big") + b"x"), [(b"c", b"")])
            self.assertIn(str(size), reader.broken)
            self.assertEqual(reader.feed(packet(b"c")), [])

    def test_flood(self):
        """A milter that never stops is given up."""
        reader = PacketReader()
        reader.feed(packet(b"p") * 30_000)
        self.assertIn("without end", reader.broken)

    @settings(max_examples=100)
    @given(st.binary(max_size=200), st.integers(1, 20))
    def test_garbage(self, garbage, cut):
        """Whatever it is, in whatever pieces, it raises nothing."""
        reader = PacketReader()
        pieces = [packets for at in range(0, len(garbage), cut) for packets in reader.feed(garbage[at : at + cut])]
        whole = PacketReader()
        self.assertEqual(pieces, whole.feed(garbage))
        self.assertEqual(reader.broken, whole.broken)

    def test_text(self):
        """A string has its NUL at the end and none before."""
        self.assertEqual(codec.text("a\0b"), b"ab\0")
        self.assertEqual(codec.text("x" * 9000), b"x" * 4096 + b"\0")


class NegotiationTests(SynchronousTestCase):
    """What we offer, and what comes back."""

    def read(self, octets):
        return codec.read_negotiated(octets[5:])

    def test_offer(self):
        """Version 6, all nine actions, and every wish that we can grant; no packets beyond 64 KiB."""
        self.assertEqual(codec.offer(), b"\x00\x00\x00\x0dO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xf7\xff")

    def test_answer(self):
        """The milter's choice counts."""
        found = self.read(negotiated(Wish.NO_HELO | Wish.SKIP, Action.ADD_FIELDS))
        self.assertEqual(found, Negotiated(6, Action.ADD_FIELDS, Wish.NO_HELO | Wish.SKIP, {}))

    def test_more_than_offered(self):
        """What we have not offered is not agreed on."""
        found = self.read(negotiated(0xFFFFFFFF, 0xFFFFFFFF))
        self.assertEqual((int(found.actions), int(found.wishes)), (0x1FF, 0x1FF7FF))

    def test_versions(self):
        """Milters from version 2 on; newer than ours is none of ours."""
        self.assertEqual(self.read(negotiated(version=2)).version, 2)
        for version in (0, 1, 7, 1 << 31):
            self.assertIn("version", self.read(negotiated(version=version)))

    def test_macros(self):
        """The milter may choose the macros of a stage."""
        choice = (5).to_bytes(4, "big") + b"i {x}, j\0" + (0).to_bytes(4, "big") + b"\0"
        self.assertEqual(
            self.read(negotiated(rest=choice)).macros, {5: frozenset((b"i", b"{x}", b"j")), 0: frozenset()}
        )

    def test_cut_off(self):
        """Half an answer is none."""
        self.assertIn("short", codec.read_negotiated(b"\0" * 11))
        self.assertIn("no end", self.read(negotiated(rest=b"\0\0\0\x05i j")))


class MacroTests(SynchronousTestCase):
    """Values beside commands."""

    def test_form(self):
        """The command that they are for, then names and values."""
        self.assertEqual(codec.macros(b"E", [(b"i", "ID"), (b"{x}", "")]), packet(b"D", b"Ei\0ID\0{x}\0\0"))
        self.assertEqual(codec.macros(b"E", []), b"")

    def test_choice(self):
        """Those that were not chosen are left out; braces make no difference."""
        values = [(b"i", "ID"), (b"{x}", "1"), (b"{y}", "2")]
        self.assertEqual(codec.macros(b"E", values, frozenset((b"x",))), packet(b"D", b"E{x}\x001\0"))
        self.assertEqual(codec.macros(b"E", values, frozenset()), b"")

    def test_hostile_value(self):
        """A value from outside can't begin another macro, nor fill the packet."""
        found = codec.macros(b"H", [(b"{client_name}", "a\0{auth_authen}\0root"), (b"j", "x" * 100_000)])
        self.assertEqual(found, packet(b"D", b"H{client_name}\0a{auth_authen}root\0j\0" + b"x" * 1024 + b"\0"))
