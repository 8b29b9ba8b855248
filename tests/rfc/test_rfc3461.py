"""RFC 3461: delivery status notifications."""

# mypy: no-check-untyped-defs

from email import message_from_bytes

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import Notify, Recipient, Returned
from smtpgw.model.reply import reply
from smtpgw.model.route import TlsNeed
from smtpgw.model.verdict import ACCEPT, Refuse
from smtpgw.smtp.conversation_offer import Offer
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.rfc.talk import CONTENT, ENVELOPE, Talk
from tests.service.house import defers, mailbox, refuses, relays
from tests.service.test_dispatch_promises import PromiseCase, Sinking
from tests.smtp.fakes import MemoryReception
from tests.smtp.test_conversation import Stage, make_job

SUCCESS, FAILURE, DELAY, NEVER = Notify(success=True), Notify(failure=True), Notify(delay=True), Notify()
_WEEK = 7 * 86400


class ParameterTests(SynchronousTestCase):
    """Section 4."""

    @holds("3461", "2", "DSN is offered, without parameters.")
    def test_offer(self):
        """To everybody."""
        self.assertEqual(Talk().offers()["DSN"], "")

    @holds("3461", "4.1", "NOTIFY is NEVER alone, or a list of SUCCESS, FAILURE and DELAY.")
    def test_notify(self):
        """The transaction goes on."""
        talk = Talk().greet()
        talk.say(ENVELOPE[0])
        for value in ("NEVER,FAILURE", "NEVER,NEVER", "ALWAYS", "SUCCESS,", ",", ""):
            self.assertEqual(talk.codes(f"RCPT TO:<b@b.example> NOTIFY={value}"), [501], value)
        self.assertEqual(talk.codes("RCPT TO:<b@b.example> NOTIFY=DELAY,SUCCESS,FAILURE"), [250])

    @holds("3461", "4.1", "Each recipient has its own NOTIFY.")
    def test_each(self):
        """In one transaction."""
        talk = Talk().greet()
        rcpts = [f"RCPT TO:<b@b.example>{notify}" for notify in ("", " NOTIFY=NEVER", " NOTIFY=SUCCESS")]
        talk.say(ENVELOPE[0], *rcpts, "DATA", *CONTENT)
        self.assertEqual([r.notify for r in talk.messages[0].envelope.recipients], [None, NEVER, SUCCESS])

    @holds("3461", "4.5", "NOTIFY, ORCPT, RET and ENVID may each be given once.")
    def test_once(self):
        """501 for two of them."""
        talk = Talk().greet()
        self.assertEqual(talk.codes("MAIL FROM:<> RET=FULL RET=FULL", "MAIL FROM:<> ENVID=a ENVID=a"), [501, 501])
        talk.say(ENVELOPE[0])
        rcpt = "RCPT TO:<b@b.example>"
        lines = (f"{rcpt} NOTIFY=NEVER NOTIFY=NEVER", f"{rcpt} ORCPT=rfc822;b@b ORCPT=rfc822;b@b")
        self.assertEqual(talk.codes(*lines), [501, 501])

    @holds("3461", "4.4", "ENVID is xtext of at most 100 characters, and is in the envelope, decoded.")
    def test_envelope_id(self):
        """A line end is refused: it would be a line of a report."""
        talk = Talk().greet()
        talk.say("MAIL FROM:<a@a.example> ENVID=a+20b+2B+3Dc", ENVELOPE[1], "DATA", *CONTENT)
        self.assertEqual(talk.messages[0].envelope.parameters.envelope_id, "a b+=c")
        self.assertEqual(talk.codes("MAIL FROM:<> ENVID=a+0D+0Ab"), [501])

    @holds("3461", "5.4", "Lines that these parameters make longer are read.")
    def test_long_lines(self):
        """The longest of all of them."""
        path = f"{'l' * 64}@{'.'.join(['d' * 60] * 3)}.exampl"
        talk = Talk().greet()
        rcpt = f"RCPT TO:<{path}> NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=rfc822;{'o' * 493}"
        self.assertEqual(talk.codes(f"MAIL FROM:<{path}> RET=FULL ENVID={'e' * 100}", rcpt), [250, 250])


class ConformanceTests(SynchronousTestCase):
    """Sections 5.1 and 5.4."""

    @holds("3461", "5.1", "What these parameters say changes nothing of the reply to MAIL and RCPT.")
    def test_same_reply(self):
        """Accepted or refused as without them."""
        for verdict in (ACCEPT, Refuse(reply(550, "5.7.1", "No"), "t")):
            said = []
            for mail, rcpt in (("", ""), (" RET=HDRS ENVID=x", " NOTIFY=NEVER ORCPT=rfc822;b@b.example")):
                reception = MemoryReception()
                reception.on_rcpt = lambda recipient, verdict=verdict: verdict
                said.append(Talk(reception=reception).greet().say(ENVELOPE[0] + mail, ENVELOPE[1] + rcpt))
            self.assertEqual(said[0], said[1])


class RelayTests(PromiseCase):
    """Section 5.2."""

    def reports(self, *recipients, seconds=1, **parameters):
        """What the sender hears about a message."""
        self.take(*recipients, **parameters)
        self.house.run(seconds)
        return self.notifications()

    @holds("3461", "5.2.1", "After relaying to a host with DSN no success is reported: that is its matter.")
    def test_relayed(self):
        """It was given the NOTIFY."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.assertEqual(self.reports(("x@a.test", SUCCESS)), [])

    @holds("3461", "5.2.2", "A relayed DSN goes to those only who asked for SUCCESS.")
    def test_asked(self):
        """Of three recipients one."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.offer = Offer()
        [content] = self.reports(("x@a.test", SUCCESS), ("y@a.test", None), ("z@a.test", FAILURE))
        self.assertEqual(content.count(b"Action: relayed"), 1)
        self.assertIn(b"x@a.test", content)

    @does_not_hold(
        "3461",
        "5.2.2",
        "As a client, recipients with NOTIFY=NEVER get the null reverse-path at a host without DSN.",
        "It may be so and need not: hosts take such mail for notifications, refuse it for several recipients, and SPF"
        " has nothing to go by.",
    )
    def test_never_without_dsn(self):
        """The reverse-path stays."""
        job = make_job()
        asked = replace(job.message.envelope, recipients=(Recipient(mailbox("x@a.test"), NEVER),))
        stage = Stage(TlsNeed.OFF, replace(job, message=replace(job.message, envelope=asked)))
        stage.hear(b"220 x\r\n")
        self.assertEqual(stage.hear(b"250 mx\r\n"), b"MAIL FROM:<alice@example.com>\r\n")

    @holds("3461", "5.2.3", "Of a delivery nobody is told who did not ask for SUCCESS.")
    def test_delivered(self):
        """Action: delivered."""
        self.make_house(local=("here.test",), sinks={"domain here.test": Sinking()})
        [content] = self.reports(("alice@here.test", SUCCESS), ("bob@here.test", FAILURE))
        self.assertEqual(content.count(b"Action: delivered"), 1)
        self.assertNotIn(b"bob@here.test", content)

    @holds("3461", "5.2.5", "Without NOTIFY a delay is reported, once; with DELAY in it, too.")
    def test_delayed(self):
        """After four hours, and not again."""
        for notify in (None, DELAY):
            self.make_house()
            self.house.dialer.hosts["192.0.2.1"] = defers
            [content] = self.reports(("x@a.test", notify), seconds=12 * 3600)
            self.assertIn(b"Action: delayed", content)

    @holds("3461", "5.2.6", "Without NOTIFY a failure is reported; with FAILURE in it, too.")
    def test_failed(self):
        """Refused, or expired."""
        for script in (refuses, defers):
            for notify, count in ((None, 1), (FAILURE, 1), (DELAY, 0), (SUCCESS, 0), (NEVER, 0)):
                self.make_house()
                self.house.dialer.hosts["192.0.2.1"] = script
                found = [one for one in self.reports(("x@a.test", notify), seconds=_WEEK) if b"Action: failed" in one]
                self.assertEqual(len(found), count, notify)

    @holds("3461", "5.2", "Nothing is reported of a message from the null path, whatever its NOTIFY says.")
    def test_null_path(self):
        """Neither failure nor success."""
        self.offer = Offer()
        for script in (refuses, relays):
            self.make_house()
            self.house.dialer.hosts["192.0.2.1"] = script
            talk = Talk(reception=self.house.reception).greet()
            talk.say("MAIL FROM:<>", "RCPT TO:<x@a.test> NOTIFY=SUCCESS,FAILURE,DELAY", "DATA", *CONTENT)
            self.house.run(1)
            self.assertEqual([address for address, _ in self.house.dialer.sent], ["192.0.2.1"])
            self.assertEqual(self.house.spool.entries, {})

    @does_not_hold(
        "3461",
        "5.2",
        "The postmaster is told when a message from the null path fails.",
        "The log has it; whoever tells the postmaster of such mail tells of spam all day.",
    )
    def test_postmaster(self):
        """Nobody is sent anything."""
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.house.submit("x@a.test", reverse_path="")
        self.house.run(1)
        self.assertEqual(len(self.house.dialer.sent), 1)
        self.assertEqual([type(notice).__name__ for notice in self.house.notices].count("Attempted"), 1)

    @holds("3461", "5.2.8", "A DSN about several recipients has nothing about those that are not to be reported.")
    def test_several(self):
        """One DSN, two of three in it."""
        self.house.dialer.hosts["192.0.2.1"] = refuses
        [content] = self.reports(("x@a.test", None), ("y@a.test", FAILURE), ("z@a.test", NEVER))
        self.assertEqual(content.count(b"Final-Recipient:"), 2)
        self.assertNotIn(b"z@a.test", content)


class ReportTests(PromiseCase):
    """Section 6."""

    def report(self, *recipients, content=b"Subject: x\r\n\r\nbody\r\n", **parameters):
        """Of a message that was refused."""
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.take(*(recipients or (("x@a.test", None),)), content=content, **parameters)
        self.house.run(1)
        return self.notifications()[-1]

    @holds("3461", "6.1", "A DSN goes out from the null path, to the reverse-path, with NOTIFY=NEVER or none.")
    def test_envelope(self):
        """So no host tells anybody about it."""
        self.report()
        [job] = [job for _, job in self.house.dialer.sent if job.message.envelope.reverse_path is None]
        self.assertEqual(job.message.envelope.recipients, (Recipient(mailbox("sender@from.test")),))

    @holds("3461", "6.2", "A DSN is multipart/report: words for people, fields for programs, and what comes back.")
    def test_form(self):
        """In this order."""
        message = message_from_bytes(self.report())
        self.assertEqual(message.get_content_type(), "multipart/report")
        kinds = [part.get_content_type() for part in message.get_payload()]
        self.assertEqual(kinds, ["text/plain", "message/delivery-status", "text/rfc822-headers"])

    @holds(
        "3461",
        "6.2",
        "RET=FULL brings the whole message back with a failure, if it is small; otherwise the header.",
    )
    def test_full(self):
        """A small one does, a large one does not."""
        self.assertIn(b"\r\nbody\r\n", self.report(returned=Returned.FULL))
        large = b"Subject: x\r\n\r\n" + b"body\r\n" * 10_000
        self.assertNotIn(b"\r\nbody\r\n", self.report(content=large, returned=Returned.FULL))

    @holds("3461", "6.2", "With RET=HDRS, and for delays and successes with any RET, only the header comes back.")
    def test_headers(self):
        """The body does not."""
        self.assertNotIn(b"\r\nbody\r\n", self.report(returned=Returned.HEADERS))
        self.make_house()
        self.house.dialer.hosts["192.0.2.1"] = defers
        self.take(("x@a.test", None), content=b"Subject: x\r\n\r\nbody\r\n", returned=Returned.FULL)
        self.house.run(6 * 3600)
        [content] = self.notifications()
        self.assertIn(b"Action: delayed", content)
        self.assertNotIn(b"\r\nbody\r\n", content)

    @holds(
        "3461", "6.3", "Original-Envelope-Id and Original-Recipient are there as given, and only if they were given."
    )
    def test_envelope_id(self):
        """As it was given."""
        self.assertIn(b"\r\nOriginal-Envelope-Id: a b+c\r\n", self.report(envelope_id="a b+c"))
        self.assertNotIn(b"Original-Envelope-Id", self.report())

    @holds(
        "3461", "6.3", "Original-Envelope-Id and Original-Recipient are there as given, and only if they were given."
    )
    def test_original(self):
        """Beside the address that failed."""
        self.house.dialer.hosts["192.0.2.1"] = refuses
        talk = Talk(reception=self.house.reception).greet()
        lines = (
            "MAIL FROM:<sender@from.test>",
            "RCPT TO:<x@a.test> ORCPT=rfc822;List+2B1@c.test",
            "RCPT TO:<y@a.test>",
        )
        talk.say(*lines, "DATA", *CONTENT)
        self.house.run(1)
        [content] = self.notifications()
        self.assertEqual(content.count(b"Original-Recipient:"), 1)
        fields = b"Original-Recipient: rfc822;List+1@c.test\r\nFinal-Recipient: rfc822; x@a.test\r\n"
        self.assertIn(fields, content)

    @holds_in_part(
        "3461",
        "6.3",
        "Remote-MTA and a Diagnostic-Code of the type smtp stand beside each recipient that we tried to relay to.",
        "Where a host was reached and said something; otherwise the code is of a type of ours, with our reason.",
    )
    def test_diagnostics(self):
        """What the host has said; what was wrong when there was none."""
        content = self.report()
        self.assertIn(b"Remote-MTA: dns; mx.test\r\nDiagnostic-Code: smtp; 550 5.1.1 no such user\r\n", content)
        self.make_house()
        self.house.mx("from.test", "192.0.2.2")
        self.take(("x@a.test", None))
        self.house.run(_WEEK)
        self.assertIn(b"Diagnostic-Code: X-Smtpgw; ", self.notifications()[-1])
