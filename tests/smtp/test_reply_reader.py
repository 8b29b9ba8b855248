"""Replies of next hops: strict, bounded, and the same however they are cut."""

from collections.abc import Iterable
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import Reply
from smtpgw.smtp.reply_reader import BadReply, ReplyReader
from tests.clauses import holds


def read(pieces: Iterable[bytes]) -> list[Reply | str]:
    """All replies; the word ``bad`` and no more where one is none."""
    reader = ReplyReader()
    replies: list[Reply | str] = []
    for piece in pieces:
        reader.feed(piece)
        try:
            while (reply := reader.next()) is not None:
                replies.append(reply)
        except BadReply:
            return [*replies, "bad"]
    return replies


def octets(wire: bytes) -> list[bytes]:
    """One octet at a time."""
    return [wire[at : at + 1] for at in range(len(wire))]


class ReadingTests(SynchronousTestCase):
    """Well-formed replies are understood."""

    def check(self, wire: bytes, *expected: Reply | str) -> None:
        """Whole, octet by octet, and cut at random."""
        random = Random(0)
        self.assertEqual(read([wire]), list(expected))
        self.assertEqual(read(octets(wire)), list(expected))
        for _ in range(20):
            cuts = sorted(random.randrange(len(wire) + 1) for _ in range(4))
            borders = [0, *cuts, len(wire)]
            pieces = [wire[start:end] for start, end in pairwise(borders)]
            self.assertEqual(read(pieces), list(expected))

    def test_one_line(self) -> None:
        """Code, status, text."""
        self.check(b"250 2.1.0 Sender ok\r\n", Reply(250, "2.1.0", ("Sender ok",)))

    def test_no_text(self) -> None:
        """A code alone is a reply."""
        self.check(b"250\r\n250 \r\n", Reply(250, "", ("",)), Reply(250, "", ("",)))

    @holds("5321", "4.2.1", "As a client, a reply of many lines is read as one.")
    def test_many_lines(self) -> None:
        """The status is taken off every line that bears it."""
        self.check(
            b"550-5.1.1 No such\r\n550-5.1.1\r\n550 user here\r\n",
            Reply(550, "5.1.1", ("No such", "", "user here")),
        )

    def test_status_of_another_class(self) -> None:
        """A status that contradicts the code is only text."""
        self.check(b"550 4.1.1 odd\r\n", Reply(550, "", ("4.1.1 odd",)))
        self.check(b"250 2.0 odd\r\n", Reply(250, "", ("2.0 odd",)))
        self.check(b"354 3.0.0 go\r\n", Reply(354, "", ("3.0.0 go",)))

    def test_line_feed_alone(self) -> None:
        """A host that forgets the CR is understood."""
        self.check(b"250-a\n250 b\n", Reply(250, "", ("a", "b")))

    def test_not_ascii(self) -> None:
        """UTF-8 is read, anything else replaced."""
        self.check("550 5.1.1 kein Empf\u00e4nger\r\n".encode(), Reply(550, "5.1.1", ("kein Empf\u00e4nger",)))
        self.check(b"550 \xff\xfe\r\n", Reply(550, "", ("\ufffd\ufffd",)))

    def test_several(self) -> None:
        """Replies in one piece are given one by one."""
        self.check(
            b"250 a\r\n550 b\r\n354 c\r\n", *(Reply(c, "", (t,)) for c, t in [(250, "a"), (550, "b"), (354, "c")])
        )

    def test_pending(self) -> None:
        """It can be asked whether something is left over."""
        reader = ReplyReader()
        self.assertFalse(reader.is_pending)
        reader.feed(b"250 a\r\n2")
        reader.next()
        self.assertTrue(reader.is_pending)
        reader = ReplyReader()
        reader.feed(b"250-a\r\n")
        self.assertIsNone(reader.next())
        self.assertTrue(reader.is_pending)
        reader.feed(b"250 b\r\n")
        reader.next()
        self.assertFalse(reader.is_pending)


class GarbageTests(SynchronousTestCase):
    """Whatever is no reply is said to be none."""

    def test_not_replies(self) -> None:
        """Codes out of range, other signs, other protocols."""
        for wire in [
            b"\r\n",
            b"25\r\n",
            b"2500 x\r\n",
            b"150 x\r\n",
            b"650 x\r\n",
            b"25x x\r\n",
            b"+25 x\r\n",
            b" 250 x\r\n",
            b"250+x\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\x16\x03\x01\x00\x05hello\n",
            b"\xb2\xb5\xb0 x\r\n",
            b"250-a\r\n251 b\r\n",
            b"250-a\r\n550 b\r\n",
            b"250-a\r\n250x\r\n",
            b"250-a\r\n\r\n",
        ]:
            self.assertEqual(read([wire]), ["bad"], wire)
            self.assertEqual(read(octets(wire)), ["bad"], wire)

    def test_good_ones_before(self) -> None:
        """What came before the garbage counts."""
        self.assertEqual(read([b"250 a\r\nnonsense\r\n"]), [Reply(250, "", ("a",)), "bad"])

    def test_escaped(self) -> None:
        """The words about it carry no control characters."""
        reader = ReplyReader()
        reader.feed(b"\x1b[31mred\x07\x9b" + b"x" * 500 + b"\r\n")
        text = str(self.assertRaises(BadReply, reader.next))
        self.assertTrue(text.isprintable() and text.isascii())
        self.assertLess(len(text), 300)


class BoundsTests(SynchronousTestCase):
    """Nothing a host says grows without end."""

    def test_endless_line(self) -> None:
        """A line without an end is given up after 2 KiB, whole or drop by drop."""
        self.assertEqual(read([b"250 " + b"x" * 3000]), ["bad"])
        self.assertEqual(read([b"250 " + b"x" * 3000 + b"\r\n"]), ["bad"])
        self.assertEqual(read([b"x"] * 3000), ["bad"])

    def test_endless_lines(self) -> None:
        """A reply of a hundred lines is read, of a hundred and one is not."""
        self.assertEqual(read([b"250-x\r\n" * 99 + b"250 x\r\n"]), [Reply(250, "", ("x",) * 100)])
        self.assertEqual(read([b"250-x\r\n" * 100 + b"250 x\r\n"]), ["bad"])

    def test_endless_octets(self) -> None:
        """A reply of 64 KiB is too long even in few lines."""
        self.assertEqual(read([b"250-" + b"x" * 2000 + b"\r\n"] * 34), ["bad"])

    def test_nothing_is_kept(self) -> None:
        """Replies that are read leave nothing behind."""
        reader = ReplyReader()
        for _ in range(1000):
            reader.feed(b"250 ok\r\n2")
            reader.next()
            reader.feed(b"50 ok\r\n")
            reader.next()
        self.assertLess(len(reader._buffer), 100)

    @settings(max_examples=200, deadline=None)
    @given(
        st.lists(st.binary(max_size=30) | st.sampled_from([b"250 ok\r\n", b"250-x\r\n", b"\r\n", b"4"]), max_size=12)
    )
    def test_any_cut(self, pieces: list[bytes]) -> None:
        """Any octets give the same replies whole, as they came, and one by one."""
        wire = b"".join(pieces)
        self.assertEqual(read(pieces), read([wire]))
        self.assertEqual(read(octets(wire)), read([wire]))
