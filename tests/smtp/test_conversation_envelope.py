"""MAIL and RCPT for a host: what a sender asked for goes on, or the message does not."""

# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import DeliverBy, MailParameters, Notify, Recipient, Returned, TlsFacts
from smtpgw.model.outcome import Delayed, Failed, Relayed, Scope
from smtpgw.model.route import TlsNeed
from smtpgw.smtp.conversation_envelope import Unsendable, mail_command, rcpt_command
from smtpgw.smtp.conversation_offer import NOTHING, Offer
from tests.clauses import holds
from tests.smtp.test_conversation import Stage, make_job

BOB = Mailbox("bob", "example.net")
CLEAR = None
UNVERIFIED = TlsFacts("TLSv1.3", "AES")
VERIFIED = TlsFacts("TLSv1.3", "AES", verified=True)
EVERYTHING = Offer(dsn=True, requiretls=True, deliver_by=True)


def job_with(job=None, **parameters):
    """A job whose sender gave these with MAIL."""
    job = job or make_job()
    envelope = replace(job.message.envelope, parameters=MailParameters(**parameters))
    return replace(job, message=replace(job.message, envelope=envelope))


def mail(offer, tls=CLEAR, job=None, **parameters):
    """MAIL, without its path and line end."""
    return mail_command(job_with(job, **parameters), offer, tls).partition(b">")[2].removesuffix(b"\r\n")


def rcpt(offer, notify=None, original=""):
    """RCPT likewise."""
    return rcpt_command(Recipient(BOB, notify, original), offer).partition(b">")[2].removesuffix(b"\r\n")


class DsnTests(SynchronousTestCase):
    """RFC 3461."""

    @holds("3461", "5.2.1", "ENVID and RET go on to a next hop with DSN as they were given, and only then.")
    def test_mail(self):
        """As given, encoded again, and nothing that was not given."""
        asked = {"envelope_id": "QQ 31+4=", "returned": Returned.HEADERS}
        self.assertEqual(mail(EVERYTHING, **asked), b" RET=HDRS ENVID=QQ+2031+2B4+3D")
        self.assertEqual(mail(EVERYTHING, returned=Returned.FULL), b" RET=FULL")
        self.assertEqual(mail(EVERYTHING), b"")

    @holds("3461", "5.2.1", "NOTIFY goes on to a next hop with DSN as it was given; without one none is made up.")
    def test_notify(self):
        """Each word that was given."""
        for notify, expected in (
            (None, b""),
            (Notify(), b" NOTIFY=NEVER"),
            (Notify(success=True), b" NOTIFY=SUCCESS"),
            (Notify(failure=True, delay=True), b" NOTIFY=FAILURE,DELAY"),
        ):
            self.assertEqual(rcpt(EVERYTHING, notify), expected)

    @holds("3461", "5.2.1", "ORCPT goes on to a next hop with DSN as it was given.")
    def test_original(self):
        """Its case and its odd characters stay; none is added."""
        self.assertEqual(rcpt(EVERYTHING, original="rfc822;Bob+a@Example.NET"), b" ORCPT=rfc822;Bob+2Ba@Example.NET")
        self.assertEqual(rcpt(EVERYTHING, original="utf-8;zoë@example.net"), rb" ORCPT=utf-8;zo\x{EB}@example.net")
        self.assertEqual(rcpt(EVERYTHING), b"")

    @holds("3461", "5.2.2", "No parameter of DSN is given to a next hop without it.")
    def test_without(self):
        """A host without DSN gets none of it."""
        self.assertEqual(mail(NOTHING, envelope_id="x", returned=Returned.FULL), b"")
        self.assertEqual(rcpt(NOTHING, Notify(success=True), "rfc822;bob@example.net"), b"")

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=120), st.text(max_size=120))
    def test_hostile(self, envelope_id, original):
        """Whatever they hold, should it ever come past the grammar: one line, one word each."""
        line = mail(EVERYTHING, envelope_id=envelope_id)
        self.assertRegex(line, rb"\A(?: ENVID=[!-~]+)?\Z")
        self.assertRegex(rcpt(EVERYTHING, original=original), rb"\A(?: ORCPT=[!-~]+)?\Z")


class RequireTlsTests(SynchronousTestCase):
    """RFC 8689."""

    @holds(
        "8689", "4.2.1", "A message with REQUIRETLS is sent only over verified TLS to a host that offers it, with it."
    )
    def test_kept(self):
        """Verified TLS and REQUIRETLS offered, or nothing of it is sent."""
        self.assertEqual(mail(EVERYTHING, VERIFIED, requires_tls=True), b" REQUIRETLS")
        for offer, tls, status in (
            (EVERYTHING, CLEAR, "5.7.10"),
            (EVERYTHING, UNVERIFIED, "5.7.10"),
            (NOTHING, VERIFIED, "5.7.30"),
        ):
            trouble = self.assertRaises(Unsendable, mail, offer, tls, requires_tls=True)
            self.assertEqual(trouble.status, status)

    @holds("8689", "5", "A notification with REQUIRETLS is sent also where it is not offered.")
    def test_notification(self):
        """From the null path it goes anyhow, with REQUIRETLS where that can be."""
        job = make_job(reverse_path=None)
        for offer, tls, expected in (
            (EVERYTHING, UNVERIFIED, b" REQUIRETLS"),
            (EVERYTHING, CLEAR, b""),
            (NOTHING, VERIFIED, b""),
        ):
            self.assertEqual(mail(offer, tls, job, requires_tls=True), expected)

    def test_others(self):
        """Nobody else is given it, nor kept from a host."""
        self.assertEqual(mail(EVERYTHING, VERIFIED), b"")
        self.assertEqual(mail(NOTHING, CLEAR), b"")

    def test_nothing_is_said(self):
        """On a link that can't keep it not an octet of it goes out, and the next message is served."""
        stage = Stage(TlsNeed.OFF, job_with(requires_tls=True), make_job())
        stage.hear(b"220 x\r\n")
        said = stage.hear(b"250-x\r\n250-PIPELINING\r\n250 REQUIRETLS\r\n")
        self.assertEqual(said.count(b"MAIL FROM"), 1)
        self.assertNotIn(b"REQUIRETLS", said)
        [[outcome]] = stage.outcomes
        assert isinstance(outcome, Failed)
        self.assertEqual((outcome.status, outcome.scope), ("5.7.10", Scope.HOST))


class DeliverByTests(SynchronousTestCase):
    """RFC 2852. The seconds of a job are those that are left."""

    def test_passed_on(self):
        """To a host with DELIVERBY, whatever is left of mode N."""
        for seconds, returns, traces, expected in (
            (120, True, False, b" BY=120;R"),
            (120, False, True, b" BY=120;NT"),
            (-5, False, False, b" BY=-5;N"),
        ):
            self.assertEqual(mail(EVERYTHING, deliver_by=DeliverBy(seconds, returns, traces)), expected)

    def test_returned(self):
        """Mode R with a host that does not know it, or is too slow, or too late: it is returned now."""
        for offer, seconds in (
            (NOTHING, 120),
            (Offer(deliver_by=True, least_seconds=121), 120),
            (EVERYTHING, 0),
            (EVERYTHING, -5),
        ):
            trouble = self.assertRaises(Unsendable, mail, offer, deliver_by=DeliverBy(seconds, returns=True))
            self.assertEqual(trouble.status, "5.4.7")

    def test_notified(self):
        """Mode N goes to any host."""
        self.assertEqual(mail(NOTHING, deliver_by=DeliverBy(120, returns=False)), b"")


class LimitsTests(SynchronousTestCase):
    """RFC 9422: what a host takes at most."""

    def relay(self, limits, *jobs, pipelining=True):
        """Run jobs with a host that takes whatever it is told."""
        self.stage = stage = Stage(TlsNeed.OFF, *jobs)
        stage.hear(b"220 x\r\n")
        offer = b"250-x\r\n" + b"250-PIPELINING\r\n" * pipelining + b"250 LIMITS %b\r\n" % limits
        said = stage.hear(offer)
        everything = b""
        in_content = False
        while said:
            everything += said
            answer = b""
            for line in said.split(b"\r\n")[:-1]:
                if in_content:
                    in_content = line != b"."
                    answer += b"" if in_content else b"250 taken\r\n"
                elif line == b"DATA":
                    in_content = True
                    answer += b"354 go\r\n"
                else:
                    answer += b"221 bye\r\n" if line == b"QUIT" else b"250 ok\r\n"
            said = stage.hear(answer) if answer else b""
        return everything

    @holds("9422", "4.2", "No more recipients than RCPTMAX are named in a transaction; the rest follows in the next.")
    def test_recipients(self):
        """The first of them are asked for; the rest waits for the next transaction, without an attempt."""
        for pipelining in (True, False):
            said = self.relay(b"RCPTMAX=2", make_job(*(f"b{n}@example.net" for n in range(3))), pipelining=pipelining)
            self.assertEqual(said.count(b"RCPT TO"), 2)
            [outcomes] = self.stage.outcomes
            self.assertEqual([type(outcome) for outcome in outcomes], [Relayed, Relayed, Delayed])
            left = outcomes[2]
            assert isinstance(left, Delayed)
            self.assertEqual((left.status, left.reply, left.scope), ("4.5.3", None, Scope.RECIPIENT))

    def test_unsendable_takes_no_place(self):
        """A recipient that can't be named to the host is none of them."""
        said = self.relay(b"RCPTMAX=1", make_job(Mailbox("zoë", "example.net"), "bob@example.net"))
        self.assertEqual(said.count(b"RCPT TO"), 1)
        self.assertEqual([type(outcome) for outcome in self.stage.outcomes[0]], [Failed, Relayed])

    def test_domains(self):
        """RCPTDOMAINMAX counts the domains."""
        job = make_job("a@one.example", "b@two.example", "c@one.example")
        self.assertEqual(self.relay(b"RCPTDOMAINMAX=1", job).count(b"RCPT TO"), 2)
        self.assertEqual([type(outcome) for outcome in self.stage.outcomes[0]], [Relayed, Delayed, Relayed])

    @holds("9422", "4.1", "No more messages than MAILMAX are sent on a connection.")
    def test_mails(self):
        """After the last one we take our leave, and no further job is asked for."""
        for pipelining in (True, False):
            said = self.relay(b"MAILMAX=2", make_job(), make_job(), make_job(), pipelining=pipelining)
            self.assertEqual(said.count(b"MAIL FROM"), 2)
            self.assertTrue(said.endswith(b"QUIT\r\n"))
            self.assertEqual(len(self.stage.jobs), 1)
            self.assertEqual(self.stage.actions, ["lose"])

    def test_message_refused(self):
        """What is decided about the message is decided for those, too, who had no place."""
        stage = Stage(TlsNeed.OFF, make_job("a@example.net", "b@example.net"))
        stage.hear(b"220 x\r\n")
        stage.hear(b"250-x\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=1\r\n")
        stage.hear(b"250 ok\r\n250 ok\r\n354 go\r\n")
        stage.hear(b"550 5.7.1 no\r\n")
        [outcomes] = stage.outcomes
        self.assertEqual([type(outcome) for outcome in outcomes], [Failed, Failed])
