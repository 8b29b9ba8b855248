"""What a milter says, read."""

# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.filters import ChangeField, InsertField
from smtpgw.milter import codec
from smtpgw.milter.answers import (
    BodyEdit,
    Broken,
    PathEdit,
    QuarantineEdit,
    Refused,
    Ruling,
    read_edit,
    read_ruling,
)
from smtpgw.milter.codec import Action, Wish
from smtpgw.model.reply import Reply

_ALL = Action(0x1FF)


class RulingTests(SynchronousTestCase):
    """Plain answers, and replies of its own."""

    def reply(self, text):
        return read_ruling(codec.REPLY_CODE, text + b"\0")

    def test_plain(self):
        """One letter each."""
        found = [read_ruling(bytes([letter]), b"") for letter in b"cadsrt4fp?"]
        self.assertEqual(found[:4], [Ruling.CONTINUE, Ruling.ACCEPT, Ruling.DISCARD, Ruling.SKIP])
        self.assertEqual([one.reply.code for one in found[4:7]], [550, 451, 421])
        self.assertIsInstance(found[7], Broken)
        self.assertEqual(found[8:], [None, None])

    def test_reply(self):
        """Code, status and text; what is missing is put in."""
        for text, expected in (
            (b"550 5.7.1 No, thank you", Reply(550, "5.7.1", ("No, thank you",))),
            (b"451 4.7.1 100%% sure", Reply(451, "4.7.1", ("100% sure",))),
            (b"554 without status", Reply(554, "5.7.1", ("without status",))),
            (b"450 5.7.1 odd", Reply(450, "4.7.1", ("odd",))),
            (b"550", Reply(550, "5.7.1", ("Refused by policy",))),
            (b"451 4.3.0", Reply(451, "4.3.0", ("Not now, try again later",))),
            (b"550-5.7.1 one\r\n550 5.7.1 two", Reply(550, "5.7.1", ("one", "two"))),
        ):
            self.assertEqual(self.reply(text), Refused(expected))

    def test_no_refusal(self):
        """Success, and nonsense, is no reply that a milter may give."""
        for text in (b"250 2.0.0 Ok", b"354 go on", b"", b"xyz", b"550 one\r\n451 two", b"650 x"):
            found = self.reply(text)
            self.assertIsInstance(found, Broken)

    def test_hostile_text(self):
        """No control character gets to the client, no line is too long, and there are not many of them."""
        found = self.reply(b"550 5.7.1 a\x1b[2J\rb\xff\x00 c").reply
        self.assertEqual(found.lines, ("a?[2J?b?",))
        found = self.reply(b"\n".join([b"550 " + b"x" * 600] * 200)).reply
        self.assertLessEqual(len(found.lines), 20)
        self.assertLessEqual(max(map(len, found.lines)), 400)

    @settings(max_examples=200)
    @given(
        st.binary(max_size=80)
        | st.text(alphabet="45.10 -%\r\n\0a", max_size=40).map(lambda text: b"550" + text.encode())
    )
    def test_anything(self, octets):
        """Whatever it is, the client gets a refusal that fits into a reply, or the milter counts as broken."""
        found = read_ruling(codec.REPLY_CODE, octets)
        if not isinstance(found, Broken):
            self.assertIn(found.reply.code // 100, (4, 5))
            self.assertEqual(found.reply.status[0], str(found.reply.code)[0])
            self.assertTrue(all(line and line.isprintable() and line.isascii() for line in found.reply.lines))


class EditTests(SynchronousTestCase):
    """Changes at the end of a message."""

    def read(self, command, data, actions=_ALL, wishes=Wish.LEADING_SPACE):
        return read_edit(command, data, actions, wishes)

    def test_all(self):
        """Each kind."""
        number = (2).to_bytes(4, "big")
        for command, data, expected in (
            (b"h", b"X-A\0 1\0", InsertField(b"X-A", b" 1")),
            (b"i", number + b"X-A\0 1\0", InsertField(b"X-A", b" 1", 2)),
            (b"m", number + b"X-A\0 1\0", ChangeField(b"X-A", 2, b" 1")),
            (b"m", number + b"X-A\0\0", ChangeField(b"X-A", 2, None)),
            (b"b", b"body\0\r\n", BodyEdit(b"body\0\r\n")),
            (b"+", b"<a@b>\0", PathEdit(b"+", b"<a@b>")),
            (b"2", b"<a@b>\0NOTIFY=NEVER\0", PathEdit(b"2", b"<a@b>", b"NOTIFY=NEVER")),
            (b"-", b"<a@b>\0", PathEdit(b"-", b"<a@b>")),
            (b"e", b"<>\0", PathEdit(b"e", b"<>")),
            (b"q", b"odd\x1b\0", QuarantineEdit("odd?")),
        ):
            self.assertEqual(self.read(command, data), expected)

    def test_leading_space(self):
        """Who has not asked for leading spaces gets one by us."""
        self.assertEqual(self.read(b"h", b"X-A\x001\0", wishes=Wish(0)), InsertField(b"X-A", b" 1"))
        self.assertEqual(self.read(b"m", b"\0\0\0\1X-A\0\0", wishes=Wish(0)), ChangeField(b"X-A", 1, None))

    def test_not_agreed(self):
        """Only what was agreed on is done."""
        for command in (b"h", b"i", b"m", b"b", b"+", b"2", b"-", b"e", b"q"):
            self.assertIsInstance(self.read(command, b"\0\0\0\1a\0b\0", Action(0)), Broken)

    def test_cut_off(self):
        """Half a change is none."""
        for command, data in (
            (b"h", b"X-A\0 1"),
            (b"h", b"X-A\0"),
            (b"h", b""),
            (b"+", b"a@b"),
            (b"i", b"\0\0"),
            (b"m", b"\0\0\0\1"),
        ):
            self.assertIsInstance(self.read(command, data), Broken)

    def test_no_edit(self):
        """What is no change at all is left to others."""
        self.assertIsNone(self.read(b"c", b""))

    @settings(max_examples=200)
    @given(st.sampled_from([b"h", b"i", b"m", b"b", b"+", b"2", b"-", b"e", b"q"]), st.binary(max_size=40))
    def test_anything(self, command, data):
        """Garbage raises nothing."""
        self.assertIsNotNone(self.read(command, data))
