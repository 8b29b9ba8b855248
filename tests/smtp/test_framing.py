"""Lines and content, whatever the cuts."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import random
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.framing import MAX_COMMAND_OCTETS, ChunkReader, CommandReader, ContentReader, Flaw
from tests.clauses import holds


def read_content(raw, cuts, **options):
    """Feed pieces as the session does; the content, the reader, and what is left behind the end."""
    reader = ContentReader(**options)
    content = []
    borders = [0, *sorted(cuts), len(raw)]
    for begin, end in pairwise(borders):
        octets, index = reader.read(raw[begin:end], 0)
        content.append(octets)
        if reader.ended:
            # What came in the same piece, and all pieces that never were read, is behind the end.
            return b"".join(content), reader, raw[begin + index :]
    return b"".join(content), reader, None


def naive(raw):
    """Line by line, as the RFC tells it: the content without dot-stuffing, and what is left behind the end."""
    content = b""
    while True:
        line, newline, raw = raw.partition(b"\r\n")
        if not newline:
            return content, None
        if line == b".":
            return content, raw
        content += line.removeprefix(b".") + b"\r\n"


def has_bare_newline(content):
    """Octet by octet."""
    for index, octet in enumerate(content):
        if octet == 13 and content[index + 1 : index + 2] != b"\n":
            return True
        if octet == 10 and (index == 0 or content[index - 1] != 13):
            return True
    return False


def random_body(source, pieces, length):
    """Made of what matters."""
    return b"".join(source.choice(pieces) for _ in range(source.randrange(length)))


_CLEAN = [b"\r\n", b"\r\n.", b"\r\n..", b".", b"..", b"a", b"bcd", b"\r\n\r\n", b"\xff", b" "]
_DIRTY = [*_CLEAN, b"\r", b"\n", b"\r\r\n", b"\n.\n", b"\n.\r\n", b"\r.\r", b"\r\n.\n", b"\0"]


class RandomBodyTests(SynchronousTestCase):
    """Thousands of bodies, cut at random places, give what a naive reader gives."""

    @holds("5321", "4.5.2", "As a server, the first dot of a line is taken off, and nothing else is changed.")
    def test_clean_bodies_pass_unchanged(self):
        """3,000 random bodies arrive octet for octet, and the next command stays behind the end."""
        source = random.Random(20)
        for _ in range(3000):
            lines = random_body(source, _CLEAN, 30).split(b"\r\n")
            body = b"\r\n".join(lines) + b"\r\n" if source.random() < 0.9 else b""
            stuffed = b"".join(
                (b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in body.split(b"\r\n")[:-1]
            )
            raw = stuffed + b".\r\nQUIT\r\n"
            cuts = [source.randrange(len(raw) + 1) for _ in range(source.randrange(8))]
            content, reader, rest = read_content(raw, cuts)
            self.assertEqual((content, rest), (body, b"QUIT\r\n"))
            self.assertIsNone(reader.flaw)
            self.assertEqual(reader.size_octets, len(body))

    def test_any_input(self):
        """Whatever is sent, the end is where the naive reader finds it, and flaws exactly where there are some."""
        source = random.Random(21)
        for _ in range(3000):
            raw = random_body(source, _DIRTY, 20) + b"\r\n.\r\nQUIT\r\n"
            cuts = [source.randrange(len(raw) + 1) for _ in range(source.randrange(8))]
            expected, expected_rest = naive(raw)
            content, reader, rest = read_content(raw, cuts)
            self.assertEqual(rest, expected_rest)
            flawed = has_bare_newline(expected) or b"\0" in expected
            self.assertEqual(reader.flaw is not None, flawed, raw)
            if not flawed:
                self.assertEqual(content, expected)

    def test_octet_by_octet(self):
        """The slowest peer's message is the same message."""
        source = random.Random(22)
        for _ in range(300):
            raw = random_body(source, _CLEAN, 20) + b"\r\n.\r\n"
            expected, expected_rest = naive(raw)
            content, _, rest = read_content(raw, range(1, len(raw)))
            self.assertEqual((content, rest), (expected, expected_rest))

    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.sampled_from(_DIRTY), max_size=12), st.lists(st.integers(0, 60), max_size=5))
    def test_normalized(self, pieces, cuts):
        """Normalising gives lines that end in CR LF, no NUL, and the same end."""
        raw = b"".join(pieces) + b"\r\n.\r\nQUIT\r\n"
        expected, expected_rest = naive(raw)
        content, reader, rest = read_content(raw, [cut for cut in cuts if cut <= len(raw)], normalize=True)
        self.assertIsNone(reader.flaw)
        self.assertEqual(rest, expected_rest)
        self.assertFalse(has_bare_newline(content))
        lines = expected.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\0", b"")
        self.assertEqual(content, lines.replace(b"\n", b"\r\n"))


class TerminatorTests(SynchronousTestCase):
    """Only CR LF . CR LF ends content."""

    @holds("5321", "4.1.1.4", "Only CR LF . CR LF ends content: nine look-alikes do not.")
    def test_false_ends(self):
        """Nine look-alikes end nothing; what follows them is content, and the message is refused at its true end."""
        for end in (
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\r",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
            b"\n.\r",
        ):
            raw = b"a" + end + b"MAIL FROM:<evil@x.example>\r\n.\r\nQUIT\r\n"
            for cuts in ([], range(1, len(raw))):
                with self.subTest(end, cuts=len(cuts)):
                    _, reader, rest = read_content(raw, cuts)
                    self.assertTrue(reader.ended)
                    self.assertIsNotNone(reader.flaw)
                    self.assertEqual(rest, b"QUIT\r\n")

    def test_dot_and_space(self):
        """A dot with a space behind it is a stuffed line, and content."""
        content, reader, rest = read_content(b"a\r\n. \r\nb\r\n.\r\n", [])
        self.assertEqual((content, reader.flaw, rest), (b"a\r\n \r\nb\r\n", None, b""))

    def test_empty(self):
        """A message may have no octet at all."""
        for cuts in ([], [1], [1, 2]):
            content, reader, rest = read_content(b".\r\nQUIT\r\n", cuts)
            self.assertEqual((content, reader.size_octets, rest), (b"", 0, b"QUIT\r\n"))

    def test_stuffed_first_line(self):
        """The very first line may be stuffed, too."""
        self.assertEqual(read_content(b"..\r\n.\r\n", [])[0], b".\r\n")
        self.assertEqual(read_content(b".a\r\n.\r\n", [1])[0], b"a\r\n")

    def test_which_flaw(self):
        """A NUL is told from a bare newline."""
        self.assertIs(read_content(b"a\0\r\n.\r\n", [])[1].flaw, Flaw.NUL)
        self.assertIs(read_content(b"a\nb\r\n.\r\n", [])[1].flaw, Flaw.BARE_NEWLINE)

    def test_nothing_is_given_out_after_a_flaw(self):
        """From the piece with the flaw on."""
        reader = ContentReader()
        self.assertEqual(reader.read(b"a\r\nb\r\n", 0)[0], b"a\r\nb")
        self.assertEqual(reader.read(b"c\nd", 0)[0], b"")
        self.assertEqual(reader.read(b"e\r\n.\r\nX", 0), (b"", 6))
        self.assertTrue(reader.ended)

    def test_holds_back_little(self):
        """A peer can't make it keep more than a line end and a dot."""
        reader = ContentReader()
        given_out = b"".join(reader.read(b"\r\n.\r" if n % 2 else b"x\r", 0)[0] for n in range(1000))
        self.assertLess(len(reader._held), 6)
        self.assertIsNotNone(reader.flaw)
        self.assertLess(len(given_out), 10)


class CommandReaderTests(SynchronousTestCase):
    """Command lines are bounded, and every one is counted once."""

    def read_all(self, raw, size):
        """As the session does: what was not used up goes in front of the next piece. Lines, ``None`` for too long."""
        reader = CommandReader()
        found = []
        buffer = b""
        for begin in range(0, len(raw), size):
            buffer += raw[begin : begin + size]
            position = 0
            while True:
                start = position
                line, position = reader.read(buffer, start)
                if line is not None:
                    found.append(line)
                elif position > start and not reader.is_skipping:
                    found.append(None)
                else:
                    break
            buffer = buffer[position:]
            self.assertLessEqual(len(buffer), MAX_COMMAND_OCTETS)
        return found

    def test_lines(self):
        """Cut anywhere."""
        raw = b"EHLO a\r\n\r\nNOOP\nX\rY\r\nRSET\r\nQU"
        for size in (1, 2, 3, 7, len(raw)):
            self.assertEqual(self.read_all(raw, size), [b"EHLO a", b"", b"NOOP\nX\rY", b"RSET"])

    @holds("5321", "4.5.3.1.4", "A command line of 2,048 octets with its CR LF is read.")
    def test_limit(self):
        """2,048 octets with CR LF is a line, one more is not; whatever the cuts, it is reported once."""
        fits = b"N" * (MAX_COMMAND_OCTETS - 2)
        for size in (1, 2, 1000, 2047, 2048, 2049, 10000):
            with self.subTest(size):
                self.assertEqual(
                    self.read_all(fits + b"\r\n" + fits + b"N\r\nA\r\n" + b"L" * 9000 + b"\r\nB\r\n", size),
                    [fits, None, b"A", None, b"B"],
                )

    def test_long_line_of_line_ends_halves(self):
        """CR without LF never ends a long line."""
        self.assertEqual(self.read_all(b"\r" * 5000 + b"\nA\r\n", 1), [None, b"A"])


class ChunkReaderTests(SynchronousTestCase):
    """Content by number."""

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.sampled_from([b"a", b"\r\n", b"\r", b"\n", b"\0", b"xyz"]), max_size=15),
        st.lists(st.integers(0, 30), max_size=6),
        st.integers(1, 9),
        st.booleans(),
    )
    def test_any_cut(self, pieces, places, size, normalize):
        """Chunks and input cut anywhere: the same content, or a flaw, and never an octet beyond the chunk."""
        content = b"".join(pieces)
        whole, cut = ChunkReader(normalize=normalize), ChunkReader(normalize=normalize)
        whole.begin(len(content), is_last=True)
        expected, stop = whole.read(b"##" + content + b"BDAT", 2)
        self.assertEqual((stop, whole.ended), (2 + len(content), True))
        ends = [*sorted({min(place, len(content)) for place in places}), len(content)]
        given = b""
        begin = 0
        for number, end in enumerate(ends):
            cut.begin(end - begin, is_last=number == len(ends) - 1)
            text = content[begin:end] + b"BDAT 1\r\n"
            position = 0
            while not cut.ended:
                octets, position = cut.read(text[: position + size], position)
                given += octets
            self.assertEqual(position, end - begin)
            begin = end
        self.assertEqual(cut.flaw is None, whole.flaw is None)
        if whole.flaw is None:
            self.assertEqual(given, expected)
            self.assertEqual(cut.size_octets, len(content))
            self.assertTrue(not expected or expected.endswith(b"\r\n"))
            self.assertNotRegex(expected, rb"(?<!\r)\n|\r(?!\n)|\0")
        else:
            self.assertTrue(expected.startswith(given) or not expected)

    def test_skip(self):
        """Octets that nobody wants are counted all the same."""
        reader = ChunkReader()
        reader.begin(5, is_last=False)
        self.assertEqual(reader.skip(b"abc", 0), 3)
        self.assertFalse(reader.ended)
        self.assertEqual(reader.skip(b"abc", 0), 2)
        self.assertTrue(reader.ended)
