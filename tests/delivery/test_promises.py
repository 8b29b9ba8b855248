"""What a sender asked for: when it counts, and who hears of what."""

# mypy: no-check-untyped-defs

from random import Random

from msgspec import msgpack
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.lifecycle import LifeRules, apply, attention_at, expire, hold, release, retry_now
from smtpgw.delivery.promises import (
    TAKES_OVER,
    NextHop,
    deliver_by_at,
    hears_delay,
    hears_failure,
    hears_success,
    is_late,
    queued_entry,
    refusal,
    release_at,
    returns_at,
    warns_at,
)
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import NO_PARAMETERS, DeliverBy, MailParameters, Notify, Recipient, Returned
from smtpgw.model.message import Message, SlotState
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed, Scope
from smtpgw.model.reply import reply
from smtpgw.spool import records
from tests.clauses import holds
from tests.delivery.entries import RECEIVED_AT, queued

EXPIRE = 5 * 86400.0
RULES = LifeRules(RetrySchedule((300.0,), jitter=0.0))
RELAYED = Relayed(reply(250, "2.0.0", "Ok"), "mx.b.example", "192.0.2.7")
DELIVERED = Delivered("maildir")
GREYLISTED = Delayed("4.7.1", "greylisted", Scope.RECIPIENT, reply(451, "4.7.1", "later"), "mx.b.example", "192.0.2.7")
NEVER, SUCCESS, FAILURE, DELAY = Notify(), Notify(success=True), Notify(failure=True), Notify(delay=True)


def message_with(recipients=1, notify=None, **parameters):
    """A message whose MAIL had these."""
    message = queued(recipients).message
    envelope = message.envelope
    asked = tuple(Recipient(recipient.mailbox, notify) for recipient in envelope.recipients)
    envelope = replace(envelope, recipients=asked, parameters=MailParameters(**parameters))
    return replace(message, envelope=envelope)


def run(entry, slots, outcomes, after, next_hop=TAKES_OVER):
    """An attempt so many seconds after the message was received."""
    return apply(entry, slots, outcomes, RECEIVED_AT + after, RULES, Random(1), next_hop)


class ReleaseTests(SynchronousTestCase):
    """FUTURERELEASE (RFC 4865)."""

    @holds("4865", "4.1", "A message is not sent before the time that HOLDFOR or HOLDUNTIL gives.")
    def test_held(self):
        """It is due at its release, and its life counts from then."""
        for asked in ({"hold_seconds": 3600}, {"hold_until": RECEIVED_AT + 3600}):
            message = message_with(2, **asked)
            entry = queued_entry(message, EXPIRE)
            self.assertEqual(release_at(message), RECEIVED_AT + 3600)
            self.assertEqual([(slot.state, slot.due_at) for slot in entry.slots], [(0, RECEIVED_AT + 3600)] * 2)
            self.assertEqual(entry.expires_at, RECEIVED_AT + 3600 + EXPIRE)
            self.assertEqual(attention_at(entry, RULES), RECEIVED_AT + 3600 + 4 * 3600)

    def test_at_once(self):
        """Without it, and with a time that is over, at once."""
        for asked in ({}, {"hold_until": RECEIVED_AT - 3600}):
            entry = queued_entry(message_with(**asked), EXPIRE)
            self.assertEqual((entry.slots[0].due_at, entry.expires_at), (RECEIVED_AT, RECEIVED_AT + EXPIRE))

    def test_operator(self):
        """An operator's retry releases it."""
        step = retry_now(queued_entry(message_with(hold_seconds=3600), EXPIRE), (0,), RECEIVED_AT + 5)
        self.assertEqual((step.entry.slots[0].due_at, step.delayed), (RECEIVED_AT + 5, (0,)))

    def test_operator_holds_and_releases(self):
        """What an operator put aside and lets go again still waits for its own time; after that it is due at once."""
        entry = hold(queued_entry(message_with(hold_seconds=3600), EXPIRE), (0,)).entry
        for after, due_after in ((5, 3600), (4000, 4000), (3600 + 2 * EXPIRE, 3600 + 2 * EXPIRE)):
            step = release(entry, (0,), RECEIVED_AT + after)
            self.assertEqual((step.entry.slots[0].due_at, step.delayed), (RECEIVED_AT + due_after, (0,)))


class DeliverByTests(SynchronousTestCase):
    """DELIVERBY (RFC 2852)."""

    @holds("2852", "4.1", "In mode R a message that is not delivered in time fails with 5.4.7.")
    def test_returned(self):
        """Mode R: its last trouble is told as 5.4.7 when its time is up, not days later."""
        message = message_with(deliver_by=DeliverBy(600, returns=True))
        entry = queued_entry(message, EXPIRE)
        self.assertEqual((entry.expires_at, returns_at(message)), (RECEIVED_AT + 600, RECEIVED_AT + 600))
        self.assertEqual((is_late(message, RECEIVED_AT + 599), is_late(message, RECEIVED_AT + 600)), (False, True))
        self.assertEqual(attention_at(entry, RULES), RECEIVED_AT + 600)
        early = run(entry, (0,), (GREYLISTED,), 400)
        self.assertEqual((early.entry.slots[0].due_at, early.warned), (RECEIVED_AT + 600, ()))
        late = expire(early.entry, (0,), RECEIVED_AT + 600, None, RULES)
        last = late.entry.slots[0].last
        self.assertIsInstance(last, Failed)
        self.assertEqual((last.status, last.reply, last.expired), ("5.4.7", GREYLISTED.reply, True))
        untried = expire(entry, (0,), RECEIVED_AT + 600, None, RULES)
        self.assertEqual(untried.entry.slots[0].last.status, "5.4.7")
        self.assertEqual(run(entry, (0,), (GREYLISTED,), 700).entry.slots[0].last.status, "5.4.7")

    def test_whatever_its_expiry(self):
        """An entry whose expiry was set without regard to it is over at that time all the same."""
        entry = replace(queued(1), message=message_with(deliver_by=DeliverBy(600, returns=True)))
        step = expire(entry, (0,), RECEIVED_AT + 600, None, RULES)
        self.assertEqual((step.finished, step.entry.slots[0].last.status), (True, "5.4.7"))

    def test_longer_than_usual(self):
        """More time than any message has does not lengthen its life, and its end is then the usual one."""
        entry = queued_entry(message_with(deliver_by=DeliverBy(10 * 86400, returns=True)), EXPIRE)
        self.assertEqual(entry.expires_at, RECEIVED_AT + EXPIRE)
        self.assertEqual(run(entry, (0,), (GREYLISTED,), EXPIRE).entry.slots[0].last.status, "4.7.1")

    @holds("2852", "4.1", "In mode N the sender is told when a message is late, and it is delivered on.")
    def test_notified(self):
        """Mode N: the sender is told at that time instead of the usual one."""
        entry = queued_entry(message_with(deliver_by=DeliverBy(600, returns=False)), EXPIRE)
        self.assertEqual((entry.expires_at, attention_at(entry, RULES)), (RECEIVED_AT + EXPIRE, RECEIVED_AT + 600))
        self.assertEqual(run(entry, (0,), (GREYLISTED,), 599).warned, ())
        step = run(entry, (0,), (GREYLISTED,), 600)
        self.assertEqual((step.warned, step.entry.warned, step.delayed), ((0,), True, (0,)))
        self.assertEqual(attention_at(step.entry, RULES), RECEIVED_AT + EXPIRE)

    def test_late_already(self):
        """A time that was over when it came has been told of by others."""
        message = message_with(deliver_by=DeliverBy(-30, returns=False))
        self.assertEqual(warns_at(message, 14400.0), RECEIVED_AT + 14400)
        self.assertIsNone(warns_at(message, None))
        self.assertEqual(deliver_by_at(message), RECEIVED_AT - 30)


class NotifyTests(SynchronousTestCase):
    """NOTIFY (RFC 3461): who hears of what."""

    def test_wishes(self):
        """Nothing said: failures and delays; otherwise what was said."""
        for notify, failure, delay, success in (
            (None, True, True, False),
            (NEVER, False, False, False),
            (SUCCESS, False, False, True),
            (FAILURE, True, False, False),
            (DELAY, False, True, False),
        ):
            message = message_with(notify=notify)
            recipient = message.envelope.recipients[0]
            self.assertEqual((hears_failure(recipient), hears_delay(recipient)), (failure, delay), notify)
            self.assertEqual(hears_success(message.envelope, 0, DELIVERED, NextHop()), success, notify)

    @holds("3461", "5.2.2", "With NOTIFY=SUCCESS a host without DSN that takes a message has us send a relayed DSN.")
    def test_relayed(self):
        """A success of the next hop is told only if that will not tell itself."""
        envelope = message_with(notify=SUCCESS).envelope
        self.assertTrue(hears_success(envelope, 0, RELAYED, NextHop(dsn=False)))
        self.assertFalse(hears_success(envelope, 0, RELAYED, NextHop(dsn=True)))
        self.assertFalse(hears_success(message_with().envelope, 0, RELAYED, NextHop(dsn=False)))
        self.assertFalse(hears_success(envelope, 0, GREYLISTED, NextHop(dsn=False)))

    @holds(
        "2852", "4.1", "Where nobody keeps BY any further, or it is traced, the sender is told, unless it says NEVER."
    )
    def test_deliver_by(self):
        """Likewise of BY, with T always."""
        kept, lost = NextHop(), NextHop(deliver_by=False)
        for traces, next_hop, notify, expected in (
            (False, kept, None, False),
            (False, lost, None, True),
            (True, kept, None, True),
            (True, kept, FAILURE, True),
            (True, lost, NEVER, False),
        ):
            message = message_with(notify=notify, deliver_by=DeliverBy(600, returns=False, traces=traces))
            told = hears_success(message.envelope, 0, RELAYED, next_hop)
            self.assertEqual(told, expected, (traces, next_hop, notify))

    def test_steps(self):
        """A step names those that want to hear of it, and nobody else."""
        message = message_with(4)
        notify = (None, NEVER, SUCCESS, Notify(success=True, failure=True, delay=True))
        recipients = tuple(
            Recipient(one.mailbox, wish) for one, wish in zip(message.envelope.recipients, notify, strict=True)
        )
        message = replace(message, envelope=replace(message.envelope, recipients=recipients))
        entry = queued_entry(message, EXPIRE)
        everybody = (0, 1, 2, 3)
        failed = run(entry, everybody, (Failed("5.1.1", "unknown"),) * 4, 1)
        self.assertEqual(
            (failed.failed, failed.succeeded, failed.is_news, failed.is_success), ((0, 3), (), True, False)
        )
        done = run(entry, everybody, (DELIVERED,) * 4, 1)
        self.assertEqual((done.failed, done.succeeded, done.is_success, done.finished), ((), (2, 3), True, True))
        delayed = run(entry, everybody, (GREYLISTED,) * 4, 5 * 3600)
        self.assertEqual((delayed.warned, delayed.delayed, delayed.entry.warned), ((0, 3), everybody, True))
        quiet = run(entry, (1,), (Failed("5.1.1", "unknown"),), 1)
        self.assertFalse(quiet.is_news)

    def test_one(self):
        """The same for a message to one, the common case."""
        entry = queued_entry(message_with(notify=SUCCESS), EXPIRE)
        self.assertEqual(run(entry, (0,), (RELAYED,), 1, NextHop(dsn=False)).succeeded, (0,))
        self.assertEqual(run(entry, (0,), (RELAYED,), 1).succeeded, ())
        self.assertEqual(run(queued_entry(message_with(), EXPIRE), (0,), (DELIVERED,), 1).succeeded, ())


class RequireTlsTests(SynchronousTestCase):
    """REQUIRETLS (RFC 8689), before a host has said what it offers."""

    def test_refusal(self):
        """Hosts that only DNS without validation names are none to send to; notifications go to them nevertheless."""
        message = message_with(requires_tls=True)
        self.assertEqual(refusal(message, is_trusted=False).status, "5.7.10")
        self.assertIsNone(refusal(message, is_trusted=True))
        self.assertIsNone(refusal(message_with(), is_trusted=False))
        notification = replace(message, envelope=replace(message.envelope, reverse_path=None))
        self.assertIsNone(refusal(notification, is_trusted=False))


class LeftOverTests(SynchronousTestCase):
    """Recipients beyond the limit that a host has named."""

    def test_at_once(self):
        """They are due at once, and it was no attempt, whatever became of the others."""
        entry = queued(2)
        left = Delayed("4.5.3", "next transaction", Scope.RECIPIENT, None, "mx.b.example", "192.0.2.7")
        step = run(entry, (0, 1), (Failed("5.1.1", "unknown"), left), 7)
        self.assertEqual((step.entry.slots[1].due_at, step.entry.slots[1].attempts), (RECEIVED_AT + 7, 0))

    def test_not_by_others(self):
        """The same status from elsewhere, with nobody relayed, waits by the schedule: it would never end."""
        for outcome in (
            Delayed("4.5.3", "of a handler"),
            Delayed("4.5.3", "of a host", Scope.RECIPIENT, reply(452, "4.5.3", "too many"), "mx.b.example"),
        ):
            slot = run(queued(1), (0,), (outcome,), 7).entry.slots[0]
            self.assertEqual((slot.due_at, slot.attempts), (RECEIVED_AT + 307, 1))


class OldRecordTests(SynchronousTestCase):
    """What an earlier release has kept can be read."""

    OLD = msgpack.encode(
        [
            900_000_000_000_000_000,
            [["alice", "a.example"], [[["bob", "b.example"]], [["eve", "e.example"]]], "8BITMIME", True],
            ["192.0.2.1", "client.example", "ESMTPS", ["TLSv1.3", "AES", True], None, None, "tcp:2525", "s1"],
            RECEIVED_AT,
            b"Received: from client.example\r\n",
            1000,
        ]
    )
    """As it was written before there were parameters of MAIL and RCPT: the new fields are not there."""

    def test_defaults(self):
        """The sender had asked for nothing, and hears of failures and delays."""
        message = records.message_of(self.OLD)
        self.assertEqual(message.envelope.parameters, NO_PARAMETERS)
        self.assertEqual(message.envelope.recipients[1], Recipient(Mailbox("eve", "e.example")))
        self.assertEqual((message.client.session_id, message.client.port, message.client.mechanism), ("s1", 0, ""))
        self.assertEqual(queued_entry(message, EXPIRE).slots[0].state, SlotState.QUEUED)

    def test_new(self):
        """What is written now comes back as it was."""
        message = message_with(
            notify=Notify(success=True, delay=True),
            envelope_id="QQ 314",
            returned=Returned.FULL,
            requires_tls=True,
            deliver_by=DeliverBy(600, returns=True, traces=True),
            hold_seconds=60,
            hold_until=RECEIVED_AT + 60,
        )
        self.assertEqual(msgpack.decode(msgpack.encode(message), type=Message), message)
