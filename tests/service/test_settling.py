"""A result that the disk did not take is kept until it does."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import Remove, SpoolTrouble
from smtpgw.service.settling import Settling
from smtpgw.spool.memory import MemorySpool
from tests.delivery.entries import queued


class SettlingTests(SynchronousTestCase):
    """Results and a failing disk."""

    def setUp(self):
        self.clock = Clock()
        self.spool = MemorySpool()
        self.settling = Settling(self.spool, self.clock)
        self.done = []
        entry = queued(1)
        self.queue_id = entry.message.queue_id
        self.spool.entries[self.queue_id] = entry
        self.spool.contents[self.queue_id] = b""

    def settle(self, name):
        """One result."""
        self.settling.settle([Remove(self.queue_id)], lambda: self.done.append(name))

    def test_settled(self):
        """Usually at once."""
        self.settle("a")
        self.assertEqual((self.done, self.spool.entries), (["a"], {}))

    def test_tried_again(self):
        """After trouble the result is tried again until the disk takes it, and told once."""
        self.spool.fail_next(SpoolTrouble(full=True, cause="full"), 2)
        self.settle("a")
        self.assertEqual((self.done, self.settling.stuck), ([], 1))
        self.clock.advance(5)
        self.assertEqual(self.done, [])
        self.clock.advance(5)
        self.assertEqual((self.done, self.settling.stuck), (["a"], 0))
        self.flushLoggedErrors()

    def test_order(self):
        """Results that come meanwhile wait behind it."""
        self.spool.fail_next(SpoolTrouble(full=True, cause="full"))
        self.settle("a")
        self.settle("b")
        self.assertEqual(self.done, [])
        self.clock.advance(5)
        self.assertEqual(self.done, ["a", "b"])
        self.flushLoggedErrors()
