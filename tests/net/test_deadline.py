"""Tests for work that is begun, and for waiting that ends."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.deadline import ReactorTasks


async def value_of(waiting):
    """Its value, by a coroutine."""
    return await waiting


class TimedTests(SynchronousTestCase):
    """Nobody waits for longer than he said."""

    def setUp(self):
        self.clock = Clock()
        self.tasks = ReactorTasks(self.clock)

    def test_in_time(self):
        """An answer in time is the answer, and no timer is left."""
        waiting = Deferred()
        timed = self.tasks.timed(value_of(waiting), 5)
        self.clock.advance(4.9)
        self.assertNoResult(timed)
        waiting.callback("here")
        self.assertEqual(self.successResultOf(timed), "here")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_late(self):
        """After the time it is a TimeoutError, and the work is cancelled."""
        cancelled = []
        for wrap in (value_of, lambda waiting: waiting, lambda waiting: self.tasks.begin(value_of(waiting))):
            timed = self.tasks.timed(wrap(Deferred(cancelled.append)), 5)
            self.clock.advance(5)
            self.failureResultOf(timed, TimeoutError)
        # A task is shared: one who is tired of waiting takes it from nobody.
        self.assertEqual(len(cancelled), 2)

    def test_at_once(self):
        """What is there costs no timer."""
        self.assertEqual(self.successResultOf(self.tasks.timed(value_of(succeed(3)), 5)), 3)
        self.assertEqual(self.successResultOf(self.tasks.timed(succeed(3), 5)), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_failure(self):
        """What the work raises comes out."""

        async def broken():
            raise KeyError("x")

        self.failureResultOf(self.tasks.timed(broken(), 5), KeyError)

    def test_cancelled(self):
        """One who goes away takes work and timer with him."""
        cancelled = []
        timed = self.tasks.timed(value_of(Deferred(cancelled.append)), 5)
        timed.cancel()
        self.failureResultOf(timed, CancelledError)
        self.assertEqual(len(cancelled), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class TaskTests(SynchronousTestCase):
    """Work that many may wait for."""

    def setUp(self):
        self.tasks = ReactorTasks(Clock())

    def wait(self, task):
        """Somebody who waits."""
        return Deferred.fromCoroutine(value_of(task))

    def test_shared(self):
        """All who wait get the result, also those who come later."""
        waiting = Deferred()
        task = self.tasks.begin(value_of(waiting))
        first, second = self.wait(task), self.wait(task)
        waiting.callback("here")
        for one in (first, second, self.wait(task)):
            self.assertEqual(self.successResultOf(one), "here")

    def test_one_leaves(self):
        """One who goes away leaves it to the others."""
        waiting = Deferred()
        task = self.tasks.begin(value_of(waiting))
        first, second = self.wait(task), self.wait(task)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        waiting.callback("here")
        self.assertEqual(self.successResultOf(second), "here")

    def test_failure(self):
        """What it raises, everybody gets; nothing is logged then."""
        waiting = Deferred()
        task = self.tasks.begin(value_of(waiting))
        first, second = self.wait(task), self.wait(task)
        waiting.errback(KeyError("x"))
        for one in (first, second, self.wait(task)):
            self.failureResultOf(one, KeyError)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_unheard_failure(self):
        """What it raises while nobody waits is logged, and kept for those who come."""
        waiting = Deferred()
        task = self.tasks.begin(value_of(waiting))
        waiting.errback(KeyError("x"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.failureResultOf(self.wait(task), KeyError)

    def test_close(self):
        """At the end everything that is under way is cancelled, silently; what is over is not kept."""
        cancelled = []
        task = self.tasks.begin(value_of(Deferred(cancelled.append)))
        self.tasks.begin(value_of(succeed(None)))
        self.assertEqual(len(self.tasks._running), 1)
        waiter = self.wait(task)
        self.tasks.begin(value_of(Deferred(cancelled.append)))
        self.tasks.close()
        self.assertEqual(len(cancelled), 2)
        self.failureResultOf(waiter, CancelledError)
        self.assertEqual(self.tasks._running, set())
        self.assertEqual(self.flushLoggedErrors(), [])
