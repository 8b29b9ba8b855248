"""The end of a header section is found wherever the cuts are."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from time import perf_counter

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.header import HeaderScan


def scan(pieces, limit=1000):
    """Feed all, and close."""
    found = HeaderScan(limit)
    for piece in pieces:
        found.feed(piece)
    found.close()
    return found


class HeaderScanTests(SynchronousTestCase):
    """The header section is what stands before the first empty line."""

    def test_whole(self):
        """In one piece."""
        found = scan([b"A: 1\r\nB: 2\r\n\r\nbody\r\n\r\nmore\r\n"])
        self.assertEqual((found.header, found.done, found.too_large), (b"A: 1\r\nB: 2\r\n", True, False))

    def test_every_cut(self):
        """Cut in three, at any two places, also in the middle of the empty line."""
        for raw, header in (
            (b"A: 1\r\nB: 2\r\n\r\nbo\r\n\r\ndy", b"A: 1\r\nB: 2\r\n"),
            (b"\r\nbody\r\n", b""),
            (b"\r\n\r\nA: 1\r\n\r\n", b""),
            (b"A: 1\r\n", b"A: 1\r\n"),
            (b"A: 1\r\n\r\n", b"A: 1\r\n"),
            (b"", b""),
        ):
            for first in range(len(raw) + 1):
                for second in range(first, len(raw) + 1):
                    found = scan([raw[:first], raw[first:second], raw[second:]])
                    self.assertEqual((found.header, found.too_large), (header, False), (raw, first, second))
            self.assertEqual(scan([raw[n : n + 1] for n in range(len(raw))]).header, header)

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from([b"\r\n", b"\r\n\r\n", b"a: b", b"c", b"\r"]), max_size=10), st.integers(1, 5))
    def test_any_content(self, pieces, size):
        """As a search over the whole would find it."""
        raw = b"".join(pieces)
        expected = (b"\r\n" + raw).partition(b"\r\n\r\n")
        header = raw if not expected[1] else (expected[0] + b"\r\n")[2:]
        self.assertEqual(scan([raw[n : n + size] for n in range(0, len(raw), size)]).header, header)

    def test_done_early(self):
        """It knows the end before the content ends, and then takes nothing more."""
        found = HeaderScan(100)
        found.feed(b"A: 1\r\n\r")
        self.assertFalse(found.done)
        found.feed(b"\n")
        self.assertTrue(found.done)
        found.feed(b"B: 2\r\n\r\n")
        self.assertEqual(found.header, b"A: 1\r\n")


class NoFieldTests(SynchronousTestCase):
    """Content that is not a header is not a header that is too large."""

    LIMIT = 256 * 1024

    def test_text_alone(self):
        """Thousands of lines without a colon and without an empty line, in one piece or in many."""
        raw = b"All work and no play makes a dull gateway, and longer lines do too, I fear.\r\n" * 4000
        for size in (len(raw), 64 * 1024, 1000):
            found = scan([raw[n : n + size] for n in range(0, len(raw), size)], self.LIMIT)
            self.assertEqual((found.header, found.done, found.too_large), (b"", True, False))

    def test_fields_before_text(self):
        """What fields there are, are the header; the text needs no empty line before it."""
        fields = b"Subject : x\r\n y\r\n\tz: 1\r\nX-Y:\r\n"
        for line in (b"text", b"two words", b"two words: x", b": x", b"na\xefve: x", b"\x7f: x", b"name \t"):
            for rest in (b"B: 2\r\n" * 20, b"B: 2\r\n" * 20 + b"\r\nbody"):
                found = scan([fields + line + b"\r\n" + rest], 60)
                self.assertEqual((found.header, found.too_large), (fields, False), line)

    def test_empty_line_behind_the_limit(self):
        """Text, then an empty line: the same."""
        for size in (1000, 7):
            raw = b"A: 1\r\n" + b"some text\r\n" * 30 + b"\r\nbody\r\n"
            found = scan([raw[n : n + size] for n in range(0, len(raw), size)], 50)
            self.assertEqual((found.header, found.too_large), (b"A: 1\r\n", False))

    def test_within_the_limit(self):
        """Where nothing is too large the empty line decides alone, as ever."""
        self.assertEqual(scan([b"A: 1\r\ntext\r\n\r\nbody"]).header, b"A: 1\r\ntext\r\n")
        self.assertEqual(scan([b"text\r\ntext\r\n"]).header, b"text\r\ntext\r\n")

    def test_behind_the_limit(self):
        """Fields up to the limit are too large, whatever comes then."""
        found = scan([b"A: 1\r\n" * 20 + b"text\r\n" * 20], 60)
        self.assertEqual((found.header, found.too_large), (b"A: 1\r\n" * 10, True))

    @settings(max_examples=300, deadline=None)
    @given(
        st.lists(st.sampled_from([b"\r\n", b"\r\n\r\n", b"a: b", b"c", b" ", b":", b"\xff"]), max_size=20),
        st.integers(1, 5),
        st.integers(1, 20),
    )
    def test_any_cut(self, pieces, size, limit):
        """What is found does not depend on the cuts, nor its memory on the content."""
        raw = b"".join(pieces)
        whole, cut = scan([raw], limit), scan([raw[n : n + size] for n in range(0, len(raw), size)], limit)
        self.assertEqual((cut.header, cut.too_large), (whole.header, whole.too_large))
        self.assertLessEqual(len(cut.header), limit)
        self.assertTrue(raw.startswith(cut.header))

    def test_linear(self):
        """The worst that can be sent takes no longer than its length: names, blanks and colons that never fit."""
        size = 512 * 1024
        for unit in (b"x", b" ", b"x ", b"x:", b"\t", b"x:\r\n", b"\r\n ", b"x" * 1000 + b":\r\n"):
            raw = b"A" + unit * (size // len(unit))
            begun = perf_counter()
            scan([raw], size - 1000)
            self.assertLess(perf_counter() - begun, 2)


class LimitTests(SynchronousTestCase):
    """Memory is bounded by the limit and one piece."""

    def test_exact(self):
        """As large as the limit is not too large; one octet more is, whatever the cuts."""
        raw = b"A: 1\r\nB: 2\r\n\r\nbody"
        for size in (1, 2, 5, 100):
            pieces = [raw[n : n + size] for n in range(0, len(raw), size)]
            self.assertFalse(scan(pieces, 12).too_large)
            found = scan(pieces, 11)
            self.assertEqual((found.too_large, found.header), (True, b"A: 1\r\n"))

    def test_endless(self):
        """A header without end is given up, and what is kept is whole lines."""
        found = HeaderScan(1000)
        for _ in range(100):
            found.feed(b"X: " + b"y" * 95 + b"\r\n")
        self.assertTrue(found.done and found.too_large)
        self.assertEqual(len(found.header), 1000)
        self.assertEqual(len(found._pieces), 1)

    def test_one_endless_line(self):
        """Without a line end nothing is kept."""
        self.assertEqual(scan([b"x" * 5000], 100).header, b"")
