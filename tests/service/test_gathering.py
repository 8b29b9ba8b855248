"""Steps of a message that are told together."""

# mypy: no-check-untyped-defs

from random import Random

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.lifecycle import LifeRules, apply
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.outcome import Delivered, Failed
from smtpgw.service.gathering import Gathering
from smtpgw.service.live import LiveEntry
from smtpgw.spool.bodies import InlineBody
from tests.delivery.entries import RECEIVED_AT, queued

RULES = LifeRules(RetrySchedule((300.0,)))
FAILED = Failed("5.1.1", "no such user")


class GatheringTests(SynchronousTestCase):
    """A message with three recipients."""

    def setUp(self):
        self.clock = Clock()
        self.clock.advance(RECEIVED_AT + 1)
        self.batches = []
        self.gathering = Gathering(self.clock, lambda live, batch: self.batches.append([step for step, _ in batch]))
        self.live = LiveEntry(queued(3), InlineBody(b""))

    def step(self, slot, outcome):
        """One recipient's outcome."""
        step = apply(self.live.entry, (slot,), (outcome,), self.clock.seconds(), RULES, Random(1))
        self.live.entry = step.entry
        self.gathering.add(self.live, step, lambda live, again: None)

    def sizes(self):
        """How many steps were let go together, each time."""
        return [len(batch) for batch in self.batches]

    def test_together(self):
        """Failures wait for the last recipient, and are let go with it."""
        self.step(0, FAILED)
        self.step(1, FAILED)
        self.assertEqual(self.sizes(), [])
        self.step(2, Delivered("test"))
        self.assertEqual(self.sizes(), [3])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_success_is_not_kept_back(self):
        """What went well is durable at once, whatever else is kept back."""
        self.step(0, FAILED)
        self.step(1, Delivered("test"))
        self.assertEqual(self.sizes(), [1])
        self.assertTrue(self.gathering.holds(self.live.entry.message.queue_id))

    def test_mixed(self):
        """A step with a success in it is durable at once, though another in it has failed: no message comes twice."""
        step = apply(self.live.entry, (0, 1), (FAILED, Delivered("test")), self.clock.seconds(), RULES, Random(1))
        self.gathering.add(self.live, step, lambda live, again: None)
        self.assertEqual(self.sizes(), [1])
        self.assertFalse(self.gathering.holds(self.live.entry.message.queue_id))

    def test_not_for_ever(self):
        """After some seconds a failure is told, whoever else is still under way."""
        self.step(0, FAILED)
        self.clock.advance(9)
        self.assertEqual(self.sizes(), [])
        self.clock.advance(2)
        self.assertEqual(self.sizes(), [1])
        self.assertFalse(self.gathering.holds(self.live.entry.message.queue_id))

    def test_flush(self):
        """Everything can be let go at once."""
        self.step(0, FAILED)
        self.gathering.flush()
        self.assertEqual(self.sizes(), [1])
        self.assertEqual(self.clock.getDelayedCalls(), [])
