"""RFC 5321 as it concerns our client's side: what we say to next hops, and what we make of their replies."""

# mypy: no-check-untyped-defs

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.outcome import Delayed, Failed, Relayed, Scope
from smtpgw.model.route import TlsNeed
from tests.clauses import holds, holds_in_part
from tests.smtp.test_conversation import TRACE, Receiver, Stage, converse, make_job


def outcome_of(verb, octets, *, keywords=()):
    """What becomes of the only recipient when the host says this to the verb."""
    stage = Stage(TlsNeed.OFF, make_job())
    converse(stage, Receiver(*keywords, faults={(verb, 1): octets}))
    return stage.outcomes[0][0]


class SessionTests(SynchronousTestCase):
    """Sections 3.2, 3.8 and 4.1.1.1."""

    @holds("5321", "3.2", "As a client, EHLO comes first, and HELO after it where EHLO is refused with 5yz.")
    def test_helo(self):
        """Then with no extension, whatever that reply says."""
        stage = Stage(TlsNeed.OFF, make_job())
        self.assertEqual(stage.hear(b"220 mx\r\n"), b"EHLO gw.example.com\r\n")
        self.assertEqual(stage.hear(b"502 what?\r\n"), b"HELO gw.example.com\r\n")
        self.assertEqual(stage.hear(b"250-mx\r\n250 SIZE 10\r\n"), b"MAIL FROM:<alice@example.com>\r\n")

    @holds("5321", "3.1", "As a client, a host that greets with 554 gets QUIT, and is not used.")
    def test_refused_greeting(self):
        """Nothing else is said to it."""
        stage = Stage(TlsNeed.OFF, make_job())
        self.assertEqual(stage.hear(b"554 no mail here\r\n"), b"QUIT\r\n")
        self.assertEqual(stage.names, ["failed"])

    @holds("5321", "4.1.1.10", "As a client, QUIT is said before the connection is closed, and its reply waited for.")
    def test_quit(self):
        """Closed when the 221 is there."""
        stage = Stage()
        converse(stage, Receiver())
        stage.conversation.close()
        self.assertEqual(stage.said(), b"QUIT\r\n")
        self.assertNotIn("lose", stage.actions)
        stage.hear(b"221 bye\r\n")
        self.assertIn("lose", stage.actions)

    @holds(
        "5321",
        "3.8",
        "As a client, a connection that breaks is as good as 451: everybody without a reply is tried again.",
    )
    def test_lost(self):
        """Whether envelope or content was under way, or the 250 awaited."""
        for replies in (b"", b"250 ok\r\n", b"250 ok\r\n250 ok\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"):
            stage = Stage(TlsNeed.OFF, make_job())
            stage.hear(b"220 mx\r\n")
            stage.hear(b"250-mx\r\n250 PIPELINING\r\n")
            stage.hear(replies)
            stage.conversation.lost("connection reset")
            self.assertIsInstance(stage.outcomes[0][0], Delayed, replies)

    @holds("5321", "3.8", "As a client, 421 is understood in every place, and ends the session.")
    def test_leaving(self):
        """Recipients are tried again, and the host is to blame."""
        for verb in ("MAIL", "RCPT", "DATA", "."):
            outcome = outcome_of(verb, b"421 4.3.2 going down\r\n")
            self.assertIsInstance(outcome, Delayed)
            self.assertEqual(outcome.status, "4.3.2")
        self.assertEqual(outcome_of("MAIL", b"421 4.3.2 going down\r\n").scope, Scope.HOST)


class CommandTests(SynchronousTestCase):
    """Sections 3.3, 3.6 and 4.1."""

    @holds("5321", "2.3.8", "As a client, every line that we send ends with CR LF, and no other CR or LF is sent.")
    def test_line_ends(self):
        """From EHLO to QUIT."""
        stage = Stage(TlsNeed.OFF, make_job())
        said = b""
        for octets in (b"220 x\r\n", b"250 x\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n"):
            said += stage.hear(octets)
        self.assertTrue(said.endswith(b"\r\n.\r\n"))
        self.assertNotRegex(said.replace(b"\r\n", b""), b"[\r\n]")

    @holds("5321", "3.6.1", "As a client, no source route is ever made or sent.")
    @holds("5321", "4.1.1.2", "As a client, paths stand in angle brackets, right behind the colon.")
    def test_paths(self):
        """A path is an address, or nothing."""
        for path, said in ((Mailbox("a", "a.example"), b"<a@a.example>"), (None, b"<>")):
            stage = Stage(TlsNeed.OFF, make_job("b@b.example", reverse_path=path))
            stage.hear(b"220 x\r\n")
            self.assertEqual(stage.hear(b"250 x\r\n"), b"MAIL FROM:" + said + b"\r\n")
            self.assertEqual(stage.hear(b"250 x\r\n"), b"RCPT TO:<b@b.example>\r\n")

    @holds("5321", "2.4", "As a client, the case of local parts stays as it came.")
    @holds("5321", "4.1.2", "As a client, local parts are quoted where they must be, and only there.")
    def test_local_parts(self):
        """On the wire as in the reverse-path."""
        for mailbox, said in (
            (Mailbox("Bob.B", "b.example"), b"<Bob.B@b.example>"),
            (Mailbox("a b", "b.example"), b'<"a b"@b.example>'),
            (Mailbox("a..b", "b.example"), b'<"a..b"@b.example>'),
            (Mailbox('a"b', "b.example"), b'<"a\\"b"@b.example>'),
            (Mailbox("b", "[192.0.2.1]"), b"<b@[192.0.2.1]>"),
        ):
            stage = Stage(TlsNeed.OFF, make_job(mailbox))
            stage.hear(b"220 x\r\n")
            stage.hear(b"250 x\r\n")
            self.assertEqual(stage.hear(b"250 x\r\n"), b"RCPT TO:" + said + b"\r\n")

    @holds("5321", "3.6.2", "As a relay, content goes on octet for octet behind the Received line of ours.")
    def test_unchanged(self):
        """Whatever stands in it: nothing is folded, encoded or cut."""
        content = b"\tno: header\r\n" + bytes(range(14, 256)) + b"\r\n" + b"x" * 5000 + b"\r\n\r\n..\r\n.\r\n"
        stage = Stage(TlsNeed.OFF, make_job(content=content))
        receiver = Receiver()
        converse(stage, receiver)
        self.assertEqual(receiver.messages[0][2], TRACE + content)

    @holds("5321", "3.3", "As a client, nothing is sent as content before 354.")
    def test_no_content(self):
        """A 5yz to DATA, and the content stays here."""
        stage = Stage(TlsNeed.OFF, make_job())
        receiver = Receiver(faults={("DATA", 1): b"554 5.7.1 no\r\n"})
        converse(stage, receiver)
        self.assertEqual((receiver.messages, receiver.verbs[-1]), ([], "DATA"))
        self.assertIsInstance(stage.outcomes[0][0], Failed)

    @holds("5321", "3.3", "As a client, recipients that were accepted get the message although others were refused.")
    def test_mixed(self):
        """Each has its own result."""
        stage = Stage(TlsNeed.OFF, make_job("b@b.example", "c@b.example", "d@b.example"))
        converse(stage, Receiver(faults={("RCPT", 1): b"550 5.1.1 no\r\n", ("RCPT", 2): b"450 4.2.0 later\r\n"}))
        self.assertEqual([type(outcome) for outcome in stage.outcomes[0]], [Failed, Delayed, Relayed])

    @holds("5321", "4.1.1.4", "As a client, DATA is not said when no recipient was accepted.")
    def test_no_recipients(self):
        """In lock step; the transaction ends with RSET when the next begins."""
        stage = Stage(TlsNeed.OFF, make_job(), make_job())
        receiver = Receiver(faults={("RCPT", 1): b"550 5.1.1 no\r\n"})
        converse(stage, receiver)
        self.assertEqual(receiver.verbs, ["EHLO", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA"])


class ReplyTests(SynchronousTestCase):
    """Section 4.2."""

    @holds("5321", "4.2", "As a client, the first digit of a code that nobody knows says what it means.")
    def test_unknown_codes(self):
        """2yz is success, 4yz for now, 5yz for good."""
        for code, kind in ((b"299", Relayed), (b"499", Delayed), (b"599", Failed)):
            self.assertIsInstance(outcome_of(".", code + b" what\r\n"), kind, code)

    @holds("5321", "4.2", "As a client, a reply without any text is one.")
    def test_no_text(self):
        """With the space or without."""
        for reply in (b"250\r\n", b"250 \r\n", b"250-\r\n250\r\n"):
            self.assertIsInstance(outcome_of(".", reply), Relayed, reply)

    @holds_in_part(
        "5321",
        "4.2",
        "As a client, the code decides and not the text.",
        "The enhanced status in it tells a full mailbox (552 5.2.2) from an old way to say too many recipients.",
    )
    def test_text(self):
        """Whatever a text promises."""
        self.assertIsInstance(outcome_of(".", b"250 5.7.1 message refused\r\n"), Relayed)
        self.assertIsInstance(outcome_of(".", b"550 2.0.0 Ok: queued\r\n"), Failed)
        self.assertIsInstance(outcome_of("RCPT", b"552 5.2.2 mailbox full\r\n"), Failed)

    @holds("5321", "4.2.1", "As a client, what has no proper form is no success.")
    def test_form(self):
        """Codes that differ, too few digits, no digits, a second digit that there is not."""
        for octets in (b"250-ok\r\n550 no\r\n", b"25 ok\r\n", b"ok\r\n", b"2500 ok\r\n", b"950 ok\r\n", b"250;ok\r\n"):
            self.assertIsInstance(outcome_of(".", octets), Delayed, octets)

    @holds(
        "5321",
        "4.2.1",
        "As a client, 3yz and 1yz where they have no place end the session, and everybody is tried again.",
    )
    def test_out_of_place(self):
        """A 354 to MAIL, a 250 to DATA."""
        for verb, octets in (("MAIL", b"354 go\r\n"), ("DATA", b"250 ok\r\n"), (".", b"354 more\r\n")):
            self.assertIsInstance(outcome_of(verb, octets), Delayed, verb)

    @holds(
        "5321",
        "4.2.5",
        "As a client, 2yz to the end of data is the end of our responsibility, 4yz is not, and 5yz is final.",
    )
    def test_end_of_data(self):
        """The reply counts for all recipients that were accepted."""
        for octets, kind in ((b"250 ok\r\n", Relayed), (b"451 later\r\n", Delayed), (b"554 no\r\n", Failed)):
            self.assertIsInstance(outcome_of(".", octets), kind)

    @holds("5321", "3.4", "As a client, 251 to RCPT is success, 551 is failure; the address in it is not used.")
    def test_forwarding(self):
        """Nobody is mailed because a host named them."""
        self.assertIsInstance(outcome_of("RCPT", b"251 User not local; will forward to <x@y>\r\n"), Relayed)
        failed = outcome_of("RCPT", b"551 User not local; please try <x@y>\r\n")
        self.assertIsInstance(failed, Failed)

    @holds("5321", "4.2.1", "As a client, 252 to RCPT is success as every 2yz is.")
    def test_252(self):
        """It takes the message."""
        self.assertIsInstance(outcome_of("RCPT", b"252 will try\r\n"), Relayed)


class TimeTests(SynchronousTestCase):
    """Section 4.5.3.2."""

    @holds("5321", "4.5.3.2", "As a client, a host that does not reply in time is left, and everybody is tried again.")
    def test_expired(self):
        """Where it was silent makes no difference."""
        for replies in ((), (b"250 x\r\n",), (b"250 x\r\n", b"250 x\r\n"), (b"250 x\r\n", b"250 x\r\n", b"354 x\r\n")):
            stage = Stage(TlsNeed.OFF, make_job())
            for octets in (b"220 x\r\n", b"250 x\r\n", *replies):
                stage.hear(octets)
            self.assertIsNotNone(stage.conversation.patience_seconds)
            stage.conversation.expire()
            self.assertIsInstance(stage.outcomes[0][0], Delayed)
            self.assertIn("abort", stage.actions)

    @holds("5321", "4.5.3.2.6", "As a client, a message whose 250 came is not sent again, whatever becomes of QUIT.")
    def test_after_250(self):
        """The connection breaks right behind it."""
        stage = Stage(TlsNeed.OFF, make_job())
        converse(stage, Receiver())
        stage.conversation.lost("connection reset")
        self.assertEqual([type(one) for outcomes in stage.outcomes for one in outcomes], [Relayed])


class NullPathTests(SynchronousTestCase):
    """Section 4.5.5."""

    @holds("5321", "4.5.5", "As a client, the reverse-path goes on as it came, null or not.")
    def test_reverse_path(self):
        """It is never rewritten."""
        job = make_job()
        for path, said in ((None, b"<>"), (Mailbox("A.B", "c.example"), b"<A.B@c.example>")):
            envelope = replace(job.message.envelope, reverse_path=path)
            stage = Stage(TlsNeed.OFF, replace(job, message=replace(job.message, envelope=envelope)))
            stage.hear(b"220 x\r\n")
            self.assertEqual(stage.hear(b"250 x\r\n"), b"MAIL FROM:" + said + b"\r\n")
