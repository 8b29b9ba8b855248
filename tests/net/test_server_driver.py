"""Answers of the reception become replies, in order, and its trouble becomes 451."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from ipaddress import ip_network

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.notice import Rejected
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse
from tests.clauses import holds
from tests.net.server_rig import Rig
from tests.smtp.fakes import NO_RELAY, QUEUED

_ONE = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
_MESSAGE = _ONE + b"DATA\r\na\r\n.\r\n"


async def later(deferred):
    """A check that waits."""
    return await deferred


class AnswerTests(SynchronousTestCase):
    """Verdicts, at once or late."""

    def test_at_once(self):
        """One read, one write, no Deferred."""
        client = Rig().connect().greet()
        self.assertEqual([line[:3] for line in client.send(_MESSAGE).splitlines()], [b"250", b"250", b"354", b"250"])

    def test_late_in_every_place(self):
        """Deferreds and coroutines; what is pipelined behind them waits."""
        for wrap in (lambda deferred: deferred, later):
            rig = Rig()
            mail, rcpt = Deferred(), Deferred()
            rig.reception.on_mail = lambda _, d=mail, w=wrap: w(d)
            rig.reception.on_rcpt = lambda _, d=rcpt, w=wrap: w(d)
            rig.reception.is_late = True
            client = rig.connect().greet()
            self.assertEqual(client.send(_MESSAGE + b"NOOP\r\nQUIT\r\n"), b"")
            mail.callback(ACCEPT)
            self.assertEqual(client.said(), b"250 2.1.0 Ok\r\n")
            rcpt.callback(ACCEPT)
            self.assertEqual(client.said()[:22], b"250 2.1.5 Ok\r\n354 End ")
            rig.reception.intakes[0].done(QUEUED)
            self.assertEqual([line[:3] for line in client.said().splitlines()], [b"250", b"250", b"221"])
            self.assertTrue(client.transport.disconnecting)

    def test_already_there(self):
        """An awaitable with its answer in it costs no turn of the reactor."""
        rig = Rig()
        rig.reception.on_mail = lambda _: succeed(ACCEPT)
        rig.reception.on_rcpt = lambda _: later(succeed(NO_RELAY))
        client = rig.connect().greet()
        self.assertEqual(
            client.send(_ONE + b"NOOP\r\n"), b"250 2.1.0 Ok\r\n550 5.7.1 Relaying denied\r\n250 2.0.0 Ok\r\n"
        )

    def test_notes(self):
        """What the rules remark goes in with the message: each once, and none of the transaction before."""
        rig = Rig()
        late = Deferred()
        rig.reception.on_mail = lambda mail: late if mail.reverse_path.local == "late" else Accept(("mail",))
        rig.reception.on_rcpt = lambda recipient: Accept(("rcpt", recipient.mailbox.local))
        client = rig.connect().greet()
        client.send(b"MAIL FROM:<late@x>\r\nRCPT TO:<b@y>\r\nRCPT TO:<c@y>\r\nDATA\r\n")
        late.callback(Accept(("late",)))
        client.send(b".\r\n" + _MESSAGE)
        notes = [message.client.notes for message in rig.reception.messages]
        self.assertEqual(notes, [("late", "rcpt", "b", "c"), ("mail", "rcpt", "b")])

    def test_many_notes(self):
        """A thousand recipients make no thousand remarks."""
        rig = Rig(recipients=1000)
        rig.reception.on_rcpt = lambda recipient: Accept((recipient.mailbox.local,))
        client = rig.connect().greet()
        recipients = b"".join(b"RCPT TO:<r%d@y>\r\n" % number for number in range(1000))
        client.send(b"MAIL FROM:<a@x>\r\n" + recipients + b"DATA\r\n.\r\n")
        self.assertEqual(len(rig.reception.messages[0].client.notes), 20)

    def test_rset_behind_a_slow_recipient(self):
        """The recipient belongs to the transaction that RSET ends, not to the next one."""
        rig = Rig()
        slow = Deferred()
        rig.reception.on_rcpt = lambda recipient: slow if recipient.mailbox.local == "slow" else ACCEPT
        client = rig.connect().greet()
        client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<slow@y>\r\nRSET\r\n" + _MESSAGE)
        slow.callback(ACCEPT)
        recipients = rig.reception.messages[0].envelope.recipients
        self.assertEqual([str(recipient.mailbox) for recipient in recipients], ["b@y.example"])

    def test_thousands_of_late_answers(self):
        """A long pipeline of awaitables does not use up the stack."""
        rig = Rig(recipients=5000)
        rig.reception.on_rcpt = lambda _: succeed(ACCEPT)
        client = rig.connect().greet()
        said = client.send(b"MAIL FROM:<a@x>\r\n" + b"RCPT TO:<b@y>\r\n" * 3000)
        self.assertEqual(said.count(b"250 2.1.5 "), 3000)


class TroubleTests(SynchronousTestCase):
    """Whatever the reception raises is 451 4.3.0 for the client, and a failure in the log."""

    def check(self, rig, commands, stage_count=1):
        client = rig.connect().greet()
        said = client.send(commands)
        self.assertIn(b"451 4.3.0 ", said)
        self.assertNotIn(b"secret", said)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), stage_count)
        self.assertEqual(client.send(b"NOOP\r\n"), b"250 2.0.0 Ok\r\n")
        return said

    def raising(self, *_arguments):
        raise RuntimeError("secret")

    def test_raised(self):
        """At MAIL, RCPT and DATA."""
        for name in ("on_mail", "on_rcpt", "on_begin"):
            rig = Rig()
            setattr(rig.reception, name, self.raising)
            self.check(rig, _ONE + b"DATA\r\n" if name == "on_begin" else _ONE)

    def test_late(self):
        """In a coroutine or Deferred."""
        rig = Rig()
        rig.reception.on_mail = lambda _: fail(RuntimeError("secret"))
        self.check(rig, _ONE)
        rig = Rig()
        rig.reception.on_rcpt = lambda _: later(fail(RuntimeError("secret")))
        self.check(rig, _ONE)

    def test_no_verdict(self):
        """An answer that is none accepts nothing."""
        rig = Rig()
        rig.reception.on_rcpt = lambda _: succeed(None)
        client = rig.connect().greet()
        self.assertIn(b"451 4.3.0 ", client.send(_ONE))
        self.assertEqual(client.send(b"DATA\r\n")[:10], b"554 5.5.1 ")

    def test_write(self):
        """In the middle of content: the rest is read and dropped, then 451; the intake is abandoned."""
        for commands in (_MESSAGE, _ONE + b"DATA\r\n" + b"MAIL FROM:<evil@x>\r\n.\r\n"):
            rig = Rig()
            rig.reception.write_error = RuntimeError("secret")
            said = self.check(rig, commands)
            self.assertEqual(said.count(b"\r\n"), 4)
            self.assertTrue(rig.reception.intakes[0].is_abandoned)
        rig = Rig()
        rig.reception.write_error = RuntimeError("secret")
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\na\r\nb")
        self.assertEqual(client.send(b"QUIT\r\nRSET\r\n"), b"")
        self.assertEqual(client.send(b".\r\n")[:10], b"451 4.3.0 ")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_finish(self):
        """At the end of data: never 250."""
        rig = Rig()
        rig.reception.finish_error = RuntimeError("secret")
        said = self.check(rig, _MESSAGE)
        self.assertNotIn(b"queued", said)

    def test_abandon(self):
        """Trouble with forgetting is logged, and the connection still ends cleanly."""
        rig = Rig()
        client = rig.connect().greet()
        client.send(_ONE + b"DATA\r\na")
        rig.reception.intakes[0].abandon = self.raising
        client.lose()
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(rig.factory.connections, 0)

    def test_answered_twice(self):
        """A second answer to one message does not answer the next one."""
        rig = Rig()
        rig.reception.is_late = True
        client = rig.connect().greet()
        client.send(_MESSAGE)
        first = rig.reception.intakes[0].done
        first(QUEUED)
        client.send(_MESSAGE)
        first(QUEUED)
        self.assertEqual(client.said(), b"")
        rig.reception.intakes[1].done(reply(452, "4.3.1", "Full"))
        self.assertEqual(client.said(), b"452 4.3.1 Full\r\n")


class NoticeTests(SynchronousTestCase):
    """What was refused is told, with who and why."""

    def test_refusals(self):
        """By the reception and by the session, each once."""
        rig = Rig(message_size=10)
        why = Refuse(reply(550, "5.7.1", "No"), "relay_access", "not in relay.networks")
        rig.reception.on_rcpt = lambda recipient: why if recipient.mailbox.local == "no" else ACCEPT
        client = rig.connect().greet()
        client.send(
            b"MAIL FROM:<a@x>\r\nRCPT TO:<no@y>\r\nRCPT TO:<b@y>\r\nDATA\r\n01234567890\r\n.\r\nGET / HTTP/1.1\r\n"
        )
        rejected = [notice for notice in rig.notices if isinstance(notice, Rejected)]
        self.assertEqual(
            [(n.stage, n.subject, n.refuse.reply.code) for n in rejected],
            [("rcpt", "no@y", 550), ("content", "", 552), ("connect", "", 421)],
        )
        self.assertEqual(rejected[0].refuse, why)
        self.assertEqual(rejected[0].client.helo, "c.example")


class ClientTests(SynchronousTestCase):
    """What the reception is told about the client."""

    @holds("6531", "4.3", "The protocol of a transaction with SMTPUTF8 is UTF8SMTP.")
    def test_protocol_words(self):
        """SMTP after HELO, ESMTP after EHLO, UTF8SMTP with SMTPUTF8."""
        rig = Rig()
        client = rig.connect()
        client.send(b"HELO c\r\nMAIL FROM:<a@x>\r\nRSET\r\n")
        client.send(b"EHLO d\r\nMAIL FROM:<a@x>\r\nRSET\r\nMAIL FROM:<a@x> SMTPUTF8\r\nRSET\r\nMAIL FROM:<a@x>\r\n")
        self.assertEqual(
            [(c.helo, c.protocol) for c, _ in rig.reception.mails],
            [("c", "SMTP"), ("d", "ESMTP"), ("d", "UTF8SMTP"), ("d", "ESMTP")],
        )


class TarpitTests(SynchronousTestCase):
    """Refusals take their time, and cost nothing while they do."""

    def start(self, **settings):
        self.rig = Rig(tarpit_seconds=2, **settings)
        self.rig.reception.on_rcpt = lambda recipient: NO_RELAY if recipient.mailbox.local == "no" else ACCEPT
        return self.rig.connect().greet()

    def test_refused_recipient(self):
        """What was answered before goes out at once; the refusal waits, and what is behind it is not read."""
        client = self.start()
        self.assertEqual(client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<no@y>\r\nRCPT TO:<b@y>\r\n"), b"250 2.1.0 Ok\r\n")
        self.assertFalse(client.transport.is_reading)
        self.rig.clock.advance(1.9)
        self.assertEqual(client.said(), b"")
        self.rig.clock.advance(0.2)
        self.assertEqual([line[:3] for line in client.said().splitlines()], [b"550", b"250"])
        self.assertTrue(client.transport.is_reading)

    def test_growing(self):
        """The second one waits twice as long; bad commands count as well."""
        client = self.start()
        self.assertEqual(client.send(b"WHAT\r\n"), b"")
        self.rig.clock.advance(2)
        self.assertEqual(client.said()[:4], b"500 ")
        self.assertEqual(client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<no@y>\r\n")[:4], b"250 ")
        self.rig.clock.pump([1] * 3)
        self.assertEqual(client.said(), b"")
        self.rig.clock.advance(1)
        self.assertEqual(client.said()[:4], b"550 ")

    def test_late_refusal(self):
        """Also when the check takes its time."""
        slow = Deferred()
        client = self.start()
        self.rig.reception.on_mail = lambda _: slow
        client.send(b"MAIL FROM:<a@x>\r\n")
        slow.callback(NO_RELAY)
        self.assertEqual(client.said(), b"")
        self.rig.clock.advance(2)
        self.assertEqual(client.said()[:4], b"550 ")

    def test_no_deadline(self):
        """The client's time does not run, and its patience ends with the connection: no timer stays behind."""
        client = self.start(idle_timeout_seconds=1)
        client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<no@y>\r\n")
        self.rig.clock.pump([0.5] * 3)
        self.assertFalse(client.transport.disconnecting)
        client.lose()
        self.rig.clock.pump([1] * 3)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    def test_half_closed(self):
        """A client that has said all hears all."""
        client = self.start()
        client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<no@y>\r\nNOOP\r\n")
        client.protocol.readConnectionLost()
        self.assertFalse(client.transport.disconnecting)
        self.rig.clock.advance(2)
        self.assertEqual([line[:3] for line in client.said().splitlines()], [b"550", b"250"])
        self.assertTrue(client.transport.disconnecting)

    def test_trusted(self):
        """Clients that are known are not slowed down."""
        client = self.start(trusted_networks=(ip_network("192.0.2.0/24"),))
        self.assertIn(b"550 ", client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<no@y>\r\n"))
