"""RFC 9422: LIMITS."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.reply import Reply
from smtpgw.model.route import TlsNeed
from smtpgw.smtp.conversation_offer import Offer, read_offer
from tests.clauses import holds, holds_in_part
from tests.rfc.talk import CONTENT, ENVELOPE, Talk
from tests.smtp.test_conversation import FACTS, Stage, make_job


def limits(text):
    """What a client makes of a LIMITS line."""
    return read_offer(Reply(250, "", ("mx", f"LIMITS {text}")))


class ServerTests(SynchronousTestCase):
    """Section 4."""

    @holds("9422", "3", "LIMITS is offered where there are limits: names, each with its value behind an equals sign.")
    def test_offer(self):
        """Without a limit of messages that one is left out."""
        self.assertEqual(Talk().offers()["LIMITS"], "MAILMAX=1000 RCPTMAX=1000")
        self.assertEqual(Talk(messages_per_connection=0).offers()["LIMITS"], "RCPTMAX=1000")

    @holds("9422", "4.1", "As many messages as MAILMAX says are taken on a connection.")
    def test_messages(self):
        """The next MAIL is 421."""
        talk = Talk(messages_per_connection=3)
        self.assertIn("MAILMAX=3", talk.offers()["LIMITS"])
        for _ in range(3):
            self.assertEqual(talk.codes(*ENVELOPE, "DATA", *CONTENT), [250, 250, 354, 250])
        self.assertEqual(talk.codes(ENVELOPE[0]), [421])

    @holds_in_part(
        "9422",
        "4.1",
        "A MAIL command counts for MAILMAX whatever becomes of its transaction.",
        "Only those whose content was sent count, in the client's favour.",
    )
    def test_counted(self):
        """RSET takes nothing away."""
        talk = Talk(messages_per_connection=1).greet()
        self.assertEqual(talk.codes(*(ENVELOPE[0], "RSET") * 5, ENVELOPE[0]), [250] * 11)

    @holds("9422", "4.2", "As many recipients as RCPTMAX says are taken in a transaction.")
    def test_recipients(self):
        """The next one is 452."""
        talk = Talk(recipients=3)
        self.assertIn("RCPTMAX=3", talk.offers()["LIMITS"])
        self.assertEqual(talk.codes(ENVELOPE[0], *[ENVELOPE[1]] * 4), [250, 250, 250, 250, 452])

    @holds("9422", "4.3", "RCPTDOMAINMAX is not announced, and there is no limit of domains.")
    def test_domains(self):
        """As many domains as recipients."""
        talk = Talk()
        self.assertNotIn("RCPTDOMAINMAX", talk.offers()["LIMITS"])
        rcpts = [f"RCPT TO:<b@d{number}.example>" for number in range(1000)]
        self.assertEqual(talk.codes(ENVELOPE[0], *rcpts), [250] * 1001)


class ClientTests(SynchronousTestCase):
    """Sections 3 and 4."""

    @holds("9422", "3", "As a client, limits that we don't know, and values that are none, are passed over.")
    def test_unknown(self):
        """The others count."""
        self.assertEqual(limits("FOO=1 RCPTMAX=5 BAR MAILMAX=x =7"), Offer(max_recipients=5))
        self.assertEqual(limits("RCPTMAX=0 MAILMAX=1000000 RCPTDOMAINMAX=-1"), Offer())
        self.assertEqual(
            limits("rcptmax=5 MailMax=2 RcptDomainMax=1"), Offer(max_recipients=5, max_mails=2, max_domains=1)
        )

    @holds("9422", "3", "As a client, the limits are those of the last reply to EHLO.")
    def test_last(self):
        """Inside of TLS those of clear text are forgotten."""
        stage = Stage(TlsNeed.OPPORTUNISTIC, make_job("b@b.example", "c@b.example"))
        stage.hear(b"220 x\r\n")
        stage.hear(b"250-mx\r\n250-PIPELINING\r\n250-LIMITS RCPTMAX=1\r\n250 STARTTLS\r\n")
        stage.hear(b"220 go\r\n")
        stage.conversation.secured(FACTS)
        self.assertEqual(stage.hear(b"250-mx\r\n250 PIPELINING\r\n").count(b"RCPT TO:"), 2)

    @holds("9422", "4.3", "As a client, no more domains than RCPTDOMAINMAX are named in a transaction.")
    def test_domains(self):
        """The recipients of other ones wait for the next."""
        addresses = ("a@a.example", "b@b.example", "c@a.example", "d@b.example")
        stage = Stage(TlsNeed.OFF, make_job(*addresses))
        stage.hear(b"220 x\r\n")
        said = stage.hear(b"250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTDOMAINMAX=1\r\n")
        self.assertEqual(said.count(b"RCPT TO:"), 2)
        self.assertNotIn(b"b.example", said)
