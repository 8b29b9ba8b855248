"""RFC 5321 section 4.1: commands, their syntax and their order; appendix F: those that are gone."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.net.server_rig import Rig
from tests.rfc.talk import CONTENT, ENVELOPE, Talk
from tests.smtp.fakes import MemoryReception


class SyntaxTests(SynchronousTestCase):
    """Section 4.1.1."""

    @holds_in_part(
        "5321",
        "4.1.1",
        "White space before the CR LF of a command does no harm.",
        "Spaces don't; a tab is no part of a command, and makes it a bad one.",
    )
    def test_trailing_space(self):
        """Behind every command."""
        lines = ("EHLO c.example ", *(f"{line}  " for line in ENVELOPE), "RSET ", "NOOP ", "VRFY b ", "HELP ", "QUIT ")
        self.assertEqual(Talk().codes(*lines), [250, 250, 250, 250, 250, 252, 214, 221])
        self.assertEqual(Talk().codes("EHLO c.example\t", "RSET\t", "QUIT\t"), [501, 500, 500])


class GreetingTests(SynchronousTestCase):
    """Section 4.1.1.1."""

    @holds("5321", "4.1.1.1", "EHLO takes a domain name or an address literal.")
    def test_names(self):
        """Of both families."""
        for name in ("c.example", "localhost", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--bcher-kva.example"):
            self.assertEqual(Talk().codes(f"EHLO {name}"), [250], name)

    @holds_in_part(
        "5321",
        "4.1.1.1",
        "A name that is neither a domain nor an address literal is 501.",
        "Names that could break a header line are; what else software makes up (_, [no address]) is taken as it is.",
    )
    def test_odd_names(self):
        """A comment, a quote and two words are refused, an underscore is not."""
        for name, code in (("(c)", 501), ('"c"', 501), ("c d", 501), ("c;d", 501), ("_my_pc", 250), ("[no]", 250)):
            self.assertEqual(Talk().codes(f"EHLO {name}"), [code], name)

    @holds("5321", "4.1.1.1", "The reply to EHLO begins with our name; then comes one keyword a line.")
    def test_reply(self):
        """Each with its parameters behind a space."""
        lines = Talk().say("EHLO c.example").splitlines()
        self.assertEqual(lines[0], "250-mx.example")
        for line in lines[1:]:
            self.assertRegex(line, r"\A250[- ][A-Z0-9][A-Z0-9-]*(?: [!-~]+)*\Z")
        keywords = [line[4:].split()[0] for line in lines[1:]]
        self.assertEqual(len(keywords), len(set(keywords)))

    @holds("5321", "4.1.1.1", "HELO without a name is 501.")
    def test_helo_without_name(self):
        """And nothing has been said then."""
        self.assertEqual(Talk().codes("HELO", ENVELOPE[0]), [501, 503])


class EnvelopeTests(SynchronousTestCase):
    """Sections 4.1.1.2, 4.1.1.3, 4.1.1.11."""

    @holds("5321", "4.1.1.2", "MAIL begins with nothing from before: recipients of the last transaction are gone.")
    def test_mail_clears(self):
        """Behind RSET, behind a message."""
        talk = Talk().greet()
        talk.say(*ENVELOPE, "RSET", ENVELOPE[0], "RCPT TO:<c@c.example>", "DATA", *CONTENT)
        talk.say(ENVELOPE[0], "RCPT TO:<d@d.example>", "DATA", *CONTENT)
        found = [[str(r.mailbox) for r in message.envelope.recipients] for message in talk.messages]
        self.assertEqual(found, [["c@c.example"], ["d@d.example"]])

    @holds("5321", "4.1.1.2", "After a MAIL that was refused there is no transaction, and another MAIL may come.")
    def test_refused_mail(self):
        """RCPT has no place, MAIL has."""
        reception = MemoryReception()
        refusal = Refuse(reply(550, "5.7.1", "Not you"), "t")
        reception.on_mail = lambda mail: refusal if mail.reverse_path is None else ACCEPT
        talk = Talk(reception=reception).greet()
        self.assertEqual(talk.codes("MAIL FROM:<>", ENVELOPE[1], *ENVELOPE), [550, 503, 250, 250])

    @holds("5321", "4.1.1.2", "MAIL without FROM: or without angle brackets is 501.")
    def test_mail_syntax(self):
        """As are parameters that are none."""
        for line in ("MAIL", "MAIL <a@a.example>", "MAIL FROM:a@a.example", "MAIL FROM:<a@a.example>SIZE=5"):
            self.assertEqual(Talk().greet().codes(line), [501], line)

    @holds(
        "5321", "4.1.1.3", "Recipients are kept in the order of their commands, repeated ones as often as they came."
    )
    def test_order(self):
        """Nobody is dropped, and nobody is moved."""
        talk = Talk().greet()
        rcpts = [f"RCPT TO:<{local}@b.example>" for local in ("c", "a", "c", "b")]
        talk.say(ENVELOPE[0], *rcpts, "DATA", *CONTENT)
        self.assertEqual([r.mailbox.local for r in talk.messages[0].envelope.recipients], ["c", "a", "c", "b"])

    @holds("5321", "4.1.1.3", "RCPT without TO:, with the null path, or without angle brackets is 501.")
    def test_rcpt_syntax(self):
        """And the transaction goes on."""
        talk = Talk().greet()
        lines = ("RCPT", "RCPT <b@b.example>", "RCPT TO:<>", "RCPT TO:b@b.example", ENVELOPE[1])
        self.assertEqual(talk.codes(ENVELOPE[0], *lines), [250, 501, 501, 501, 501, 250])

    @holds("5321", "4.1.1.3", "The postmaster of a domain and the one of none are both taken from anybody.")
    def test_postmaster(self):
        """Grammar and session have nothing against them."""
        rig = Rig()
        lines = ("RCPT TO:<Postmaster>", "RCPT TO:<postmaster@b.example>")
        self.assertEqual(Talk(rig).greet().codes("MAIL FROM:<>", *lines), [250] * 3)
        mailboxes = [recipient.mailbox for _, _, recipient in rig.reception.rcpts]
        self.assertEqual(mailboxes, [Mailbox("Postmaster", ""), Mailbox("postmaster", "b.example")])

    @holds("5321", "4.1.1.11", "Only a client that has said EHLO may use parameters, and only those that were offered.")
    def test_parameters(self):
        """555 for all others."""
        talk = Talk()
        talk.say("HELO c.example")
        self.assertEqual(
            talk.codes("MAIL FROM:<> SIZE=5", "MAIL FROM:<>", "RCPT TO:<b@b> NOTIFY=NEVER"), [555, 250, 555]
        )
        talk = Talk().greet()
        self.assertEqual(talk.codes("MAIL FROM:<> BY=60;R", "MAIL FROM:<> SIZE=5"), [555, 250])


class ContentTests(SynchronousTestCase):
    """Section 4.1.1.4."""

    @holds("5321", "4.1.1.4", "DATA takes no argument.")
    def test_argument(self):
        """501, and the transaction goes on."""
        self.assertEqual(Talk().greet().codes(*ENVELOPE, "DATA now", "DATA"), [250, 250, 501, 354])

    @holds("5321", "4.1.1.4", "At the end of data the transaction is over, whatever the reply.")
    def test_end(self):
        """Also when the message was refused."""
        for final in (reply(250, "2.0.0", "Ok"), reply(451, "4.3.0", "Later"), reply(554, "5.7.1", "No")):
            reception = MemoryReception()
            reception.final = final
            talk = Talk(reception=reception).greet()
            self.assertEqual(talk.codes(*ENVELOPE, "DATA", *CONTENT)[-1], final.code)
            self.assertEqual(talk.codes("DATA"), [503])
            self.assertEqual(talk.codes(*ENVELOPE, "DATA"), [250, 250, 354])

    @holds("5321", "4.1.1.4", "Content may begin with the lone dot: a message of no lines.")
    def test_empty(self):
        """It is one."""
        talk = Talk().greet()
        self.assertEqual(talk.codes(*ENVELOPE, "DATA", "."), [250, 250, 354, 250])
        self.assertEqual(talk.messages[0].content, b"")


class PlainCommandTests(SynchronousTestCase):
    """Sections 4.1.1.5 to 4.1.1.10."""

    @holds("5321", "4.1.1.5", "RSET is 250 at any time and never closes the connection.")
    def test_rset(self):
        """Before EHLO, between transactions, inside of one."""
        talk = Talk()
        self.assertEqual(talk.codes("RSET", "EHLO c", "RSET", *ENVELOPE, "RSET", "RSET"), [250] * 7)
        self.assertFalse(talk.is_closed)

    @holds("5321", "4.1.1.5", "RSET takes no argument.")
    def test_rset_argument(self):
        """501, and nothing is forgotten."""
        self.assertEqual(Talk().greet().codes(*ENVELOPE, "RSET all", "DATA"), [250, 250, 501, 354])

    @holds("5321", "4.1.1.6", "VRFY, HELP and NOOP change nothing of a transaction.")
    def test_no_effect(self):
        """It goes on behind them."""
        talk = Talk().greet()
        others = ("VRFY b", "HELP", "HELP MAIL", "NOOP", "NOOP x")
        self.assertEqual(talk.codes(*ENVELOPE, *others, "DATA"), [250, 250, 252, 214, 214, 250, 250, 354])

    @holds("5321", "4.1.1.6", "VRFY without an argument is 501.")
    def test_vrfy_without_argument(self):
        """It asks for nobody."""
        self.assertEqual(Talk().greet().codes("VRFY"), [501])

    @does_not_hold("5321", "4.1.1.7", "EXPN names the members of a list.", "There are no lists here.")
    def test_expn(self):
        """It is known, and not served."""
        self.assertEqual(Talk().greet().codes("EXPN list"), [502])

    @holds_in_part(
        "5321",
        "4.1.1.8",
        "HELP says something useful, more of a command that is named.",
        "It names the commands and the standard, whatever it is asked about.",
    )
    def test_help(self):
        """The same text for every argument."""
        talk = Talk()
        text = talk.say("HELP")
        self.assertIn("MAIL RCPT DATA", text)
        self.assertEqual(talk.say("HELP MAIL"), text)

    @holds("5321", "4.1.1.10", "QUIT ends an unfinished transaction, and nothing of it is kept.")
    def test_quit(self):
        """No message comes of it."""
        talk = Talk().greet()
        self.assertEqual(talk.codes(*ENVELOPE, "QUIT"), [250, 250, 221])
        self.assertEqual(talk.messages, [])

    @holds("5321", "4.1.1.10", "QUIT takes no argument.")
    def test_quit_argument(self):
        """501, and the session goes on."""
        talk = Talk()
        self.assertEqual(talk.codes("QUIT now", "NOOP"), [501, 250])


class GrammarTests(SynchronousTestCase):
    """Sections 4.1.2 and 4.1.3."""

    def path(self, text):
        """The recipient of a path."""
        rig = Rig()
        Talk(rig).greet().say("MAIL FROM:<>", f"RCPT TO:<{text}>")
        return rig.reception.rcpts[0][2].mailbox if rig.reception.rcpts else None

    @holds("5321", "4.1.2", "Quoted and plain forms of one local part are the same.")
    def test_quoting(self):
        """Quotes and backslashes are syntax, no part of the name."""
        for text in ("ab.c@b.example", '"ab.c"@b.example', '"a\\b.c"@b.example'):
            self.assertEqual(self.path(text), Mailbox("ab.c", "b.example"), text)

    @holds("5321", "4.1.2", "A local part that needs quotes gets them again when it is written.")
    def test_quoted_again(self):
        """A space, a quote, two dots in a row."""
        for text in ('"a b"@b.example', '"a\\"b"@b.example', '"a..b"@b.example', '""@b.example'):
            mailbox = self.path(text)
            self.assertEqual(str(mailbox), text)

    @holds("5321", "4.1.2", "No control character stands in a path, quoted or not.")
    def test_controls(self):
        """Nor would one be written."""
        for code in (*range(1, 10), 11, 12, *range(14, 32), 127):
            self.assertIsNone(self.path(f'"a{chr(code)}b"@b.example'), code)

    @holds_in_part(
        "5321",
        "4.1.3",
        "Address literals are of IPv4, of IPv6, or of a kind that a tag names.",
        "Other tags than IPv6 are 501: nothing could be sent there.",
    )
    def test_literals(self):
        """In the form that everybody writes."""
        self.assertEqual(self.path("b@[192.0.2.1]"), Mailbox("b", "[192.0.2.1]"))
        self.assertEqual(self.path("b@[ipv6:2001:DB8:0::1]"), Mailbox("b", "[IPv6:2001:db8::1]"))
        self.assertIsNone(self.path("b@[x400:c=us]"))
        self.assertIsNone(self.path("b@[192.0.2.256]"))


class OrderTests(SynchronousTestCase):
    """Section 4.1.4."""

    @holds("5321", "4.1.4", "NOOP, HELP, EXPN, VRFY and RSET are answered before EHLO as they are behind it.")
    def test_before_ehlo(self):
        """They need no greeting."""
        self.assertEqual(Talk().codes("NOOP", "HELP", "EXPN x", "VRFY x", "RSET"), [250, 214, 502, 252, 250])

    @holds("5321", "4.1.4", "After an EHLO that was refused the session is as it was.")
    def test_refused_ehlo(self):
        """The transaction goes on."""
        self.assertEqual(Talk().greet().codes(*ENVELOPE, "EHLO (c)", "DATA"), [250, 250, 501, 354])

    @holds("5321", "4.1.4", "A second EHLO is answered as the first was.")
    def test_second_ehlo(self):
        """With all that is offered."""
        talk = Talk()
        self.assertEqual(talk.say("EHLO c.example"), talk.say("EHLO d.example"))

    @holds("5321", "4.1.5", "A command of private use, with X, that nobody knows is 500.")
    def test_private(self):
        """As every other one."""
        self.assertEqual(Talk().codes("XYZZY", "X-FOO bar"), [500, 500])


class DeprecatedTests(SynchronousTestCase):
    """Appendix F, and the examples of appendix D."""

    @holds("5321", "F.1", "TURN is not served.")
    @holds("5321", "F.6", "SEND, SOML and SAML are not served.")
    def test_gone(self):
        """Known by name, that is all."""
        lines = ("TURN", "SEND FROM:<a@a>", "SOML FROM:<a@a>", "SAML FROM:<a@a>")
        self.assertEqual(Talk().greet().codes(*lines), [502] * 4)

    @holds("5321", "F.3", "HELO is served.")
    def test_helo(self):
        """For those who know nothing else."""
        self.assertEqual(Talk().codes("HELO c.example", *ENVELOPE), [250] * 3)

    @holds("5321", "F.4", "Addresses with # in the place of a domain are refused.")
    def test_number_literals(self):
        """They were of a time before domains."""
        self.assertEqual(Talk().greet().codes("MAIL FROM:<a@#3221225985>"), [501])

    @holds("5321", "D.1", "The typical scenario goes as it is written, one recipient unknown.")
    def test_typical(self):
        """Three recipients, two of whom get it."""
        reception = MemoryReception()
        no_user = Refuse(reply(550, "5.1.1", "No such user here"), "t")
        reception.on_rcpt = lambda recipient: no_user if recipient.mailbox.local == "Green" else ACCEPT
        talk = Talk(reception=reception)
        rcpts = [f"RCPT TO:<{local}@foo.com>" for local in ("Jones", "Green", "Brown")]
        expected = [250, 250, 250, 550, 250]
        self.assertEqual(talk.codes("EHLO bar.com", "MAIL FROM:<Smith@bar.com>", *rcpts), expected)
        self.assertEqual(talk.codes("DATA", "Blah blah blah...", "...etc. etc. etc.", ".", "QUIT"), [354, 250, 221])
        self.assertEqual(talk.messages[0].content, b"Blah blah blah...\r\n..etc. etc. etc.\r\n")

    @holds("5321", "D.2", "The aborted scenario goes as it is written.")
    def test_aborted(self):
        """RSET, and nothing was sent."""
        talk = Talk()
        lines = ("EHLO bar.com", "MAIL FROM:<Smith@bar.com>", "RCPT TO:<Jones@foo.com>", "RSET", "QUIT")
        self.assertEqual(talk.codes(*lines), [250, 250, 250, 250, 221])
        self.assertEqual(talk.messages, [])
