"""RFC 5321 sections 2, 3 and 7: sessions, transactions, relaying, taking leave."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.net.server_rig import Rig
from tests.rfc.talk import CONTENT, ENVELOPE, Talk, codes
from tests.smtp.fakes import MemoryReception


class TerminologyTests(SynchronousTestCase):
    """Section 2."""

    @holds_in_part(
        "5321",
        "2.3.5",
        "Only domain names that can be resolved stand in a transaction.",
        "Grammar alone is asked for at MAIL and RCPT: a recipient's domain that does not exist fails when it is sent.",
    )
    def test_domains(self):
        """A domain nobody knows is taken at MAIL and RCPT."""
        self.assertEqual(Talk().greet().codes("MAIL FROM:<a@no.invalid>", "RCPT TO:<b@host>"), [250, 250])

    @holds("5321", "2.3.8", "CR or LF alone ends no command line, and is no part of a proper one.")
    def test_line_ends(self):
        """What stands around a bare CR or LF makes one bad line, and none of it is run."""
        for end in (b"\n", b"\r"):
            talk = Talk().greet()
            self.assertEqual(talk.raw(b"MAIL FROM:<a@a.example>" + end), "")
            self.assertIn(codes(talk.raw(b"RCPT TO:<b@b.example>\r\n")), ([500], [501]))
            self.assertEqual(talk.codes(ENVELOPE[1]), [503])

    @holds("5321", "2.4", "Verbs and keywords are read in any case.")
    def test_verbs(self):
        """Small letters and mixed ones."""
        talk = Talk()
        lines = ("eHlO c.example", "mail from:<a@a.example> size=5 Body=8bitmime", "Rcpt To:<b@b.example>", "rset")
        self.assertEqual(talk.codes(*lines), [250] * 4)

    @holds("5321", "2.4", "The case of a local part is kept; that of a domain means nothing.")
    def test_case(self):
        """As it was written before the at sign, small behind it."""
        Talk(rig := Rig()).greet().say("MAIL FROM:<>", "RCPT TO:<Bob.Builder@B.Example>")
        self.assertEqual(rig.reception.rcpts[0][2].mailbox, Mailbox("Bob.Builder", "b.example"))

    @holds("5321", "2.4", "A command has no octet above 127 unless an extension lets it.")
    def test_ascii(self):
        """Neither in an address nor in a name."""
        talk = Talk()
        self.assertEqual(talk.codes("EHLO bücher.example"), [501])
        self.assertEqual(talk.greet().codes("MAIL FROM:<ü@a.example>"), [550])


class SessionTests(SynchronousTestCase):
    """Sections 3.1 to 3.5."""

    @holds("5321", "3.1", "The banner is 220, then the name of the host.")
    def test_banner(self):
        """Before the client has said anything."""
        self.assertEqual(Talk().banner, "220 mx.example ESMTP smtpgw\r\n")

    @does_not_hold(
        "5321",
        "3.1",
        "A server that greets with 554 waits for QUIT and answers everything else with 503.",
        "Whoever is turned away has had its answer; the connection is closed behind it.",
    )
    def test_turned_away(self):
        """An impatient client hears 554, and the connection is over."""
        rig = Rig(early_talker_seconds=5.0)
        client = rig.connect()
        self.assertEqual(codes(client.send(b"EHLO c.example\r\n").decode()), [554])
        self.assertTrue(client.transport.disconnecting)

    @holds("5321", "3.2", "HELO works as EHLO does, without extensions.")
    def test_helo(self):
        """A message goes through."""
        talk = Talk()
        self.assertEqual(talk.codes("HELO c.example", *ENVELOPE, "DATA", *CONTENT), [250, 250, 250, 354, 250])
        self.assertEqual(talk.messages[0].client.protocol, "SMTP")

    @holds("5321", "3.2", "HELO never gets the reply of EHLO.")
    def test_helo_reply(self):
        """One line, the name alone."""
        self.assertEqual(Talk().say("HELO c.example"), "250 mx.example\r\n")

    @holds("5321", "3.3", "MAIL begins a transaction, RCPT adds to it, DATA ends it; then there is none.")
    def test_transaction(self):
        """After the message RCPT has no place."""
        talk = Talk().greet()
        self.assertEqual(talk.codes(*ENVELOPE, "DATA", *CONTENT, ENVELOPE[1]), [250, 250, 354, 250, 503])

    @holds("5321", "3.3", "A recipient that is refused leaves the others as they are.")
    def test_refused_recipient(self):
        """The message goes to those who were accepted, in their order."""
        reception = MemoryReception()
        no_user = Refuse(reply(550, "5.1.1", "No such user"), "t")
        reception.on_rcpt = lambda recipient: no_user if recipient.mailbox.local == "no" else ACCEPT
        talk = Talk(reception=reception).greet()
        rcpts = [f"RCPT TO:<{local}@b.example>" for local in ("c", "no", "b")]
        self.assertEqual(talk.codes(ENVELOPE[0], *rcpts, "DATA", *CONTENT), [250, 250, 550, 250, 354, 250])
        recipients = talk.messages[0].envelope.recipients
        self.assertEqual([recipient.mailbox.local for recipient in recipients], ["c", "b"])

    @holds_in_part(
        "5321",
        "3.3",
        "A message is not refused for defects of its header or MIME structure.",
        "Nothing is read but Received lines; bare CR and LF, NUL and huge headers are refused, for they are attacks.",
    )
    def test_defects(self):
        """A header that is none is taken; a bare LF is not."""
        for content, code in (
            (b"no header at all\r\n", 250),
            (b"From: a\r\nFrom: b\r\n: x\r\n\r\n", 250),
            (b"", 250),
            (b"Subject: x\nInjected: y\r\n", 550),
            (b"Subject: \0\r\n", 550),
        ):
            talk = Talk().greet()
            talk.say(*ENVELOPE, "DATA")
            self.assertEqual(codes(talk.raw(content + b".\r\n")), [code], content)

    @holds("5321", "3.3", "Spaces behind the colon of FROM: and TO:, which are none of the syntax, do no harm.")
    def test_spaces(self):
        """They are passed over."""
        self.assertEqual(Talk().greet().codes("MAIL FROM: <a@a.example>", "RCPT TO: <b@b.example>"), [250, 250])

    @does_not_hold(
        "5321",
        "3.5.1",
        "EXPN is served.",
        "There are no lists here to expand, and member names are nobody's business (section 7.3).",
    )
    def test_expn(self):
        """502, as section 3.5.3 has it for those who don't."""
        self.assertEqual(Talk().greet().codes("EXPN staff"), [502])

    @holds("5321", "3.5.2", "EXPN, which is not served, is not named in the reply to EHLO.")
    def test_expn_not_offered(self):
        """Nor is any other command that gets 502."""
        self.assertFalse({"EXPN", "TURN", "ETRN", "SEND", "SOML", "SAML"} & set(Talk().offers()))

    @holds("5321", "3.5.3", "250 to VRFY is never said without having verified; 252 is.")
    def test_vrfy(self):
        """Whoever is asked for."""
        self.assertEqual(Talk().greet().codes("VRFY a@a.example", "VRFY nobody", "VRFY postmaster"), [252] * 3)


class RelayTests(SynchronousTestCase):
    """Sections 3.4 and 3.6."""

    @holds("5321", "3.6.1", "A source route is read, and stripped to its last part.")
    def test_source_route(self):
        """In both paths."""
        rig = Rig()
        lines = ("MAIL FROM:<@x.example:a@a.example>", "RCPT TO:<@x.example,@y.example:b@b.example>")
        self.assertEqual(Talk(rig).greet().codes(*lines), [250, 250])
        _, mail, recipient = rig.reception.rcpts[0]
        self.assertEqual((str(mail.reverse_path), str(recipient.mailbox)), ("a@a.example", "b@b.example"))

    @holds("5321", "3.6.2", "Who refuses to relay says 550.")
    def test_no_relay(self):
        """At RCPT, and MAIL was accepted."""
        reception = MemoryReception()
        reception.on_rcpt = lambda recipient: Refuse(reply(550, "5.7.1", "Relay access denied"), "t")
        self.assertEqual(Talk(reception=reception).greet().codes(*ENVELOPE, "DATA"), [250, 550, 554])


class EndTests(SynchronousTestCase):
    """Section 3.8."""

    @holds("5321", "3.8", "The server closes behind QUIT, and says 221 first.")
    def test_quit(self):
        """And not before."""
        talk = Talk().greet()
        talk.say(*ENVELOPE)
        self.assertFalse(talk.is_closed)
        self.assertEqual(talk.codes("QUIT"), [221])
        self.assertTrue(talk.is_closed)

    @holds_in_part(
        "5321",
        "3.8",
        "A server does not close because of commands that it does not know.",
        "Not because of the first twenty bad ones; then it is 421. A line that begins HTTP ends the session at once.",
    )
    def test_unknown_commands(self):
        """Twenty are 500, and the next is the last."""
        talk = Talk(errors=20).greet()
        self.assertEqual(talk.codes(*["XYZZY"] * 20), [500] * 20)
        self.assertFalse(talk.is_closed)
        self.assertEqual(talk.codes("XYZZY", "NOOP"), [421])
        self.assertTrue(talk.is_closed)
        talk = Talk()
        self.assertEqual(talk.codes("GET / HTTP/1.1"), [421])
        self.assertTrue(talk.is_closed)

    @holds_in_part(
        "5321",
        "3.8",
        "A server closes only behind QUIT, when it has to stop, and when the client is silent too long.",
        "Also after an hour in all, after 1,000 messages, and where commands and content can't be told apart; with a"
        " reply, 421 wherever the reason is not a command's own.",
    )
    def test_other_ends(self):
        """An hour, however busy; as many messages as are allowed; BDAT without a number."""
        talk = Talk(messages_per_connection=2).greet()
        for _ in range(2):
            talk.say(*ENVELOPE, "DATA", *CONTENT)
        self.assertEqual(talk.codes("MAIL FROM:<a@a.example>"), [421])
        self.assertTrue(talk.is_closed)
        talk = Talk().greet()
        self.assertEqual(talk.codes("BDAT many", "NOOP"), [501])
        self.assertTrue(talk.is_closed)
        talk = Talk().greet()
        for _ in range(60):
            self.assertFalse(talk.is_closed)
            said = talk.say("NOOP")
            talk.rig.clock.pump([1.0] * 60)
        self.assertEqual(said, "250 2.0.0 Ok\r\n")
        self.assertTrue(talk.is_closed)
        self.assertEqual(codes(talk.client.said().decode()), [421])

    @holds("5321", "3.8", "A server that has to stop says 421 before it closes.")
    def test_shut_down(self):
        """To those who are between transactions at once, to the others when they are done."""
        rig = Rig()
        idle, busy = Talk(rig).greet(), Talk(rig).greet()
        busy.say(*ENVELOPE, "DATA")
        rig.factory.drain(5.0)
        self.assertEqual(codes(idle.client.said().decode()), [421])
        self.assertEqual(busy.codes(*CONTENT), [250, 421])
        self.assertEqual(len(busy.messages), 1)

    @holds("5321", "3.8", "A connection that breaks before the end of data leaves nothing of its message.")
    def test_lost(self):
        """What was acknowledged before stays."""
        talk = Talk().greet()
        talk.say(*ENVELOPE, "DATA", *CONTENT, *ENVELOPE, "DATA", "Subject: half")
        talk.client.lose()
        self.assertEqual(len(talk.messages), 1)
        self.assertTrue(talk.rig.reception.intakes[1].is_abandoned)


class SecurityTests(SynchronousTestCase):
    """Section 7."""

    @holds("5321", "7.3", "Where VRFY tells nothing it says 252, the same of everybody.")
    def test_vrfy(self):
        """Known or not."""
        reception = MemoryReception()
        reception.on_rcpt = lambda recipient: Refuse(reply(550, "5.1.1", "No such user"), "t")
        known, unknown = Talk().greet().say("VRFY b"), Talk(reception=reception).greet().say("VRFY b")
        self.assertEqual(known, unknown)

    @holds("5321", "7.8", "A client that does nothing, or nothing useful, is not borne for ever.")
    def test_idle(self):
        """Silence and dripped octets alike: five minutes."""
        rig = Rig()
        silent, drip = Talk(rig), Talk(rig)
        for _ in range(301):
            if not drip.is_closed:
                drip.raw(b"x")
            rig.clock.advance(1)
        self.assertTrue(silent.is_closed)
        self.assertTrue(drip.is_closed)
