"""The dialogue: what is waited for, and how a milter that misbehaves ends it."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.filters import FilterLost
from smtpgw.milter import codec
from smtpgw.milter.answers import Ruling
from smtpgw.milter.codec import Wish, packet
from smtpgw.milter.dialogue import Dialogue
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, Client, MailFrom, Recipient
from tests.milter.fakes import ALL_SILENT, DIE, HANG, FakeContent, FakeMilter

CLIENT = Client("192.0.2.1", "helo.test", "ESMTP", name="client.test", port=25000)
MAIL = MailFrom(Mailbox("a", "b.test"), 100, BodyType.EIGHT_BIT, smtputf8=True)
BOB = Recipient(Mailbox("bob", "d.test"))


class DialogueTests(SynchronousTestCase):
    """Over a link in memory."""

    def begin(self, milter):
        self.milter = milter
        self.dialogue = Dialogue(milter, hostname="gw.test", timeout_seconds=30.0, most_body_octets=1000)

    def ask(self, coroutine):
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def lost(self, coroutine):
        return str(self.failureResultOf(Deferred.fromCoroutine(coroutine), FilterLost).value)

    def whole(self, content=None):
        """Everything up to the end of the message; the answer to that."""
        for answer in (self.dialogue.greet(CLIENT), self.dialogue.mail(CLIENT, MAIL), self.dialogue.rcpt(BOB)):
            self.assertIs(self.ask(answer), Ruling.CONTINUE)
        return self.ask(self.dialogue.content("ID", content or FakeContent()))

    def test_whole_message(self):
        """Every step in its order, with its arguments and macros."""
        self.begin(FakeMilter())
        self.assertIs(self.whole(FakeContent((b"A: b\r\n", b"C:d\r\n"), b"text\r\n")), Ruling.CONTINUE)
        self.assertEqual(
            self.milter.heard[1:],
            [
                (b"C", b"client.test\x004\x61\xa8192.0.2.1\0"),
                (b"H", b"helo.test\0"),
                (b"M", b"<a@b.test>\0SIZE=100\0BODY=8BITMIME\0SMTPUTF8\0"),
                (b"R", b"<bob@d.test>\0"),
                (b"T", b""),
                (b"L", b"A\0b\0"),
                (b"L", b"C\0d\0"),
                (b"N", b""),
                (b"B", b"text\r\n"),
                (b"E", b""),
            ],
        )
        self.assertEqual(self.milter.macros[b"E"], {b"i": b"ID"})
        self.assertEqual(self.milter.macros[b"C"][b"j"], b"gw.test")

    def test_silent_milter(self):
        """Who answers nothing but the end of the message is waited for there and at the beginning only."""
        self.begin(FakeMilter(wishes=ALL_SILENT))
        self.assertIs(self.whole(), Ruling.CONTINUE)
        self.assertEqual(self.milter.commands(), b"OCHMRTLNBE")
        self.assertEqual(self.milter.deadlines, [(30.0, 90.0), (150.0, 450.0)])

    def test_unwanted_steps(self):
        """What it does not want it does not get."""
        self.begin(FakeMilter(wishes=Wish.NO_CONNECT | Wish.NO_HELO | Wish.NO_BODY | Wish.NO_HEADER | Wish.NO_DATA))
        self.assertIs(self.whole(), Ruling.CONTINUE)
        self.assertEqual(self.milter.commands(), b"OMRNE")

    def test_pieces(self):
        """The body comes in pieces of less than 64 KiB; one that has seen enough gets no more."""
        body = b"x" * 200_000
        self.begin(FakeMilter())
        self.whole(FakeContent(body=body, piece=150_000))
        pieces = [data for command, data in self.milter.heard if command == b"B"]
        self.assertEqual(b"".join(pieces), body)
        self.assertLessEqual(max(map(len, pieces)), 65535)
        self.begin(FakeMilter({codec.BODY: packet(codec.SKIP)}, wishes=Wish.SKIP))
        self.assertIs(self.whole(FakeContent(body=body)), Ruling.CONTINUE)
        self.assertEqual(self.milter.commands().count(b"B"), 1)
        self.assertTrue(self.milter.commands().endswith(b"BE"))

    def test_endless_header(self):
        """Tens of thousands of tiny fields are told with pauses, so that others get their turn."""
        self.begin(FakeMilter(wishes=ALL_SILENT))
        self.assertIs(self.whole(FakeContent((b"A:\r\n",) * 30_000)), Ruling.CONTINUE)
        self.assertEqual(self.milter.commands().count(b"L"), 30_000)
        self.assertEqual(self.milter.pauses, 3)

    def test_empty(self):
        """A message without header and body is one."""
        self.begin(FakeMilter())
        self.assertIs(self.whole(FakeContent((), b"")), Ruling.CONTINUE)
        self.assertEqual(self.milter.commands(), b"OCHMRTNE")

    def test_early_answers(self):
        """A word about the message ends it, at whatever step it comes."""
        for command in b"TLNB":
            self.begin(FakeMilter({bytes([command]): packet(codec.REJECT)}))
            self.assertEqual(self.whole().reply.code, 550)
            self.assertEqual(self.milter.commands()[-1], command)
            # The connection serves the next message.
            self.milter.script = {}
            self.assertIs(self.ask(self.dialogue.mail(CLIENT, MAIL)), Ruling.CONTINUE)

    def test_greeting_refused(self):
        """A word about the client is told, and no more is said."""
        self.begin(FakeMilter({codec.CONNECT: packet(codec.REJECT)}))
        self.assertEqual(self.ask(self.dialogue.greet(CLIENT)).reply.code, 550)
        self.assertEqual(self.milter.commands(), b"OC")

    def test_next_mail_aborts(self):
        """A transaction that was given up is forgotten before the next begins."""
        self.begin(FakeMilter())
        self.ask(self.dialogue.greet(CLIENT))
        self.ask(self.dialogue.mail(CLIENT, MAIL))
        self.assertTrue(self.dialogue.has_envelope)
        self.ask(self.dialogue.mail(CLIENT, MAIL))
        self.assertEqual(self.milter.commands(), b"OCHMAM")

    def test_handed_in_here(self):
        """Mail of this host comes from loopback."""
        self.begin(FakeMilter())
        self.ask(self.dialogue.greet(Client("", protocol="LOCAL")))
        self.assertEqual(self.milter.heard[1:], [(b"C", b"localhost\x004\0\x00127.0.0.1\0"), (b"H", b"localhost\0")])

    def test_hangs_and_dies(self):
        """Silence and a lost connection end the dialogue, at every step."""
        for command in b"OCHMRTLNBE":
            for fault in (HANG, DIE):
                self.begin(FakeMilter({bytes([command]): fault}))
                waiting = Deferred.fromCoroutine(self.everything())
                if fault is HANG:
                    self.assertNoResult(waiting)
                    self.milter.die()
                self.failureResultOf(waiting, FilterLost)
                self.assertFalse(self.dialogue.is_open)

    async def everything(self):
        await self.dialogue.greet(CLIENT)
        await self.dialogue.mail(CLIENT, MAIL)
        await self.dialogue.rcpt(BOB)
        await self.dialogue.content("ID", FakeContent())

    def test_garbage(self):
        """Garbage ends it, and the connection is closed."""
        for command in b"OCHMRTLNBE":
            self.begin(FakeMilter({bytes([command]): b"220 mx.test ESMTP\r\n"}))
            self.assertTrue(self.lost(self.everything()))
            self.assertFalse(self.milter.is_open)

    def test_more_time(self):
        """A milter that works on a message may say so."""
        self.begin(FakeMilter({codec.END_OF_MESSAGE: packet(codec.PROGRESS)}))
        waiting = Deferred.fromCoroutine(self.everything())
        self.milter.say(packet(codec.PROGRESS))
        self.assertEqual(self.milter.extended, 2)
        self.milter.say(packet(codec.CONTINUE))
        self.successResultOf(waiting)

    def test_speaks_unasked(self):
        """What comes between two steps is never taken for an answer to the next."""
        self.begin(FakeMilter(wishes=ALL_SILENT))
        self.ask(self.dialogue.greet(CLIENT))
        self.milter.say(packet(codec.ACCEPT))
        self.assertIn("without being asked", self.lost(self.dialogue.mail(CLIENT, MAIL)))

    def test_close(self):
        """It takes leave."""
        self.begin(FakeMilter())
        self.ask(self.dialogue.greet(CLIENT))
        self.dialogue.close()
        self.assertEqual(self.milter.farewell, packet(codec.QUIT))
