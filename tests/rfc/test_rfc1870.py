"""RFC 1870: SIZE."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.model.envelope import MailFrom
from smtpgw.model.outcome import Delayed, Failed
from smtpgw.model.route import TlsNeed
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.rfc.talk import CONTENT, ENVELOPE, Talk, codes
from tests.service.house import CLIENT, House, mailbox
from tests.smtp.test_conversation import Receiver, Stage, converse, make_job


class OfferTests(SynchronousTestCase):
    """Sections 3 and 4."""

    @holds("1870", "3", "SIZE is offered in the reply to EHLO.")
    def test_offer(self):
        """With our limit."""
        self.assertEqual(Talk(message_size=1000).offers()["SIZE"], "1000")

    @holds("1870", "3", "A MAIL command that SIZE makes 26 octets longer is read.")
    def test_long_mail(self):
        """The longest path and twenty digits."""
        path = f"{'l' * 64}@{'.'.join(['d' * 60] * 3)}.exampl"
        self.assertEqual(Talk(message_size=0).greet().codes(f"MAIL FROM:<{path}> SIZE={'0' * 19}5"), [250])

    @holds("1870", "4", "As a client, SIZE with 0 or without a number is no limit.")
    def test_no_limit(self):
        """The message is sent, with its size."""
        for keyword in (b"SIZE", b"SIZE 0"):
            stage = Stage(TlsNeed.OFF, make_job())
            stage.hear(b"220 x\r\n")
            said = stage.hear(b"250-mx\r\n250 " + keyword + b"\r\n")
            self.assertRegex(said, rb"\AMAIL FROM:<alice@example.com> SIZE=\d+\r\n\Z")


class DeclarationTests(SynchronousTestCase):
    """Sections 5 and 6."""

    @holds("1870", "3", "The value of SIZE is one to twenty digits.")
    def test_value(self):
        """501 for anything else."""
        for value in ("=", "", "=-5", "=+5", "=5.0", "=x", "=" + "1" * 21, "=٣"):
            self.assertEqual(Talk().greet().codes(f"MAIL FROM:<> SIZE{value}"), [501], value)
        self.assertEqual(Talk(message_size=0).greet().codes(f"MAIL FROM:<> SIZE={'9' * 20}"), [250])

    @holds("1870", "6.1", "A declared size of just the limit is taken, one octet more is 552.")
    def test_limit(self):
        """552, and SIZE=0 is a size as any other."""
        talk = Talk(message_size=1000).greet()
        for size, code in ((1001, 552), (1000, 250), (0, 250)):
            self.assertEqual(talk.codes(f"MAIL FROM:<> SIZE={size}", "RSET"), [code, 250])

    @holds_in_part(
        "1870",
        "6.1",
        "A message for which there is no room now is 452 at MAIL.",
        "All are, while less than a fixed reserve is free, which is more than the largest message; what was declared is"
        " not compared with the room.",
    )
    def test_no_room(self):
        """Whatever was declared."""
        house = House()
        house.spool.trouble = lambda: SpoolTrouble(full=True, cause="no space")
        for size in (None, 1, 1000):
            refuse = house.reception.mail(CLIENT, MailFrom(mailbox("a@a.test"), size))
            self.assertEqual((refuse.reply.code, refuse.reply.status), (452, "4.3.1"))

    @does_not_hold(
        "1870",
        "6.4",
        "A recipient who can't take a message of the declared size is refused at RCPT.",
        "We know of no limits of single mailboxes.",
    )
    def test_recipient(self):
        """Nobody asks for the size there."""
        talk = Talk(message_size=1000).greet()
        self.assertEqual(talk.codes("MAIL FROM:<a@a.example> SIZE=1000", *[ENVELOPE[1]] * 3), [250] * 4)

    @holds("1870", "6", "SIZE may be given once.")
    def test_once(self):
        """501 for two of them."""
        self.assertEqual(Talk().greet().codes("MAIL FROM:<> SIZE=5 SIZE=5"), [501])

    @holds("1870", "6", "SIZE says nothing about where content ends.")
    def test_not_the_end(self):
        """The lone dot does."""
        talk = Talk().greet()
        talk.say("MAIL FROM:<> SIZE=5", ENVELOPE[1], "DATA")
        self.assertEqual(talk.say("12345", "67890"), "")
        self.assertEqual(talk.codes("."), [250])

    @holds_in_part(
        "1870",
        "7",
        "Where no limit is announced, the room for a declared size is looked for before MAIL is 250.",
        "Only that the reserve is free: with limits.message_size = 0 a message may be larger than that, and is then 452"
        " at its end.",
    )
    def test_unannounced(self):
        """A size that no disk has is 250."""
        self.assertEqual(Talk(message_size=0).greet().codes(f"MAIL FROM:<> SIZE={10**19}"), [250])

    @holds(
        "1870", "6.3", "A message that was accepted with its size is not 552 at its end, unless it is larger than that."
    )
    def test_kept_word(self):
        """Of just the limit."""
        talk = Talk(message_size=20).greet()
        talk.say("MAIL FROM:<> SIZE=20", ENVELOPE[1], "DATA")
        self.assertEqual(codes(talk.raw(b"x" * 18 + b"\r\n.\r\n")), [250])

    @holds("1870", "6.3", "Content that is larger than declared, and not than the limit, is taken.")
    def test_larger(self):
        """And so is what is smaller."""
        for size in (0, 1, 900):
            talk = Talk(message_size=1000).greet()
            lines = (f"MAIL FROM:<a@a.example> SIZE={size}", ENVELOPE[1], "DATA", *CONTENT)
            self.assertEqual(talk.codes(*lines), [250, 250, 354, 250])

    @holds("1870", "5", "The size is that of the content as it was before its dots were doubled, CR LF counted.")
    def test_count(self):
        """Ten octets with a limit of ten; the lone dot is none of them."""
        for content, code in ((b"12345678\r\n", 250), (b"..345678\r\n..\r\n", 552), (b"..3456789\r\n", 250)):
            talk = Talk(message_size=10).greet()
            talk.say(*ENVELOPE, "DATA")
            self.assertEqual(codes(talk.raw(content + b".\r\n")), [code], content)


class ClientTests(SynchronousTestCase):
    """Section 6.1, from the other side."""

    @holds("1870", "6.2", "As a client, 452 to MAIL with SIZE delays the message, 552 fails it.")
    def test_refused(self):
        """For all recipients."""
        for octets, kind in ((b"452 4.3.1 full\r\n", Delayed), (b"552 5.3.4 too large\r\n", Failed)):
            stage = Stage(TlsNeed.OFF, make_job("b@b.example", "c@b.example"))
            converse(stage, Receiver("SIZE 100000", faults={("MAIL", 1): octets}))
            self.assertEqual([type(outcome) for outcome in stage.outcomes[0]], [kind, kind])
