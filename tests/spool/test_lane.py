"""A thread that takes all that waits."""

import threading

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.spool.answers import Answers
from smtpgw.spool.lane import Lane

_PATIENCE_SECONDS = 20.0


class _Item:
    def __init__(self, number: int, octets: int = 1) -> None:
        self.number = number
        self.octets = octets


class LaneTests(SynchronousTestCase):
    """Batches, in order, bounded, and no mistake ends the thread."""

    def setUp(self) -> None:
        self.batches: list[list[int]] = []
        self.failures: list[tuple[list[int], Exception]] = []
        self.ended = threading.Event()

    def run_lane(self, items: list[_Item]) -> None:
        """All of them waiting before the thread starts."""
        lane: Lane[_Item] = Lane("test", self.work, self.failed)
        for item in items:
            lane.put(item)
        lane.stop(self.ended.set)
        lane.start()
        self.assertTrue(self.ended.wait(_PATIENCE_SECONDS))

    def work(self, batch: list[_Item]) -> None:
        self.batches.append([item.number for item in batch])
        if batch[0].number < 0:
            raise ZeroDivisionError

    def failed(self, batch: list[_Item], error: Exception) -> None:
        self.failures.append(([item.number for item in batch], error))

    def test_all_that_waits(self) -> None:
        """What waits is one batch."""
        self.run_lane([_Item(number) for number in range(100)])
        self.assertEqual(self.batches, [list(range(100))])

    def test_bounds(self) -> None:
        """A batch ends at 500 items, or when it is heavy."""
        self.run_lane([_Item(number) for number in range(1001)])
        self.assertEqual([len(batch) for batch in self.batches], [500, 500, 1])
        self.batches.clear()
        self.ended.clear()
        self.run_lane([_Item(0, 3 << 20), _Item(1, 3 << 20), _Item(2, 1)])
        self.assertEqual(self.batches, [[0, 1], [2]])

    def test_nothing(self) -> None:
        """A lane that is stopped without work does none."""
        self.run_lane([])
        self.assertEqual(self.batches, [])

    def test_mistake(self) -> None:
        """Work that raises is reported with its batch, and the next batch is worked on."""
        self.run_lane([_Item(-1, 5 << 20), _Item(2)])
        self.assertEqual(self.batches, [[-1], [2]])
        self.assertEqual([(batch, type(error)) for batch, error in self.failures], [([-1], ZeroDivisionError)])

    def test_idle(self) -> None:
        """Without work the thread has its spare time, again and again, even if it makes a mistake there."""
        times: list[int] = []
        enough = threading.Event()

        def idle() -> None:
            times.append(1)
            if len(times) >= 3:
                enough.set()
            raise ZeroDivisionError

        lane: Lane[_Item] = Lane("test", self.work, self.failed, idle=idle, patience_seconds=0.001)
        lane.start()
        self.assertTrue(enough.wait(_PATIENCE_SECONDS))
        lane.stop(self.ended.set)
        self.assertTrue(self.ended.wait(_PATIENCE_SECONDS))
        self.assertEqual(self.failures[0][0], [])


class AnswersTests(SynchronousTestCase):
    """Answers come in the reactor's thread, all of them."""

    def test_one_call(self) -> None:
        """A batch of answers is one call, and keeps its order."""
        calls: list = []
        given: list[int] = []
        Answers(calls.append).post([(given.append, number) for number in range(3)])
        self.assertEqual((len(calls), given), (1, []))
        calls[0]()
        self.assertEqual(given, [0, 1, 2])

    def test_mistake_of_one(self) -> None:
        """A callback that raises lets the error show, and the others follow in a call of their own."""
        calls: list = []
        given: list[int] = []

        def wrong(answer: int) -> None:
            raise ZeroDivisionError

        Answers(calls.append).post([(given.append, 0), (wrong, 1), (given.append, 2)])
        self.assertRaises(ZeroDivisionError, calls[0])
        self.assertEqual(given, [0])
        calls[1]()
        self.assertEqual(given, [0, 2])
