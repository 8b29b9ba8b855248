"""Tests for the life of a message."""

from collections.abc import Callable
from itertools import product
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import Remove, Update
from smtpgw.delivery.lifecycle import (
    LifeRules,
    Step,
    apply,
    attention_at,
    drop,
    expire,
    hold,
    likely_attention_at,
    release,
    retry_now,
)
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.message import Slot, SlotState
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed, Scope
from smtpgw.model.reply import reply
from tests.delivery.entries import EXPIRES_AT, QUEUE_ID, RECEIVED_AT, queued

QUEUED, HELD, DONE = SlotState
RULES = LifeRules(RetrySchedule((300.0, 600.0), jitter=0.0))
NOW = RECEIVED_AT + 10.0
LATE = EXPIRES_AT + 1.0
WARN_AT = RECEIVED_AT + 4 * 3600

RELAYED = Relayed(reply(250, "2.0.0", "Ok"), "mx.b.example", "192.0.2.7")
DELIVERED = Delivered("maildir")


def delayed(scope=Scope.RECIPIENT, retry_after_seconds=None):
    """A peer's 450."""
    said = reply(450, "4.2.0", "Greylisted")
    return Delayed("4.2.0", "greylisted", scope, said, "mx.b.example", "192.0.2.7", retry_after_seconds)


def failed(scope=Scope.RECIPIENT):
    """A peer's 550."""
    return Failed("5.1.1", "unknown user", scope, reply(550, "5.1.1", "Unknown"), "mx.b.example", "192.0.2.7")


OUTCOMES = (RELAYED, DELIVERED, *map(delayed, Scope), *map(failed, Scope))


def run(entry, slots, outcomes, now=NOW, rules=RULES):
    """One attempt's results."""
    return apply(entry, slots, outcomes, now, rules, Random(1))


class OneRecipientTests(SynchronousTestCase):
    """What each outcome means for a message to one."""

    def test_relayed(self):
        """Relayed or delivered: the message leaves the spool, and nobody is told anything."""
        for outcome in (RELAYED, DELIVERED):
            step = run(queued(1), (0,), (outcome,))
            done = replace(queued(1), slots=(Slot(DONE, NOW, 1, outcome),))
            self.assertEqual(step, Step(done, (Remove(QUEUE_ID),), finished=True, is_success=True))

    def test_failed(self):
        """Failed: it leaves the spool, and the sender is to be told."""
        for scope in Scope:
            step = run(queued(1), (0,), (failed(scope),))
            done = replace(queued(1), slots=(Slot(DONE, NOW, 1, failed(scope)),))
            self.assertEqual(step, Step(done, (Remove(QUEUE_ID),), failed=(0,), finished=True))

    def test_delayed(self):
        """Delayed: it stays, is counted, and is due by the schedule."""
        step = run(queued(1), (0,), (delayed(),))
        slot = Slot(QUEUED, NOW + 300.0, 1, delayed())
        self.assertEqual(step, Step(replace(queued(1), slots=(slot,)), (Update(QUEUE_ID, ((0, slot),)),), delayed=(0,)))
        again = run(step.entry, (0,), (delayed(),), NOW + 300.0)
        self.assertEqual(again.entry.slots, (Slot(QUEUED, NOW + 900.0, 2, delayed()),))

    def test_host(self):
        """A host's trouble is no attempt of the recipient."""
        step = run(queued(1), (0,), (delayed(Scope.HOST),))
        self.assertEqual(step.entry.slots, (Slot(QUEUED, NOW, 0, delayed(Scope.HOST)),))

    def test_stated_wait(self):
        """A wait that was asked for is kept, but not beyond the expiry; nonsense leaves it to the schedule."""
        nan = float("nan")
        waits = {
            42.0: NOW + 42.0,
            0.0: NOW,
            1e12: EXPIRES_AT,
            float("inf"): EXPIRES_AT,
            -5.0: NOW + 300.0,
            nan: NOW + 300.0,
        }
        for wait, due_at in waits.items():
            step = run(queued(1), (0,), (delayed(retry_after_seconds=wait),))
            self.assertEqual(step.entry.slots[0].due_at, due_at, wait)

    def test_last_attempt(self):
        """The last attempt is made at the end of the time, not a whole wait before it."""
        step = run(queued(1), (0,), (delayed(),), EXPIRES_AT - 5.0)
        self.assertEqual(step.entry.slots[0].due_at, EXPIRES_AT)
        self.assertTrue(run(step.entry, (0,), (delayed(),), EXPIRES_AT).finished)

    def test_expired(self):
        """After the time is up a delay is a failure that keeps what the peer said and its 4.x.x."""
        for scope in Scope:
            step = run(queued(1), (0,), (delayed(scope),), LATE)
            last = step.entry.slots[0].last
            self.assertEqual(
                last,
                Failed("4.2.0", "greylisted", scope, delayed().reply, "mx.b.example", "192.0.2.7", expired=True),
            )
            self.assertEqual((step.failed, step.finished), ((0,), True))

    def test_late_success(self):
        """Success after the time is up is still success."""
        self.assertEqual(run(queued(1), (0,), (RELAYED,), LATE).failed, ())

    def test_wrong_count(self):
        """As many outcomes as recipients, or it is our own mistake and shows."""
        with self.assertRaises(ValueError):
            run(queued(1), (0,), ())
        with self.assertRaises(ValueError):
            run(queued(2), (0,), (RELAYED, RELAYED))


class TableTests(SynchronousTestCase):
    """Every outcome in every state, before and after the time is up."""

    def expected(self, state, outcome, now):
        """State, attempts and last outcome of a slot that was tried once before."""
        if state is DONE:
            return (DONE, 1, RELAYED)
        counted = 2 - (isinstance(outcome, Delayed) and outcome.scope is Scope.HOST)
        if not isinstance(outcome, Delayed):
            return (DONE, 2, outcome)
        if state is QUEUED and now >= EXPIRES_AT:
            last = Failed(
                outcome.status,
                outcome.reason,
                outcome.scope,
                outcome.reply,
                outcome.host,
                outcome.address,
                expired=True,
            )
            return (DONE, counted, last)
        return (state, counted, outcome)

    def test_table(self):
        """Done stays done; held stays held unless it is final; nothing else changes at all."""
        for state, outcome, now in product(SlotState, OUTCOMES, (NOW, LATE)):
            last = RELAYED if state is DONE else delayed()
            slot = Slot(state, NOW - 5, 1, last)
            bystander = Slot(QUEUED, NOW + 77, 3, delayed())
            entry = replace(queued(2), slots=(slot, bystander))
            step = run(entry, (0,), (outcome,), now)
            after = step.entry.slots[0]
            with self.subTest(state=state, outcome=outcome, now=now):
                self.assertEqual((after.state, after.attempts, after.last), self.expected(state, outcome, now))
                self.assertEqual(step.entry.slots[1], bystander)
                self.assertFalse(step.finished)
                self.assertEqual(step.failed, (0,) if isinstance(after.last, Failed) and state is not DONE else ())
                self.assertEqual(step.delayed, (0,) if after.state is QUEUED else ())
                if state is DONE:
                    self.assertEqual(step, Step(entry))
                else:
                    self.assertEqual(step.changes[0].slots, ((0, after),))

    def test_operator(self):
        """Hold, release, retry and drop in every state."""
        table: dict[tuple[Callable[..., Step], SlotState], tuple[SlotState, float]] = {
            (hold, QUEUED): (HELD, NOW + 50),
            (hold, HELD): (HELD, NOW + 50),
            (hold, DONE): (DONE, NOW + 50),
            (release, QUEUED): (QUEUED, NOW + 50),
            (release, HELD): (QUEUED, NOW),
            (release, DONE): (DONE, NOW + 50),
            (retry_now, QUEUED): (QUEUED, NOW),
            (retry_now, HELD): (HELD, NOW + 50),
            (retry_now, DONE): (DONE, NOW + 50),
            (drop, QUEUED): (DONE, NOW),
            (drop, HELD): (DONE, NOW),
            (drop, DONE): (DONE, NOW + 50),
        }
        for (function, state), (after, due_at) in table.items():
            slot = Slot(state, NOW + 50, 2, delayed())
            bystander = Slot(QUEUED, NOW + 77)
            entry = replace(queued(2), slots=(slot, bystander))
            step = function(entry, (0,)) if function is hold else function(entry, (0,), NOW)
            with self.subTest(function=function.__name__, state=state):
                now_is = step.entry.slots[0]
                self.assertEqual((now_is.state, now_is.due_at, now_is.attempts), (after, due_at, 2))
                self.assertEqual(step.entry.slots[1], bystander)
                self.assertEqual(step.failed + step.warned, ())
                self.assertEqual(bool(step.changes), now_is != slot)
                self.assertEqual(step.delayed, (0,) if now_is != slot and after is QUEUED else ())

    def test_drop_last(self):
        """When the last recipient is dropped the message leaves the spool, and nobody is told."""
        step = drop(queued(2), (0, 1), NOW)
        self.assertEqual((step.changes, step.failed, step.finished), ((Remove(QUEUE_ID),), (), True))


class ManyRecipientsTests(SynchronousTestCase):
    """One recipient's trouble never touches another."""

    def test_mixed(self):
        """Each gets its own outcome in one change; the message stays for those who wait."""
        step = run(queued(4), (0, 1, 3), (RELAYED, failed(), delayed()))
        states = [slot.state for slot in step.entry.slots]
        self.assertEqual(states, [DONE, DONE, QUEUED, QUEUED])
        self.assertEqual((step.failed, step.delayed, step.finished), ((1,), (3,), False))
        slots = step.entry.slots
        self.assertEqual(step.changes, (Update(QUEUE_ID, ((0, slots[0]), (1, slots[1]), (3, slots[3]))),))

    def test_last_one(self):
        """The message leaves when the last one is done."""
        step = run(queued(2), (1,), (RELAYED,))
        self.assertFalse(step.finished)
        self.assertEqual(run(step.entry, (0,), (failed(),)).changes, (Remove(QUEUE_ID),))

    def test_nobody(self):
        """An attempt for nobody changes nothing."""
        self.assertEqual(run(queued(2), (), ()), Step(queued(2)))


class WarningTests(SynchronousTestCase):
    """The sender is told of a delay once."""

    def test_once(self):
        """With the first delay after the warning time, for all who wait, and never again."""
        entry = hold(queued(4), (2,)).entry
        early = run(entry, (0,), (delayed(),), WARN_AT - 1)
        self.assertEqual((early.warned, early.entry.warned), ((), False))
        entry = run(early.entry, (3,), (RELAYED,)).entry
        step = run(entry, (0,), (delayed(),), WARN_AT)
        self.assertEqual((step.warned, step.entry.warned), ((0, 1), True))
        self.assertIs(step.changes[0].warned, True)
        again = run(step.entry, (0,), (delayed(),), WARN_AT + 9999)
        self.assertEqual((again.warned, again.entry.warned, again.changes[0].warned), ((), True, None))

    def test_never(self):
        """Not at all if that is configured, nor with what is done."""
        rules = LifeRules(RULES.schedule, warn_seconds=None)
        self.assertEqual(run(queued(1), (0,), (delayed(),), WARN_AT + 9, rules).warned, ())
        self.assertEqual(run(queued(2), (0,), (failed(),), WARN_AT + 9).warned, ())

    def test_site_down(self):
        """Also when nothing was tried because the hosts are down: then the trouble is told, and no attempt counted."""
        step = expire(queued(1), (0,), WARN_AT, delayed(Scope.HOST), RULES)
        self.assertEqual(step.entry.slots, (Slot(QUEUED, WARN_AT, 0, delayed(Scope.HOST)),))
        self.assertEqual((step.warned, step.failed, step.delayed, step.finished), ((0,), (), (0,), False))

    def test_attention(self):
        """What waits without attempts is looked at when a warning is due, then when it expires."""
        mute = LifeRules(RULES.schedule, warn_seconds=None)
        entry = queued(1)
        for is_warned, rules, expected in (
            (False, RULES, WARN_AT),
            (True, RULES, EXPIRES_AT),
            (False, mute, EXPIRES_AT),
            (False, LifeRules(RULES.schedule, warn_seconds=6 * 86400.0), EXPIRES_AT),
        ):
            self.assertEqual(attention_at(replace(entry, warned=is_warned), rules), expected)
            self.assertEqual(likely_attention_at(EXPIRES_AT, is_warned, rules), expected)


class ExpiryTests(SynchronousTestCase):
    """A message that can't be tried does not wait for ever."""

    def failed_with(self, step: Step) -> Failed:
        """The last outcome of the first recipient."""
        last = step.entry.slots[0].last
        assert isinstance(last, Failed)
        return last

    def test_untried(self):
        """Without any attempt the trouble of the site is the reason."""
        step = expire(queued(1), (0,), EXPIRES_AT, delayed(Scope.HOST), RULES)
        last = self.failed_with(step)
        self.assertEqual((last.status, last.expired, last.reason), ("4.2.0", True, "greylisted"))
        self.assertEqual((step.failed, step.finished, step.entry.slots[0].attempts), ((0,), True, 0))

    def test_unknown(self):
        """With no trouble known at all the time itself is."""
        step = expire(queued(1), (0,), EXPIRES_AT, None, RULES)
        self.assertEqual(self.failed_with(step).status, "4.4.7")

    def test_known_before(self):
        """Without a new trouble the last one is told."""
        entry = run(queued(1), (0,), (delayed(),)).entry
        self.assertEqual(self.failed_with(expire(entry, (0,), EXPIRES_AT, None, RULES)).reply, delayed().reply)

    def test_held(self):
        """What an operator holds does not expire."""
        entry = hold(queued(1), (0,)).entry
        self.assertEqual(expire(entry, (0,), LATE, None, RULES), Step(entry))

    def test_done(self):
        """What is done stays as it is."""
        entry = run(queued(2), (0,), (RELAYED,)).entry
        self.assertEqual(expire(entry, (0,), LATE, None, RULES), Step(entry))


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(("apply", "expire", "hold", "release", "retry", "drop")),
        st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True),
        st.lists(st.sampled_from(OUTCOMES), min_size=4, max_size=4),
        st.floats(0, 2 * 86400),
    ),
    max_size=30,
)


class WholeLifeTests(SynchronousTestCase):
    """Whatever happens in whatever order."""

    @given(EVENTS)
    @settings(max_examples=300, deadline=None)
    def test_one_final_outcome(self, events):
        """Every recipient ends in exactly one final outcome; no attempt is lost; bystanders are never touched."""
        entry = queued(4)
        spool = entry  # what the changes alone make of it
        now = RECEIVED_AT
        final = {}
        told: set[int] = set()
        attempts = [0] * 4
        warnings = 0
        finished = False
        for name, slots, outcomes, seconds in events:
            now += seconds
            before = entry
            if name == "apply":
                for slot, outcome in zip(slots, outcomes, strict=False):
                    is_host = isinstance(outcome, Delayed) and outcome.scope is Scope.HOST
                    attempts[slot] += slot not in final and not is_host
                step = apply(entry, slots, outcomes[: len(slots)], now, RULES, Random(1))
            elif name == "expire":
                step = expire(entry, slots, now, delayed(Scope.HOST), RULES)
            elif name == "hold":
                step = hold(entry, slots)
            else:
                step = {"release": release, "retry": retry_now, "drop": drop}[name](entry, slots, now)
            entry = step.entry

            for change in step.changes:
                if isinstance(change, Update):
                    for index, slot in change.slots:
                        spool = replace(spool, slots=(*spool.slots[:index], slot, *spool.slots[index + 1 :]))
                    if change.warned is not None:
                        spool = replace(spool, warned=change.warned)
                else:
                    self.assertTrue(step.finished)
            if not step.finished:
                self.assertEqual(spool, entry)
            for index, (old, new) in enumerate(zip(before.slots, entry.slots, strict=True)):
                if index not in slots:
                    self.assertIs(old, new)
                if index in final:
                    self.assertIs(old, new)
                elif new.state is DONE:
                    final[index] = new.last
                    self.assertNotIsInstance(new.last, (Delayed, type(None)))
                    self.assertEqual(index in step.failed, isinstance(new.last, Failed) and name != "drop")
                else:
                    self.assertLessEqual(new.due_at, max(EXPIRES_AT, now))
            self.assertFalse(told.intersection(step.failed))
            told.update(step.failed)
            warnings += bool(step.warned)
            self.assertEqual(step.finished, len(final) == 4)
            self.assertEqual(step.changes.count(Remove(QUEUE_ID)), step.finished and not finished)
            finished = step.finished
        self.assertEqual([slot.attempts for slot in entry.slots], attempts)
        self.assertLessEqual(warnings, 1)

    @given(st.lists(st.sampled_from([delayed(scope) for scope in Scope]), min_size=1), st.floats(1, 86400))
    @settings(max_examples=100, deadline=None)
    def test_ends(self, troubles, step_seconds):
        """However long the trouble lasts, a message is done at the latest when its time is up."""
        entry = queued(1)
        now = RECEIVED_AT
        number = 0
        while not (step := run(entry, (0,), (troubles[number % len(troubles)],), now)).finished:
            entry = step.entry
            number += 1
            now = max(entry.slots[0].due_at, now + step_seconds * 10)
            self.assertLess(now, EXPIRES_AT + 11 * 86400)
        self.assertGreaterEqual(now, EXPIRES_AT)
