"""RFC 3030: CHUNKING, and BINARYMIME, which is not offered."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import reply
from smtpgw.model.route import TlsNeed
from smtpgw.model.verdict import Refuse
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.rfc.talk import ENVELOPE, Talk, codes
from tests.smtp.fakes import MemoryReception
from tests.smtp.test_conversation import Receiver, Stage, converse, make_job


class ChunkCase(SynchronousTestCase):
    """A transaction whose recipients were accepted."""

    def begin(self, **options):
        """Ready for BDAT."""
        talk = Talk(**options).greet()
        talk.say(*ENVELOPE)
        return talk

    def chunk(self, talk, octets, last=""):
        """The codes of one BDAT."""
        return codes(talk.raw(b"BDAT %d%b\r\n%b" % (len(octets), last.encode(), octets)))


class BdatTests(ChunkCase):
    """Section 2."""

    @holds("3030", "2", "CHUNKING is offered, without parameters.")
    def test_offer(self):
        """To everybody."""
        self.assertEqual(Talk().offers()["CHUNKING"], "")

    @holds("3030", "2", "BDAT is the size of a chunk and, of the last one, LAST; each chunk has one reply.")
    def test_message(self):
        """250 for each, and the message is that of all."""
        talk = self.begin()
        for octets, last in ((b"Subject: x\r\n", ""), (b"\r\nhel", ""), (b"lo\r\n", " LAST")):
            self.assertEqual(self.chunk(talk, octets, last), [250])
        self.assertEqual([message.content for message in talk.messages], [b"Subject: x\r\n\r\nhello\r\n"])

    @holds("3030", "2", "A chunk of no octets is one, also the last.")
    def test_empty(self):
        """It ends the message."""
        talk = self.begin()
        self.assertEqual(codes(talk.raw(b"BDAT 0\r\nBDAT 3\r\nx\r\nBDAT 0 LAST\r\n")), [250, 250, 250])
        self.assertEqual(talk.messages[0].content, b"x\r\n")

    @holds("3030", "2", "There is no message before BDAT LAST.")
    def test_unfinished(self):
        """RSET or a lost connection, and nothing was sent."""
        talk = self.begin()
        self.chunk(talk, b"x\r\n")
        self.assertEqual(talk.codes("RSET"), [250])
        self.assertEqual((talk.messages, talk.rig.reception.intakes[0].is_abandoned), ([], True))
        self.assertEqual(self.chunk(talk, b"x\r\n", " LAST"), [503])

    @holds("3030", "2", "A lone dot in a chunk is content, and a dot at the start of a line is not taken off.")
    def test_dots(self):
        """There is no transparency, because there is nothing to hide."""
        talk = self.begin()
        self.assertEqual(self.chunk(talk, b"..\r\n.\r\n.x\r\n", " LAST"), [250])
        self.assertEqual(talk.messages[0].content, b"..\r\n.\r\n.x\r\n")

    @holds("3030", "2", "DATA behind a BDAT of the same message is 503, and RSET makes an end of it.")
    def test_data(self):
        """As are MAIL and RCPT."""
        talk = self.begin()
        self.chunk(talk, b"x\r\n")
        self.assertEqual(talk.codes("DATA", *ENVELOPE), [503, 503, 503])
        self.assertEqual(talk.codes("RSET", *ENVELOPE, "DATA"), [250, 250, 250, 354])

    @holds("3030", "2", "BDAT behind BDAT LAST is 503: it needs a MAIL of its own.")
    def test_behind_last(self):
        """Its octets are read all the same."""
        talk = self.begin()
        self.chunk(talk, b"x\r\n", " LAST")
        self.assertEqual(self.chunk(talk, b"QUIT\r\n", " LAST"), [503])
        self.assertEqual((len(talk.messages), talk.is_closed), (1, False))

    @holds("3030", "2", "The octets of a chunk are read also where it is refused, so that no content becomes commands.")
    def test_swallowed(self):
        """Before MAIL, before RCPT, without recipients, too large."""
        no_user = MemoryReception()
        no_user.on_rcpt = lambda recipient: Refuse(reply(550, "5.1.1", "No such user"), "t")
        for talk, before, code in (
            (Talk(), (), 503),
            (Talk(), ("EHLO c",), 503),
            (Talk(), ("EHLO c", ENVELOPE[0]), 503),
            (Talk(reception=no_user), ("EHLO c", *ENVELOPE), 554),
            (Talk(message_size=10), ("EHLO c", *ENVELOPE), 552),
        ):
            talk.say(*before)
            self.assertEqual(codes(talk.raw(b"BDAT 12 LAST\r\nQUIT\r\nQUIT\r\nNOOP\r\n")), [code, 250])
            self.assertFalse(talk.is_closed)

    @holds("3030", "2", "When a chunk was refused the whole message is lost: further chunks are 503.")
    def test_failed(self):
        """Also when they had been sent already; the next message is another matter."""
        talk = self.begin(message_size=10)
        octets = b"BDAT 12\r\n0123456789\r\nBDAT 3\r\nx\r\nBDAT 3 LAST\r\nx\r\n"
        self.assertEqual(codes(talk.raw(octets)), [552, 503, 503])
        self.assertEqual(talk.messages, [])
        talk.say(*ENVELOPE)
        self.assertEqual(self.chunk(talk, b"x\r\n", " LAST"), [250])

    @holds("3030", "2", "The limit of a message is that of all its chunks together.")
    def test_size(self):
        """The one that is too much is 552, before it was kept."""
        talk = self.begin(message_size=10)
        self.assertEqual(self.chunk(talk, b"123456\r\n"), [250])
        self.assertEqual(self.chunk(talk, b"1\r\n", " LAST"), [552])
        self.assertEqual(talk.messages, [])

    @holds("3030", "2", "BDAT, its octets and the commands behind them may be pipelined, and cut anywhere.")
    def test_pipelined(self):
        """One reply for each."""
        octets = b"".join(f"{line}\r\n".encode() for line in ENVELOPE)
        octets += b"BDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n" + octets + b"BDAT 3 LAST\r\nc\r\nQUIT\r\n"
        for size in (1, 5, len(octets)):
            talk = Talk().greet()
            said = "".join(talk.raw(octets[at : at + size]) for at in range(0, len(octets), size))
            self.assertEqual(codes(said), [250, 250, 250, 250, 250, 250, 250, 221], size)
            self.assertEqual([message.content for message in talk.messages], [b"a\r\nb\r\n", b"c\r\n"])

    @holds_in_part(
        "3030",
        "2",
        "BDAT with a size that is none is 501, and the session goes on.",
        "It is 501, and the connection is closed: how much content stands behind it can't be known.",
    )
    def test_syntax(self):
        """Nothing behind it is read."""
        for argument in (b"", b" x", b" -1", b" 5 FIRST"):
            talk = self.begin()
            self.assertEqual(codes(talk.raw(b"BDAT" + argument + b"\r\nNOOP\r\n")), [501])
            self.assertTrue(talk.is_closed)

    @holds("3030", "2", "DATA is served also where BDAT is, and both may be used in one session.")
    def test_both(self):
        """In transactions of their own."""
        talk = self.begin()
        self.chunk(talk, b"x\r\n", " LAST")
        self.assertEqual(talk.codes(*ENVELOPE, "DATA", "x", "."), [250, 250, 354, 250])
        self.assertEqual(len(talk.messages), 2)

    @holds("3030", "2", "Octets that a chunk was too small for are refused as the bad commands that they are.")
    def test_too_small(self):
        """Whatever they are."""
        talk = self.begin()
        said = talk.raw(b"BDAT 2 LAST\r\nx\r\n\xff\x00\xfe\r\nNOOP\r\n")
        self.assertEqual(codes(said)[-2:], [500, 250])

    @holds("3030", "4.1", "The simple example goes as it is written.")
    def test_example(self):
        """86 octets."""
        content = b"To: Susan@random.com\r\nFrom: Sam@random.com\r\nSubject: This is a bodyless test message\r\n"
        talk = Talk()
        talk.say("EHLO ymir.claremont.edu", "MAIL FROM:<Sam@Random.com>", "RCPT TO:<Susan@Random.com>")
        self.assertEqual(codes(talk.raw(b"BDAT 86 LAST\r\n" + content + b"QUIT\r\n")), [250, 221])
        self.assertEqual(talk.messages[0].content, content)

    @holds("3030", "2", "A line may be cut by the end of a chunk, anywhere.")
    def test_cut_lines(self):
        """Also between CR and LF."""
        talk = self.begin()
        for octets, last in ((b"Subject: x\r", ""), (b"\n\r", ""), (b"\nbody\r\n", " LAST")):
            self.assertEqual(self.chunk(talk, octets, last), [250])
        self.assertEqual(talk.messages[0].content, b"Subject: x\r\n\r\nbody\r\n")


class BinaryTests(ChunkCase):
    """Section 3."""

    @does_not_hold(
        "3030",
        "3",
        "Content may be binary, declared with BODY=BINARYMIME.",
        "It is not offered: a next hop without it could not be given such a message, and bare CR and LF are what others"
        " read as ends of lines.",
    )
    def test_not_offered(self):
        """The parameter is refused, and so is content with a bare LF."""
        talk = Talk()
        self.assertNotIn("BINARYMIME", talk.offers())
        self.assertEqual(talk.codes("MAIL FROM:<a@a.example> BODY=BINARYMIME"), [555])
        talk = self.begin()
        self.assertEqual(self.chunk(talk, b"a\nb\r\n", " LAST"), [550])


class ClientTests(SynchronousTestCase):
    """Section 2, from the other side."""

    @holds(
        "3030", "2", "As a client, content goes out with DATA, also to hosts that offer CHUNKING, as every client may."
    )
    def test_data(self):
        """Without BINARYMIME BDAT would carry nothing that DATA can't."""
        stage = Stage(TlsNeed.OFF, make_job())
        receiver = Receiver("CHUNKING", "PIPELINING")
        converse(stage, receiver)
        self.assertEqual(receiver.verbs, ["EHLO", "MAIL", "RCPT", "DATA"])
