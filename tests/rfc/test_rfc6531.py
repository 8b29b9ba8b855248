"""RFC 6531: SMTPUTF8."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.resolution import to_a_labels
from smtpgw.model.address import Mailbox
from smtpgw.model.outcome import Failed, Relayed, Scope
from smtpgw.model.reply import reply
from smtpgw.model.route import TlsNeed
from smtpgw.model.verdict import Refuse
from tests.clauses import holds, holds_in_part
from tests.net.server_rig import Rig
from tests.rfc.talk import CONTENT, ENVELOPE, Talk
from tests.smtp.fakes import MemoryReception
from tests.smtp.test_conversation import Receiver, Stage, converse, make_job

_MAIL = "MAIL FROM:<ä@bücher.example> SMTPUTF8"


class ServerTests(SynchronousTestCase):
    """Sections 3.1, 3.3, 3.4 and 3.7."""

    @holds("6531", "3.1", "SMTPUTF8 is offered without parameters, and 8BITMIME beside it.")
    def test_offer(self):
        """To everybody."""
        offers = Talk().offers()
        self.assertEqual((offers["SMTPUTF8"], offers["8BITMIME"]), ("", ""))

    @holds("6531", "3.1", "With SMTPUTF8 both paths may be UTF-8, in local part and domain.")
    def test_paths(self):
        """As the client wrote them, the domain in small letters."""
        rig = Rig()
        self.assertEqual(Talk(rig).greet().codes(_MAIL, "RCPT TO:<Юлия@ПОЧТА.example>"), [250, 250])
        _, mail, recipient = rig.reception.rcpts[0]
        self.assertEqual(mail.reverse_path, Mailbox("ä", "bücher.example"))
        self.assertEqual(recipient.mailbox, Mailbox("Юлия", "почта.example"))

    @holds("6531", "3.3", "What is not UTF-8 is no address: overlong forms, surrogates, single octets.")
    def test_strict(self):
        """501, with SMTPUTF8."""
        for octets in (b"\xfc", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc3"):
            talk = Talk().greet()
            said = talk.raw(b"MAIL FROM:<" + octets + b"@a.example> SMTPUTF8\r\n")
            self.assertTrue(said.startswith("501 "), octets)

    @holds("6531", "3.3", "Domains are U-labels that IDNA2008 allows, or A-labels.")
    def test_domains(self):
        """Both may be mixed; what is none is 501."""
        for domain, code in (
            ("bücher.example", 250),
            ("xn--bcher-kva.example", 250),
            ("bücher.xn--bcher-kva.example", 250),
            ("☃.example", 501),
            ("-ü.example", 501),
            ("ü\u3002example", 501),
        ):
            self.assertEqual(Talk().greet().codes(f"MAIL FROM:<a@{domain}> SMTPUTF8"), [code], domain)

    @holds("6531", "3.4", "SMTPUTF8 has no value.")
    def test_value(self):
        """501 with one."""
        self.assertEqual(Talk().greet().codes("MAIL FROM:<> SMTPUTF8=1", "MAIL FROM:<> SMTPUTF8="), [501, 501])

    @holds("6531", "3.4", "A MAIL command that SMTPUTF8 makes 10 octets longer is read.")
    def test_long_mail(self):
        """With the longest path."""
        path = f"{'ü' * 32}@{'.'.join(['d' * 60] * 3)}.exampl"
        self.assertEqual(Talk().greet().codes(f"MAIL FROM:<{path}> SMTPUTF8"), [250])

    @holds("6531", "3.4", "SMTPUTF8 counts for its transaction only.")
    def test_one_transaction(self):
        """The next MAIL needs its own."""
        talk = Talk().greet()
        self.assertEqual(talk.codes(_MAIL, ENVELOPE[1], "DATA", *CONTENT), [250, 250, 354, 250])
        self.assertEqual(talk.codes(ENVELOPE[0], "RCPT TO:<ü@b.example>"), [250, 553])

    @holds("6531", "3.6", "With SMTPUTF8 the header may be UTF-8, and is kept as it came.")
    def test_header(self):
        """BODY=8BITMIME may stand beside it."""
        talk = Talk().greet()
        talk.say(f"{_MAIL} BODY=8BITMIME", ENVELOPE[1], "DATA", "Subject: Grüße", "", ".")
        self.assertEqual(talk.messages[0].content, "Subject: Grüße\r\n\r\n".encode())
        self.assertTrue(talk.messages[0].envelope.smtputf8)

    @holds("6531", "3.7.1", "The name in EHLO is ASCII: an IDN stands there as A-labels.")
    def test_ehlo(self):
        """501 for UTF-8."""
        self.assertEqual(Talk().codes("EHLO bücher.example", "EHLO xn--bcher-kva.example"), [501, 250])

    @holds("6531", "3.7.4", "Replies are ASCII unless a client has asked for UTF-8; ours always are.")
    def test_replies(self):
        """What a check puts into a text is escaped."""
        reception = MemoryReception()
        reception.on_rcpt = lambda recipient: Refuse(reply(550, "5.1.1", f"no {recipient.mailbox}"), "t")
        said = Talk(reception=reception).greet().say(_MAIL, "RCPT TO:<ü@b.example>")
        self.assertTrue(said.isascii())
        self.assertIn(r"550 5.1.1 no \xfc@b.example", said)

    @holds("6531", "3.3", "A local part of 64 octets is taken, however few characters that are.")
    def test_octets(self):
        """Octets count."""
        talk = Talk().greet()
        self.assertEqual(talk.codes(f"MAIL FROM:<{'ü' * 33}@a.example> SMTPUTF8"), [501])
        self.assertEqual(talk.codes(f"MAIL FROM:<{'ü' * 32}@a.example> SMTPUTF8"), [250])


class ClientTests(SynchronousTestCase):
    """Sections 3.2 and 3.7.2."""

    def outcome(self, *keywords, **job):
        """Of one message, and what a host with these keywords got."""
        stage = Stage(TlsNeed.OFF, make_job(**job) if "to" not in job else make_job(job.pop("to"), **job))
        receiver = Receiver(*keywords)
        converse(stage, receiver)
        return stage.outcomes[0][0], receiver.messages

    @holds("6531", "3.2", "As a client, an address in UTF-8 is never sent to a host that does not offer SMTPUTF8.")
    def test_not_offered(self):
        """A local part makes the recipient fail; a domain goes as A-labels."""
        outcome, messages = self.outcome(to=Mailbox("ü", "b.example"))
        self.assertIsInstance(outcome, Failed)
        self.assertEqual((outcome.status, messages), ("5.6.7", []))
        outcome, [(_, rcpts, _)] = self.outcome(to=Mailbox("b", "bücher.example"))
        self.assertIsInstance(outcome, Relayed)
        self.assertEqual(rcpts, [b"RCPT TO:<b@xn--bcher-kva.example>"])

    @holds("6531", "3.2", "As a client, a reverse-path in UTF-8 that can't be ASCII fails the message at such a host.")
    def test_reverse_path(self):
        """5.6.7."""
        outcome, messages = self.outcome(reverse_path=Mailbox("ü", "a.example"))
        self.assertEqual((outcome.status, messages), ("5.6.7", []))

    @holds_in_part(
        "6531",
        "3.2",
        "As a client, a message that came with SMTPUTF8 and needs it is not sent to a host without it.",
        "Its addresses and its header section count. The headers of MIME parts are not read: if only those are in"
        " UTF-8, the message goes without SMTPUTF8, as what came without it does.",
    )
    def test_header(self):
        """A header in UTF-8 fails with 5.6.7; if another host of the domain offers it, that one gets it."""
        content = "Subject: Grüße\r\n\r\n".encode()
        outcome, messages = self.outcome(content=content, smtputf8=True)
        self.assertEqual((outcome.status, outcome.scope, messages), ("5.6.7", Scope.HOST, []))
        outcome, [(mail, _, sent)] = self.outcome("SMTPUTF8", content=content, smtputf8=True)
        self.assertIsInstance(outcome, Relayed)
        self.assertIn(b" SMTPUTF8", mail)
        self.assertTrue(sent.endswith(content))

    @holds("6531", "3.7.2", "Mail hosts of a domain in U-labels are looked up by its A-labels.")
    def test_lookup(self):
        """As the DNS knows it."""
        self.assertEqual(to_a_labels("bücher.example"), "xn--bcher-kva.example")
        self.assertIsNone(to_a_labels("☃" * 300))
