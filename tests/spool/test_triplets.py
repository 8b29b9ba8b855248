"""Tests for what greylisting remembers: stores, and the thread before the file."""

# mypy: no-check-untyped-defs

import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.boundaries.triplets import TripletTrouble
from smtpgw.net.deadline import ReactorTasks
from smtpgw.net.threads import ReactorThreads
from smtpgw.spool.triplets import FileTriplets, open_triplets
from smtpgw.spool.triplets_memory import MemoryTriplets
from tests.contracts.triplets import TripletsContract, key, triplet
from tests.policy.rig import UnixClock, waited
from tests.spool.triplet_folder import InFolder


class Later:
    """``Threads`` that run things when the test says so."""

    def __init__(self):
        self.waiting = []

    def run(self, function, *arguments):
        """Not yet."""
        answer = Deferred()
        self.waiting.append((answer, function, arguments))
        return answer

    def go(self):
        """What waits now; how much that was."""
        waiting, self.waiting = self.waiting, []
        for answer, function, arguments in waiting:
            try:
                result = function(*arguments)
            except Exception:
                answer.errback()
            else:
                answer.callback(result)
        return len(waiting)


class MemoryTripletsTests(TripletsContract, SynchronousTestCase):
    """The memory keeps the promises of every store."""

    def make_triplets(self, most):
        """A new one."""
        return MemoryTriplets(self.rig.clock, most)

    def test_bounded_memory(self):
        """Never more than it may."""
        triplets = self.make_triplets(100)
        for number in range(1000):
            triplets.put(key(number), triplet(number))
            self.assertLessEqual(len(triplets), 100)


class FileTripletsTests(TripletsContract, InFolder):
    """The file keeps the promises of every store, also where nothing is remembered beside it."""

    def setUp(self) -> None:
        InFolder.setUp(self)

    def make_triplets(self, most):
        """A store that remembers one answer, so that nearly all come from the file."""
        return self.over(self.file(most=most), most_latest=1)


class FileTripletsInMemoryTests(TripletsContract, InFolder):
    """The same with answers from memory, while the thread does nothing at all for most of the time."""

    def setUp(self) -> None:
        InFolder.setUp(self)

    def make_triplets(self, most):
        """The usual store."""
        return self.open(most=most)

    def test_contract_bounded(self):
        """The memory before the file is bounded by itself, and may know more than the file."""
        triplets = self.make_triplets(100)
        for number in range(60_000):
            triplets.put(key(number), triplet(number, expires=600 + number / 10))
        self.assertLessEqual(len(triplets._latest), 50_000)
        self.assertLessEqual(self.rows(), 1100)


class SlowThreadTests(InFolder):
    """A thread that takes its time."""

    def setUp(self):
        super().setUp()
        self.threads = Later()
        self.triplets = self.open(self.threads)

    def get(self, *keys):
        """What is or will be found."""
        return waited(self.triplets.get(keys))

    def test_before_written(self):
        """What was put is found before it is written, and while it is."""
        for number in range(10):
            self.triplets.put(key(number), triplet(number))
        self.assertEqual(self.successResultOf(self.get(key(0), key(9))), (triplet(0), triplet(9)))
        self.threads.go()
        self.assertEqual(self.successResultOf(self.get(key(0), key(9))), (triplet(0), triplet(9)))

    def test_batches(self):
        """What is put while one transaction runs goes into the next, all of it."""
        for number in range(1000):
            self.triplets.put(key(number), triplet(number))
        self.assertEqual(self.threads.go(), 1)
        self.assertEqual(self.threads.go(), 1)
        self.assertEqual(self.threads.go(), 0)
        self.assertEqual(self.rows(), 1000)

    def test_put_while_reading(self):
        """What is put while the file is asked is newer than its answer."""
        waiting = self.get(key(1), key(2))
        self.triplets.put(key(1), triplet(5))
        self.threads.go()
        self.assertEqual(self.successResultOf(waiting), (triplet(5), None))
        self.assertEqual(self.successResultOf(self.get(key(1), key(2))), (triplet(5), None))

    def test_questions(self):
        """What is asked while one question is under way goes into the next, all of it."""
        waiting = [self.get(key(number), key(number + 1)) for number in range(1000)]
        self.assertEqual(len(self.threads.waiting), 1)
        self.assertEqual(self.threads.go(), 1)
        self.successResultOf(waiting[0])
        self.assertNoResult(waiting[2])
        late = self.get(key(5000))
        self.assertEqual(self.threads.go(), 1)
        for one in waiting[1:]:
            self.assertEqual(self.successResultOf(one), (None, None))
        self.assertNoResult(late)
        self.assertEqual(self.threads.go(), 1)
        self.assertEqual(self.successResultOf(late), (None,))

    def test_too_many_questions(self):
        """A disk that stands still makes trouble for those who ask, not a line without end."""
        waiting = [self.get(key(number)) for number in range(5002)]
        with self.assertRaises(TripletTrouble):
            self.triplets.get([key(9_999)])
        self.threads.go()
        self.threads.go()
        for one in waiting:
            self.successResultOf(one)
        late = self.get(key(9_999))
        self.threads.go()
        self.successResultOf(late)

    def test_remembered(self):
        """The file is asked about the same key once, also when there was nothing."""
        waiting = self.get(key(1))
        self.threads.go()
        self.successResultOf(waiting)
        self.successResultOf(self.get(key(1)))
        self.assertEqual(self.threads.waiting, [])

    def test_bounded(self):
        """What waits to be written is bounded, however slow the disk; beyond, it is kept in memory alone."""
        triplets = FileTriplets(
            self.triplets._file, self.threads, self.rig.tasks, self.rig.clock, self.said.append, most_unwritten=100
        )
        for number in range(10_000):
            triplets.put(key(number), triplet(number))
        self.assertEqual(len(triplets._unwritten), 100)
        self.assertEqual(self.successResultOf(waited(triplets.get([key(9_999)]))), (triplet(9_999),))
        triplets.put(key(1), triplet(77))
        self.assertEqual(triplets._unwritten[key(1)], triplet(77))

    def test_close_waits(self):
        """Closing writes what waits, then closes."""
        for number in range(5000):
            self.triplets.put(key(number), triplet(number, expires=600 + number))
        closing = Deferred.fromCoroutine(self.triplets.close())
        self.assertNoResult(closing)
        while self.threads.go():
            pass
        self.successResultOf(closing)
        # As many again may be there for a while.
        self.assertLessEqual(self.rows(), 2000)
        self.assertGreaterEqual(self.rows(), 1000)

    def test_reader_leaves(self):
        """A client that leaves while the file is asked takes nothing from the next."""
        first, second = self.get(key(1)), self.get(key(1))
        first.addErrback(lambda _: None)
        first.cancel()
        while self.threads.go():
            pass
        self.assertEqual(self.successResultOf(second), (None,))

    def test_unexpected(self):
        """A mistake of ours in one write is shown, and the next write is tried all the same."""
        self.triplets.put(key(1), triplet(1))
        answer, _, _ = self.threads.waiting.pop()
        answer.errback(KeyError("x"))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.triplets.put(key(2), triplet(2))
        self.assertEqual(self.threads.go(), 1)
        self.assertEqual(self.rows(), 1)

    def test_unexpected_read(self):
        """Likewise in one question: those who wait get an error, those who come later an answer."""
        first, second = self.get(key(1)), self.get(key(2))
        answer, _, _ = self.threads.waiting.pop()
        answer.errback(KeyError("x"))
        self.failureResultOf(first, KeyError)
        self.failureResultOf(second, KeyError)
        third = self.get(key(3))
        self.assertEqual(self.threads.go(), 1)
        self.assertEqual(self.successResultOf(third), (None,))


class ThreadTests(TestCase):
    """With the thread that it has in the gateway."""

    async def test_threads(self):
        """Many at a time put and ask; everything is there after the end."""
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        threads = ReactorThreads(reactor, 1)
        threads.start()
        self.addCleanup(threads.stop)
        clock = UnixClock()
        tasks = ReactorTasks(clock)

        def opened():
            return open_triplets(Path(folder.name), threads=threads, tasks=tasks, clock=clock, log=self.fail)

        async def one(number):
            before = await waited(triplets.get([key(number)]))
            triplets.put(key(number), triplet(number))
            return before, await waited(triplets.get([key(number), key(number)]))

        triplets = opened()
        found = await gatherResults([Deferred.fromCoroutine(one(number)) for number in range(300)])
        self.assertEqual(found, [((None,), (triplet(number),) * 2) for number in range(300)])
        await triplets.close()
        triplets = opened()
        known = await waited(triplets.get([key(number) for number in range(300)]))
        self.assertEqual(known, tuple(triplet(number) for number in range(300)))
        await triplets.close()
