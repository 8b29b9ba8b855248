"""RFC 2034: enhanced status codes."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.outcome import Failed
from smtpgw.model.reply import Reply
from smtpgw.model.route import TlsNeed
from smtpgw.smtp import replies
from tests.clauses import holds
from tests.rfc.talk import CONTENT, ENVELOPE, Talk
from tests.smtp.test_conversation import Receiver, Stage, converse, make_job


class StatusTests(SynchronousTestCase):
    """What we say."""

    @holds("2034", "3", "ENHANCEDSTATUSCODES is offered, without parameters.")
    def test_offer(self):
        """To everybody."""
        self.assertEqual(Talk().offers()["ENHANCEDSTATUSCODES"], "")

    @holds("2034", "4", "The class of a status is the first digit of its reply's code.")
    def test_class(self):
        """Of every reply that the session can give."""
        known = [answer for answer in vars(replies).values() if isinstance(answer, Reply)]
        self.assertGreater(len(known), 30)
        for answer in known:
            self.assertEqual(answer.status[0], str(answer.code)[0], answer)

    @holds("2034", "4", "Replies to EHLO and HELO, the banner and 354 bear no status.")
    def test_without(self):
        """The keywords of EHLO would not be keywords with it."""
        talk = Talk()
        self.assertNotRegex(talk.banner, r"\d\.\d\.\d")
        self.assertNotRegex(talk.say("HELO c") + talk.say("EHLO c"), r"250[ -]\d\.\d\.\d")
        talk.say(*ENVELOPE)
        self.assertNotRegex(talk.say("DATA"), r"354 \d\.")

    @holds("2034", "4", "Refusals bear a status that says more than their class.")
    def test_refusals(self):
        """x.0.0 is the exception."""
        talk = Talk().greet()
        for line in ("FOO", "EXPN x", "DATA", "RCPT TO:<b@b>", "MAIL FROM:<", "MAIL FROM:<> X=Y", "EHLO", "AUTH PLAIN"):
            self.assertRegex(talk.say(line), r"\A5\d\d 5\.[1-7]\.[1-9]\d* ", line)

    @holds("2034", "4", "The replies to QUIT and to the end of data bear one, too.")
    def test_end(self):
        """2.0.0."""
        talk = Talk().greet()
        talk.say(*ENVELOPE, "DATA")
        self.assertRegex(talk.say(*CONTENT, "QUIT"), r"\A250 2\.0\.0 .*\r\n221 2\.0\.0 .*\r\n\Z")


class ClientTests(SynchronousTestCase):
    """What we hear."""

    @holds("2034", "3", "As a client, the status of a reply is read, and is that of the outcome.")
    def test_status(self):
        """In the first line; of a class that fits, or it is none."""
        for octets, status in (
            (b"550 5.1.1 no such user\r\n", "5.1.1"),
            (b"550-5.1.1 no\r\n550 5.1.1 such user\r\n", "5.1.1"),
            (b"550 no status\r\n", "5.0.0"),
            (b"550 4.1.1 odd\r\n", "5.0.0"),
        ):
            stage = Stage(TlsNeed.OFF, make_job())
            converse(stage, Receiver(faults={("RCPT", 1): octets}))
            [[outcome]] = stage.outcomes
            self.assertIsInstance(outcome, Failed)
            self.assertEqual(outcome.status, status)
