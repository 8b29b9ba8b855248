"""Threads of a source, bounded."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.lane import Lane
from smtpgw.model.domains import LookupTrouble
from tests.lookups.rig import waited


class _Later:
    """Threads that work when they are told to."""

    def __init__(self) -> None:
        self.work: list[tuple[Any, tuple[Any, ...], Deferred[Any]]] = []

    def run(self, function: Any, *arguments: Any) -> Deferred[Any]:
        """Later."""
        done: Deferred[Any] = Deferred()
        self.work.append((function, arguments, done))
        return done

    def do(self) -> None:
        """The oldest."""
        function, arguments, done = self.work.pop(0)
        try:
            result = function(*arguments)
        except LookupTrouble as trouble:
            result = trouble
        if not done.called:
            done.callback(result) if not isinstance(result, Exception) else done.errback(result)


class LaneTests(SynchronousTestCase):
    """A slow source costs so much and no more."""

    def setUp(self) -> None:
        """A lane for two."""
        self.threads = _Later()
        self.lane = Lane(self.threads, 2)

    def test_result(self) -> None:
        """The function's, with its arguments."""
        asked = waited(self.lane.run(lambda a, b: a + b, 1, 2))
        self.threads.do()
        self.assertEqual(self.successResultOf(asked), 3)

    def test_bound(self) -> None:
        """One too many is trouble at once; when one is done there is room again."""
        first, second = (waited(self.lane.run(lambda: True)) for _ in range(2))
        self.assertIn("more than 2", str(self.failureResultOf(waited(self.lane.run(bool)), LookupTrouble).value))
        self.threads.do()
        self.successResultOf(first)
        third = waited(self.lane.run(lambda: True))
        self.threads.do()
        self.threads.do()
        self.assertTrue(self.successResultOf(second) and self.successResultOf(third))

    def test_abandoned(self) -> None:
        """Work that nobody waits for is counted until a thread has seen it, and not done."""
        done: list[int] = []
        for number in range(2):
            asked = waited(self.lane.run(done.append, number))
            asked.addErrback(lambda _: None)
            asked.cancel()
        self.failureResultOf(waited(self.lane.run(bool)), LookupTrouble)
        self.threads.do()
        self.threads.do()
        self.assertEqual(done, [])
        asked = waited(self.lane.run(done.append, 3))
        self.threads.do()
        self.successResultOf(asked)
        self.assertEqual(done, [3])

    def test_failed_work(self) -> None:
        """A function that raises makes room as well."""

        def fail() -> None:
            raise LookupTrouble("no")

        for _ in range(3):
            asked = waited(self.lane.run(fail))
            self.threads.do()
            self.failureResultOf(asked, LookupTrouble)
