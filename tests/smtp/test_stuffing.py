"""Dot-stuffing: what is sent is what arrives, wherever the pieces are cut."""

from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.stuffing import Stuffing, stuffed
from tests.clauses import holds


def receive(wire: bytes) -> bytes:
    """A naive reference receiver: lines, one by one, up to the lone dot, which must be the end."""
    lines: list[bytes] = []
    rest = wire
    while True:
        line, end, rest = rest.partition(b"\r\n")
        assert end, "no lone dot"
        if line == b".":
            assert not rest, f"content ended early: {rest!r} follows"
            return b"".join(lines)
        lines.append((line[1:] if line.startswith(b".") else line) + b"\r\n")


def in_pieces(content: bytes, cuts: list[int]) -> bytes:
    """The content as sent when it is read in pieces."""
    stuffing = Stuffing()
    borders = [0, *sorted(cuts), len(content)]
    out = [stuffing.take(content[start:end]) for start, end in pairwise(borders)]
    return b"".join(out) + stuffing.end()


def dotty(random: Random, lines: int) -> bytes:
    """Random content with CR LF line ends, most of whose lines begin with a dot."""
    out = []
    for _ in range(random.randrange(lines)):
        out.append(random.choice([b"", b".", b"..", b".a", b"a.", b"a", b".\t", b"x" * random.randrange(40)]))
    content = b"\r\n".join(out)
    return content + random.choice([b"", b"\r\n"])


class WholeTests(SynchronousTestCase):
    """Content in memory goes out in one piece."""

    @holds("5321", "4.5.2", "As a client, a dot at the start of a line is doubled, and no other one.")
    def test_examples(self) -> None:
        """A dot at the start of a line is doubled, no other one."""
        for content, wire in [
            (b"", b".\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b"a", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b".\r\n", b"..\r\n.\r\n"),
            (b"a.b\r\n..c\r\n", b"a.b\r\n...c\r\n.\r\n"),
            (b"\r\n.\r\nMAIL FROM:<x@example.com>\r\n", b"\r\n..\r\nMAIL FROM:<x@example.com>\r\n.\r\n"),
            (b".\r\n.\r\n.\r\n", b"..\r\n..\r\n..\r\n.\r\n"),
        ]:
            self.assertEqual(stuffed(content), wire)

    def test_arrives_as_it_was(self) -> None:
        """3,000 random messages arrive octet for octet; only a missing last line end is added."""
        random = Random(1)
        for _ in range(3000):
            content = dotty(random, 12)
            whole = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
            self.assertEqual(receive(stuffed(content)), whole)


class PiecesTests(SynchronousTestCase):
    """Content in pieces goes out as if it were whole."""

    def test_every_border(self) -> None:
        """Two cuts at every pair of places change nothing."""
        content = b".a\r\n.\r\n..\r\n\r\n.b\r\nc"
        wire = stuffed(content)
        for first in range(len(content) + 1):
            for second in range(first, len(content) + 1):
                self.assertEqual(in_pieces(content, [first, second]), wire, (first, second))

    def test_octet_by_octet(self) -> None:
        """A piece may be a single octet."""
        content = b"..\r\n.\r\n\r\n..x\r\n"
        self.assertEqual(in_pieces(content, list(range(len(content)))), stuffed(content))

    def test_random_borders(self) -> None:
        """3,000 random messages cut at random places go out as the whole would."""
        random = Random(2)
        for _ in range(3000):
            content = dotty(random, 12)
            cuts = [random.randrange(len(content) + 1) for _ in range(random.randrange(6))]
            self.assertEqual(in_pieces(content, cuts), stuffed(content))

    @settings(max_examples=150, deadline=None)
    @given(st.text("\r\n.a", max_size=30), st.lists(st.integers(0, 30), max_size=5))
    def test_any_octets(self, text: str, cuts: list[int]) -> None:
        """Even content that nobody should have kept is stuffed the same way whole and in pieces."""
        content = text.encode()
        self.assertEqual(in_pieces(content, [cut for cut in cuts if cut <= len(content)]), stuffed(content))
