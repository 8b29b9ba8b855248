"""RFC 5321 sections 4.2 and 4.3: replies; 4.5.1 to 4.5.3: what every server has, and how large."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.schema import LimitsConfig
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import Refuse
from smtpgw.smtp import replies
from tests.clauses import holds, holds_in_part
from tests.net.server_rig import Rig
from tests.rfc.talk import CONTENT, ENVELOPE, Talk, codes
from tests.smtp.fakes import MemoryReception


class FormTests(SynchronousTestCase):
    """Section 4.2."""

    @holds("5321", "4.2", "A reply is three digits, a space, and text; each line but the last has a hyphen there.")
    def test_form(self):
        """Of all that a session can be made to say."""
        talk = Talk()
        self.assertRegex(talk.banner, r"\A220 [!-~]+(?: [ -~]*)?\r\n\Z")
        said = talk.say("HELP", "EHLO c", "FOO", *ENVELOPE, "VRFY x", "DATA", *CONTENT, "QUIT")
        self.assertRegex(said, r"\A(?:(?:([2-5][0-5]\d)-[ -~]*\r\n(?=\1))*[2-5][0-5]\d [ -~]*\r\n)+\Z")

    @holds("5321", "4.2", "A reply has only printable ASCII, whatever a check or a peer has put into its text.")
    def test_printable(self):
        """A line end in it makes no second reply."""
        reception = MemoryReception()
        reception.on_mail = lambda mail: Refuse(reply(550, "5.7.1", "no\r\n250 yes \x1b[2J ü"), "t")
        self.assertEqual(Talk(reception=reception).greet().codes(ENVELOPE[0]), [550])

    @holds("5321", "4.2.1", "All lines of a reply have the same code.")
    def test_lines(self):
        """As does every line that is made of a text of many."""
        octets = replies.encode(Reply(554, "5.7.1", ("one", "two", "three")))
        self.assertEqual([line[:4] for line in octets.splitlines()], [b"554-", b"554-", b"554 "])

    @holds("5321", "4.2.4", "A command that is refused with 502 is not one that the reply to EHLO offers.")
    def test_not_offered(self):
        """STARTTLS without a certificate, AUTH without accounts."""
        talk = Talk()
        offers = talk.offers()
        for verb in ("STARTTLS", "AUTH PLAIN", "EXPN x", "ETRN x"):
            self.assertEqual(talk.codes(verb), [502])
            self.assertNotIn(verb.split()[0], offers)

    @holds("5321", "4.2.5", "What is wrong for now is 4yz at the end of data, what stays wrong 5yz.")
    def test_end_of_data(self):
        """Trouble of ours is never the message's fault."""
        reception = MemoryReception()
        reception.finish_error = OSError("disk")
        talk = Talk(reception=reception).greet()
        self.assertEqual(talk.codes(*ENVELOPE, "DATA", *CONTENT)[-1], 451)
        self.flushLoggedErrors(OSError)
        talk = Talk(message_size=5).greet()
        self.assertEqual(talk.codes(*ENVELOPE, "DATA", *CONTENT)[-1], 552)


class SequenceTests(SynchronousTestCase):
    """Section 4.3."""

    @holds("5321", "4.3.1", "The first word of the banner is our name.")
    def test_name(self):
        """As the reply to EHLO has it."""
        talk = Talk()
        self.assertEqual(talk.banner.split()[1], "mx.example")
        self.assertTrue(talk.say("EHLO c").startswith("250-mx.example\r\n"))

    @holds("5321", "4.3.2", "Each command gets one of the replies that are listed for it, or for an extension of it.")
    def test_codes(self):
        """Success, and every way to be wrong that there is."""
        everywhere = {500, 501, 421}
        allowed = {
            "EHLO": {250, 504, 550, 502},
            "HELO": {250, 504, 550, 502},
            "MAIL": {250, 552, 451, 452, 550, 553, 503, 455, 555},
            "RCPT": {250, 251, 550, 551, 552, 553, 450, 451, 452, 503, 455, 555},
            "DATA": {354, 503, 554, 451},
            "RSET": {250},
            "VRFY": {250, 251, 252, 550, 551, 553, 502, 504},
            "EXPN": {250, 252, 550, 500, 502, 504},
            "HELP": {211, 214, 502, 504},
            "NOOP": {250},
        }
        arguments = (
            "",
            " x",
            " c.example",
            " FROM:<a@a>",
            " TO:<b@b>",
            " FROM:<ü@a>",
            " TO:<ü@b>",
            " FROM:<>",
            " TO:<>",
        )
        arguments += (" FROM:<a@a> SIZE=99999999999", " FROM:<a@a> X=Y", " TO:<b@b> X=Y", " FROM:a", " \x07", " ü")
        for before in ((), ("EHLO c",), ("EHLO c", ENVELOPE[0]), ("EHLO c", *ENVELOPE)):
            for verb, listed in allowed.items():
                for argument in arguments:
                    talk = Talk()
                    talk.say(*before)
                    [code] = talk.codes(verb + argument)
                    self.assertIn(code, listed | everywhere, (before, verb, argument))


class MinimumTests(SynchronousTestCase):
    """Sections 4.5.1 and 4.5.2."""

    @holds("5321", "4.5.1", "EHLO, HELO, MAIL, RCPT, DATA, RSET, NOOP, QUIT and VRFY are served.")
    def test_commands(self):
        """None of them is 500 or 502."""
        talk = Talk()
        lines = ("HELO c", "EHLO c", *ENVELOPE, "RSET", "NOOP", "VRFY b", *ENVELOPE, "DATA", *CONTENT, "QUIT")
        self.assertEqual(talk.codes(*lines), [250] * 6 + [252, 250, 250, 354, 250, 221])

    @holds_in_part(
        "5321",
        "4.5.2",
        "Content may have every character of ASCII, control characters too.",
        "All but NUL, and CR and LF that are not CR LF: these are 550, for others read them as they please.",
    )
    def test_every_character(self):
        """A line with all of them comes through."""
        line = bytes(code for code in range(1, 128) if code not in b"\r\n")
        talk = Talk().greet()
        talk.say(*ENVELOPE, "DATA")
        self.assertEqual(codes(talk.raw(line + b"\r\n.\r\n")), [250])
        self.assertEqual(talk.messages[0].content, line + b"\r\n")
        talk.say(*ENVELOPE, "DATA")
        self.assertEqual(codes(talk.raw(b"a\0b\r\n.\r\n")), [550])


class SizeTests(SynchronousTestCase):
    """Section 4.5.3.1."""

    @holds("5321", "4.5.3.1.3", "A path of 256 octets with its brackets is taken.")
    def test_path(self):
        """The longest local part, and a domain of the rest."""
        domain = ".".join(["d" * 60] * 3) + ".exampl"
        path = f"<{'l' * 64}@{domain}>"
        self.assertEqual(len(path), 256)
        self.assertEqual(Talk().greet().codes(f"MAIL FROM:{path}", f"RCPT TO:{path}"), [250, 250])

    @holds("5321", "4.5.3.1.8", "As many recipients as are offered are taken, by default a thousand.")
    def test_recipients(self):
        """All of one transaction."""
        talk = Talk().greet()
        self.assertEqual(LimitsConfig().recipients, 1000)
        self.assertEqual(talk.codes(ENVELOPE[0], *[ENVELOPE[1]] * 1000), [250] * 1001)

    @holds("5321", "4.5.3.1.9", "What is too long is told: 500 a line, 501 a path, 452 recipients, 552 a message.")
    def test_too_long(self):
        """And the session goes on behind each."""
        talk = Talk(recipients=1, message_size=20).greet()
        self.assertEqual(talk.codes("NOOP " + "x" * 3000), [500])
        self.assertEqual(talk.codes(f"MAIL FROM:<{'l' * 65}@a.example>"), [501])
        self.assertEqual(talk.codes(*ENVELOPE, ENVELOPE[1]), [250, 250, 452])
        self.assertEqual(talk.codes("DATA", *CONTENT), [354, 552])
        self.assertEqual(talk.codes("NOOP"), [250])

    @holds("5321", "4.5.4.2", "While one client is served others are, too.")
    def test_many_clients(self):
        """Each has a session of its own."""
        rig = Rig()
        talks = [Talk(rig) for _ in range(20)]
        for talk in talks:
            talk.greet().say(*ENVELOPE, "DATA")
        for talk in reversed(talks):
            self.assertEqual(talk.codes(*CONTENT), [250])
        self.assertEqual(len(rig.reception.messages), 20)
