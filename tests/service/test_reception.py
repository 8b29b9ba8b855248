"""Mail is acknowledged when it is kept, and refused with the right words when it can't be."""

# mypy: no-check-untyped-defs

from ipaddress import ip_network

from msgspec.structs import replace
from twisted.internet.testing import StringTransport
from twisted.mail.smtp import ESMTP, IMessageDelivery
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.checks.loop import Loop
from smtpgw.checks.recipients import Recipients
from smtpgw.checks.relay_access import RelayAccess
from smtpgw.model.address import Mailbox
from smtpgw.model.domains import LocalDomains
from smtpgw.model.envelope import Envelope, MailFrom, Recipient
from smtpgw.model.notice import Queued, Rejected
from smtpgw.model.outcome import Delivered
from smtpgw.model.queue_id import parse_queue_id
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse
from smtpgw.service.reception import ListenerReception
from tests.clauses import holds
from tests.service.house import CLIENT, House, mailbox

ENVELOPE = Envelope(mailbox("s@from.test"), (Recipient(mailbox("x@a.test")),))
FULL = SpoolTrouble(full=True, cause="no space on /secret/path")
BROKEN = SpoolTrouble(full=False, cause="I/O error on /secret/path")


class ResponsibilityTests(SynchronousTestCase):
    """250 means that the message would survive a crash."""

    def setUp(self):
        self.house = House()
        self.house.dispatch.pause()

    @holds("5321", "6.1", "The 250 to the end of data is not said before the spool has committed.")
    def test_acknowledged_after_the_commit(self):
        """Until the spool has committed the client hears nothing."""
        self.house.spool.hold_commits()
        replies = []
        intake = self.house.reception.begin(CLIENT, ENVELOPE, lambda: None)
        intake.write(b"Subject: x\r\n\r\nbody\r\n")
        intake.finish(replies.append)
        self.assertEqual(replies, [])
        self.house.spool.release()
        self.assertEqual(replies[0].code, 250)

    def test_the_reply_names_the_queue_id(self):
        """The reply is the contract's, and the id is that of the spool."""
        answer = self.house.submit("x@a.test")
        self.assertEqual((answer.code, answer.status), (250, "2.0.0"))
        [text] = answer.lines
        self.assertTrue(text.startswith("Ok: queued as "))
        self.assertEqual([parse_queue_id(text.split()[-1])], list(self.house.spool.entries))

    def test_content_and_envelope_are_kept(self):
        """What was handed in is what is kept, octet for octet, with our trace header beside it."""
        self.house.submit("x@a.test", "y@b.test", content=b"Subject: x\r\n\r\n.\r\n..\r\n")
        [(queue_id, entry)] = self.house.spool.entries.items()
        self.assertEqual(self.house.spool.contents[queue_id], b"Subject: x\r\n\r\n.\r\n..\r\n")
        self.assertEqual(len(entry.slots), 2)
        self.assertEqual(entry.message.client, CLIENT)
        self.assertTrue(entry.message.trace.startswith(b"Received: from client.test ([192.0.2.77])\r\n"))
        self.assertEqual(entry.expires_at, entry.message.received_at + 86400.0)

    def test_failing_disk_at_the_end(self):
        """A disk that fails at the end of data is 452 or 451; nothing is kept, and nothing of ours is told."""
        for trouble, code in ((FULL, 452), (BROKEN, 451)):
            self.house.spool.fail_next(trouble)
            answer = self.house.submit("x@a.test")
            self.assertEqual(answer.code, code)
            self.assertNotIn("secret", str(answer))
            self.assertEqual(self.house.spool.entries, {})
        self.assertEqual(self.house.submit("x@a.test").code, 250)

    def test_full_at_mail(self):
        """Without room MAIL is refused already."""
        self.house.spool.refusing = FULL
        verdict = self.house.reception.mail(CLIENT, MailFrom(None))
        self.assertEqual((verdict.reply.code, verdict.reply.status), (452, "4.3.1"))
        self.assertIsInstance(self.house.reception.begin(CLIENT, ENVELOPE, lambda: None), Refuse)

    def test_notes(self):
        """What rules have remarked is told once, and not kept with each message."""
        client = replace(CLIENT, notes=("relay_access: local domain",))
        intake = self.house.reception.begin(client, ENVELOPE, lambda: None)
        intake.write(b"Subject: x\r\n\r\nbody\r\n")
        intake.finish(lambda answer: None)
        [notice] = self.house.notices
        self.assertEqual(notice.notes, ("relay_access: local domain",))
        [entry] = self.house.spool.entries.values()
        self.assertEqual((entry.message.client, notice.entry), (CLIENT, entry))

    def test_abandoned(self):
        """A connection that is lost in the middle leaves nothing."""
        intake = self.house.reception.begin(CLIENT, ENVELOPE, lambda: None)
        intake.write(b"half")
        intake.abandon()
        self.assertEqual(self.house.spool.entries, {})
        self.assertEqual(self.house.notices, [])

    def test_queued_is_told(self):
        """Each kept message is one notice."""
        self.house.submit("x@a.test")
        self.assertEqual([type(notice) for notice in self.house.notices], [Queued])

    def test_back_pressure(self):
        """When the spool wants a pause the server is told."""
        self.house.spool.pause_drafts()
        resumed = []
        intake = self.house.reception.begin(CLIENT, ENVELOPE, lambda: resumed.append(True))
        self.assertFalse(intake.write(b"Subject: x\r\n"))
        self.house.spool.resume_drafts()
        self.assertEqual(resumed, [True])


class ContentTests(SynchronousTestCase):
    """What is found in the content."""

    def setUp(self):
        self.house = House()
        self.house.dispatch.pause()

    def test_header_too_large(self):
        """A header section over the limit is refused, and nothing is kept."""
        content = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 900) for n in range(100)) + b"\r\nbody\r\n"
        answer = self.house.submit("x@a.test", content=content)
        self.assertEqual((answer.code, answer.status), (552, "5.3.4"))
        self.assertEqual(self.house.spool.entries, {})

    @holds("6531", "3.2", "SMTPUTF8 that a message was given needlessly keeps it from no host.")
    def test_smtputf8(self):
        """It stays when the header, with our trace, is not ASCII; of addresses each counts where it is sent."""
        sender, local, domain = mailbox("s@from.test"), mailbox("ü@a.test"), mailbox("u@ü.test")
        for smtputf8, header, path, recipients, expected in (
            (False, "Subject: ü", sender, (sender,), False),
            (True, "Subject: ü", sender, (sender,), True),
            (True, "Subject: x", sender, (sender,), False),
            (True, "Subject: x", sender, (local,), True),
            (True, "Subject: x", local, (sender, local, domain), False),
        ):
            asked = Envelope(path, tuple(map(Recipient, recipients)), smtputf8=smtputf8)
            intake = self.house.reception.begin(CLIENT, asked, lambda: None)
            intake.write(f"{header}\r\n\r\nbödy\r\n".encode())
            intake.finish(lambda answer: None)
            envelope = self.house.notices[-1].entry.message.envelope
            self.assertEqual(envelope, replace(asked, smtputf8=expected), header)

    def test_header_without_body(self):
        """Content that is nothing but a header is complete."""
        self.assertEqual(self.house.submit("x@a.test", content=b"Subject: x\r\n").code, 250)

    def test_loop(self):
        """A message that has been everywhere is refused."""
        self.house.reception = self.house.make_reception(content_checks=[Loop(5)])
        hop = b"Received: from a by b; Fri, 20 Nov 2026 12:00:00 +0000\r\n"
        self.assertEqual(self.house.submit("x@a.test", content=hop * 5 + b"\r\nbody\r\n").code, 250)
        answer = self.house.submit("x@a.test", content=hop * 6 + b"\r\nbody\r\n")
        self.assertEqual((answer.code, answer.status), (554, "5.4.6"))
        self.assertIsInstance(self.house.notices[-1], Rejected)

    def test_slow_check(self):
        """A content check that waits is waited for."""

        class Slow:
            name = "slow"

            async def check_content(self, client, envelope, header):
                return Refuse(reply(550, "5.7.1", "no"), "slow")

        self.house.reception = self.house.make_reception(content_checks=[Slow()])
        self.assertEqual(self.house.submit("x@a.test").code, 550)

    def test_broken_check(self):
        """A content check that fails is our trouble, not the sender's."""

        class Broken:
            name = "broken"

            async def check_content(self, client, envelope, header):
                raise RuntimeError("oops")

        self.house.reception = self.house.make_reception(content_checks=[Broken()])
        self.assertEqual(self.house.submit("x@a.test").code, 451)
        self.assertEqual(self.house.spool.entries, {})
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class EnvelopeTests(SynchronousTestCase):
    """Who may send where."""

    def test_never_an_open_relay(self):
        """A stranger reaches our recipients and nobody else."""
        house = House(local=["here.test"])
        reception = house.make_reception([RelayAccess(house.domains, ()), Recipients(house.domains)])
        mail = MailFrom(mailbox("s@from.test"))
        answers = {
            address: reception.rcpt(CLIENT, mail, Recipient(mailbox(address)))
            for address in ("alice@here.test", "nobody@here.test", "x@a.test", "x%a.test@here.test")
        }
        self.assertEqual(
            [getattr(getattr(v, "reply", None), "code", 250) for v in answers.values()], [250, 550, 550, 550]
        )
        self.assertEqual(answers["x@a.test"].reply.status, "5.7.1")
        self.assertEqual(answers["nobody@here.test"].reply.status, "5.1.1")

    def test_postmaster_without_a_domain(self):
        """<postmaster> is the postmaster of our first domain; a gateway without domains has none."""
        house = House(local=["here.test"])
        house.dispatch.pause()
        checks = [RelayAccess(house.domains, ()), Recipients(house.domains)]
        house.reception = ListenerReception(house.counter, (), checks, (), "here.test")
        house.submit("postmaster@", "alice@here.test")
        [entry] = house.spool.entries.values()
        self.assertEqual(
            [str(r.mailbox) for r in entry.message.envelope.recipients], ["postmaster@here.test", "alice@here.test"]
        )
        nobody = RelayAccess(LocalDomains(), (ip_network("192.0.2.0/24"),))
        self.assertEqual(
            nobody.check_rcpt(CLIENT, MailFrom(None), Recipient(Mailbox("postmaster", ""))).reply.code, 550
        )

    def test_no_checks_accept(self):
        """Without checks everything is accepted: the checks decide, nothing else."""
        house = House()
        self.assertEqual(house.reception.rcpt(CLIENT, MailFrom(None), Recipient(mailbox("x@a.test"))), ACCEPT)


class StockServerTests(SynchronousTestCase):
    """Our delivery serves Twisted's own server, too."""

    def serve(self, reception):
        """A stock server over a transport in memory; a function that talks to it."""
        server = ESMTP()
        server.delivery = reception
        server.timeout = None
        transport = StringTransport()
        server.makeConnection(transport)

        def say(*lines):
            transport.clear()
            for line in lines:
                server.dataReceived(line + b"\r\n")
            return transport.value().splitlines()

        return say

    def test_interface(self):
        """It is a complete IMessageDelivery."""
        verifyObject(IMessageDelivery, House().reception)

    def test_mail_is_kept(self):
        """A message through a stock server is in the spool when the server says 250."""

        class Sink:
            async def deliver(self, message, recipients, body):
                return (Delivered("test"),) * len(recipients)

        house = House(local=["here.test"], sinks={"domain here.test": Sink()})
        house.dispatch.pause()
        say = self.serve(house.make_reception([RelayAccess(house.domains, ())]))
        say(b"EHLO client.test")
        self.assertIn(b"250", say(b"MAIL FROM:<s@from.test>")[0])
        self.assertIn(b"250", say(b"RCPT TO:<alice@here.test>")[0])
        self.assertEqual(say(b"RCPT TO:<x@a.test>"), [b"550 5.7.1 Relay access denied"])
        self.assertIn(b"354", say(b"DATA")[0])
        self.assertIn(b"250", say(b"Subject: x", b"", b"..stuffed", b".")[0])
        [content] = house.spool.contents.values()
        self.assertTrue(content.endswith(b"Subject: x\r\n\r\n.stuffed\r\n"))

    def test_full(self):
        """A full disk is not a permanent failure there either, at MAIL."""
        house = House()
        house.spool.refusing = FULL
        say = self.serve(house.reception)
        say(b"EHLO client.test")
        self.assertTrue(say(b"MAIL FROM:<s@from.test>")[0].startswith(b"452"))
