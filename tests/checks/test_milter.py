"""A milter's word about a client, a sender, a recipient, a message; and what is answered while it has none."""

# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.filters import ChangeField, Discard, Edits, FilterLost, InsertField, Passed
from smtpgw.checks.milter import Milter
from smtpgw.milter import codec
from smtpgw.milter.codec import packet
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, MailFrom, Notify, Recipient, TlsFacts
from smtpgw.model.verdict import ACCEPT, Accept, Refuse
from tests.contracts.check import CheckContract
from tests.milter.fakes import FakeContent, FakeMilter

CLIENT = Client("192.0.2.1", "helo.test", "ESMTP", session_id="s1")
ALICE = Mailbox("alice", "a.test")
BOB, CAROL = Recipient(Mailbox("bob", "b.test")), Recipient(Mailbox("carol", "b.test"))
MAIL = MailFrom(ALICE)
ENVELOPE = Envelope(ALICE, (BOB,))
_END = packet(codec.CONTINUE)


class Rig:
    """A check, and the milters that it gets, one for each connection."""

    def __init__(self, *milters, accepts_when_down=False, most_visits=1000, address=""):
        self.milters = list(milters)
        self.opened = []
        self.check = Milter(
            self.open,
            hostname="gw.test",
            timeout_seconds=30.0,
            accepts_when_down=accepts_when_down,
            most_body_octets=1000,
            most_visits=most_visits,
            address=address,
        )

    async def open(self):
        """The next one; without any, it can't be reached."""
        if not self.milters:
            raise FilterLost("unix:/secret/path can't be reached")
        milter = self.milters.pop(0)
        if isinstance(milter, Deferred):
            milter = await milter
        self.opened.append(milter)
        return milter


class MilterTestCase(SynchronousTestCase):
    """Answers that are there at once, or not yet."""

    def now(self, answer):
        if isinstance(answer, (Accept, Refuse)):
            return answer
        return self.successResultOf(self.later(answer))

    def later(self, answer):
        async def wait():
            return await answer

        return Deferred.fromCoroutine(wait())

    def mail(self, rig, client=CLIENT):
        return self.now(rig.check.check_mail(client, MAIL))

    def rcpt(self, rig, recipient=BOB, client=CLIENT):
        return self.now(rig.check.check_rcpt(client, MAIL, recipient))

    def content(self, rig, content=None, envelope=ENVELOPE, client=CLIENT):
        return self.now(rig.check.filter_content(client, envelope, "ID", content or FakeContent()))


class MilterContractTests(CheckContract, SynchronousTestCase):
    """It keeps the rules of all checks."""

    secrets = ("/secret/path", "gw.test")

    def make_check(self):
        return Rig(FakeMilter({codec.RCPT: [packet(codec.REJECT)]})).check

    def ask_all(self, check):
        yield check.check_mail(CLIENT, MAIL)
        yield check.check_rcpt(CLIENT, MAIL, BOB)
        yield check.check_rcpt(CLIENT, MAIL, BOB)
        yield Rig().check.check_mail(CLIENT, MAIL)
        yield Rig(accepts_when_down=True).check.check_mail(CLIENT, MAIL)


class TransactionTests(MilterTestCase):
    """Step by step."""

    def test_accepted(self):
        """A milter that has nothing against anything sees all of it, over one connection for all messages."""
        rig = Rig(FakeMilter())
        for _ in range(2):
            self.assertEqual((self.mail(rig), self.rcpt(rig), self.content(rig)), (ACCEPT, ACCEPT, Passed()))
        self.assertEqual(rig.opened[0].commands(), b"OCHMRTLNBEMRTLNBE")
        rig.check.leave(CLIENT)
        self.assertEqual(rig.opened[0].farewell, packet(codec.QUIT))

    def test_refused_recipient(self):
        """Only that one is refused; the message goes on for the others."""
        rig = Rig(FakeMilter({codec.RCPT: [packet(codec.REPLY_CODE, b"550 5.1.1 no such user\0"), _END]}))
        self.mail(rig)
        self.assertEqual(self.rcpt(rig).reply.status, "5.1.1")
        self.assertEqual(self.rcpt(rig, CAROL), ACCEPT)
        self.assertEqual(self.content(rig), Passed())

    def test_refused_sender(self):
        """The next MAIL of the same client is asked anew."""
        rig = Rig(FakeMilter({codec.MAIL: [packet(codec.TEMPORARY_FAILURE), _END]}))
        self.assertEqual(self.mail(rig).reply.code, 451)
        self.assertEqual(self.mail(rig), ACCEPT)

    def test_refused_client(self):
        """Its word about the client holds for the whole connection, and the milter is not kept waiting."""
        rig = Rig(FakeMilter({codec.HELO: packet(codec.REJECT)}))
        self.assertEqual((self.mail(rig).reply.code, self.mail(rig).reply.code), (550, 550))
        self.assertEqual(rig.opened[0].commands(), b"OCH")
        self.assertFalse(rig.opened[0].is_open)

    def test_accepted_client(self):
        """A client that it does not care about is let through to the end, without a word more."""
        rig = Rig(FakeMilter({codec.CONNECT: packet(codec.ACCEPT)}))
        self.assertEqual((self.mail(rig), self.rcpt(rig), self.content(rig)), (ACCEPT, ACCEPT, Passed()))
        self.assertEqual(rig.opened[0].commands(), b"OC")

    def test_new_facts(self):
        """After STARTTLS or another HELO the milter is told anew who the client is."""
        rig = Rig(FakeMilter({codec.HELO: packet(codec.REJECT)}), FakeMilter())
        self.assertEqual(self.mail(rig).reply.code, 550)
        secure = Client("192.0.2.1", "helo.test", "ESMTPS", TlsFacts("TLSv1.3", "AES"), session_id="s1")
        self.assertEqual(self.mail(rig, secure), ACCEPT)
        self.assertEqual(rig.opened[1].macros[b"H"][b"{tls_version}"], b"TLSv1.3")

    def test_accepted_and_discarded_early(self):
        """A message that it accepts, or throws away, before the content: it is asked no more."""
        for command in (codec.MAIL, codec.RCPT):
            for answer, expected in ((codec.ACCEPT, Passed()), (codec.DISCARD, Discard("milter"))):
                rig = Rig(FakeMilter({command: [packet(answer)]}))
                self.assertEqual((self.mail(rig), self.rcpt(rig), self.rcpt(rig, CAROL)), (ACCEPT,) * 3)
                self.assertEqual(self.content(rig), expected)
                self.assertNotIn(b"T", rig.opened[0].commands())
                # The next one is another matter.
                self.assertEqual((self.mail(rig), self.rcpt(rig), self.content(rig)), (ACCEPT, ACCEPT, Passed()))

    def test_verdicts_of_content(self):
        """Refused, delayed, thrown away: at the end of the message, or before."""
        for command in (codec.DATA, codec.HEADER, codec.BODY, codec.END_OF_MESSAGE):
            for answer, code in ((codec.REJECT, 550), (codec.TEMPORARY_FAILURE, 451), (codec.SHUTDOWN, 421)):
                rig = Rig(FakeMilter({command: packet(answer)}))
                self.mail(rig)
                self.rcpt(rig)
                self.assertEqual(self.content(rig).reply.code, code)
            rig = Rig(FakeMilter({command: packet(codec.DISCARD)}))
            self.assertEqual(self.content(rig), Discard("milter"))

    def test_without_a_session(self):
        """Mail that this host hands in is told all at once, over a connection of its own."""
        rig = Rig(FakeMilter())
        local = Client("", protocol="LOCAL")
        self.assertEqual((self.mail(rig, local), self.rcpt(rig, BOB, local)), (ACCEPT, ACCEPT))
        self.assertEqual(self.content(rig, None, Envelope(None, (BOB, CAROL)), local), Passed())
        self.assertEqual(rig.opened[0].commands(), b"OCHMRRTLNBE")
        self.assertEqual(rig.opened[0].farewell, packet(codec.QUIT))


class EditTests(MilterTestCase):
    """What it wants changed."""

    def edits(self, *packets, envelope=ENVELOPE):
        rig = Rig(FakeMilter({codec.END_OF_MESSAGE: b"".join(packets) + _END}))
        return self.content(rig, envelope=envelope)

    def test_all(self):
        """Header, body, envelope, quarantine."""
        found = self.edits(
            packet(b"h", b"X-A\x001\0"),
            packet(b"i", b"\0\0\0\1X-B\x002\0"),
            packet(b"m", b"\0\0\0\2Subject\0\0"),
            packet(b"b", b"new "),
            packet(b"b", b"body\r\n"),
            packet(b"+", b"<dave@d.test>\0"),
            packet(b"2", b"eve@d.test\0ORCPT=rfc822;x NOTIFY=SUCCESS,DELAY\0"),
            packet(b"-", b"<bob@b.test>\0"),
            packet(b"e", b"<other@a.test>\0"),
            packet(b"q", b"looks odd\0"),
        )
        self.assertEqual(
            found,
            Passed(
                Edits(
                    (InsertField(b"X-A", b" 1"), InsertField(b"X-B", b" 2", 1), ChangeField(b"Subject", 2, None)),
                    b"new body\r\n",
                    (
                        Recipient(Mailbox("dave", "d.test")),
                        Recipient(Mailbox("eve", "d.test"), Notify(success=True, delay=True)),
                    ),
                    (BOB.mailbox,),
                    (Mailbox("other", "a.test"),),
                    "looks odd",
                )
            ),
        )

    def test_in_order(self):
        """A recipient that is added and taken away again is none; the null path is a sender."""
        found = self.edits(packet(b"+", b"<c@d.test>\0"), packet(b"-", b"<c@d.test>\0"), packet(b"e", b"<>\0")).edits
        self.assertEqual((found.added, found.reverse_path), ((), (None,)))

    def test_impossible_addresses(self):
        """A milter that names what is no address has failed, and nothing of it is done."""
        for path in (b"<>", b"<no domain>", b"<a@b.test>\r\nRCPT TO:<c@d.test>", b"\xff@b.test", "<ä@b.test>".encode()):
            for command in (b"+", b"-"):
                self.assertEqual(self.edits(packet(b"h", b"A\0b\0"), packet(command, path + b"\0")).reply.code, 451)
        utf8 = Envelope(ALICE, (BOB,), smtputf8=True)
        self.assertEqual(len(self.edits(packet(b"+", "<ä@b.test>\0".encode()), envelope=utf8).edits.added), 1)

    def test_not_the_last_messages(self):
        """Changes to a message that was refused are not made to the next."""
        end = [packet(b"h", b"A\0b\0") + packet(codec.REJECT)]
        milter = FakeMilter({codec.END_OF_MESSAGE: end})
        rig = Rig(milter)
        self.mail(rig)
        self.rcpt(rig)
        self.assertEqual(self.content(rig).reply.code, 550)
        milter.script[codec.HEADER] = packet(codec.ACCEPT)
        self.mail(rig)
        self.rcpt(rig)
        self.assertEqual(self.content(rig), Passed())

    @settings(max_examples=150, deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([bytes([one]) for one in b"+-2behimpq"]),
                st.sampled_from([b"", b"\0\0\0\1"]),
                st.sampled_from([b"<a@b.test>\0", b"<>\0", b"A\0 x\r\nBcc: y\0", b"\0\0"]) | st.binary(max_size=20),
            ),
            max_size=8,
        )
    )
    def test_anything(self, packets):
        """Whatever a milter asks for: it is done, or the message is delayed."""
        found = self.edits(*(packet(command, place + data) for command, place, data in packets))
        if isinstance(found, Refuse):
            self.assertEqual(found.reply.code, 451)
        else:
            self.assertIsInstance(found, Passed)
