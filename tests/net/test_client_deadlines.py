"""One timer for all deadlines."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.client_deadlines import Deadlines


class Waiting:
    """Waits until a time."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.expired = 0

    def expire(self) -> None:
        self.expired += 1


class DeadlinesTests(SynchronousTestCase):
    """The sweep."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadlines = Deadlines(self.clock)

    def test_one_timer(self) -> None:
        """A thousand connections need one timer, and none need none."""
        waiting = [Waiting(1e9) for _ in range(1000)]
        for one in waiting:
            self.deadlines.add(one)
        self.clock.pump([1.0] * 5)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for one in waiting:
            self.deadlines.discard(one)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_expires(self) -> None:
        """Within a second after its deadline it is told; a deadline put off counts."""
        first, second = Waiting(3.5), Waiting(3.5)
        self.deadlines.add(first)
        self.deadlines.add(second)
        self.clock.pump([1.0] * 3)
        second.deadline = float("inf")
        self.assertEqual((first.expired, second.expired), (0, 0))
        self.clock.pump([1.0])
        self.assertEqual((first.expired, second.expired), (1, 0))

    def test_discards_in_the_sweep(self) -> None:
        """The last one may leave while it is told."""
        one = Waiting(0.5)
        self.deadlines.add(one)
        one.expire = lambda: self.deadlines.discard(one)  # type: ignore[method-assign]
        self.clock.pump([1.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.deadlines.discard(one)
