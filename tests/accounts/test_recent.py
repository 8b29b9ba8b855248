"""Tests for what is remembered for a while."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts.recent import Recent


class RecentTests(SynchronousTestCase):
    """Bounded by time and number."""

    def test_time(self):
        """It is forgotten when its time is over, and putting it again begins that anew."""
        clock = Clock()
        recent: Recent[str, int] = Recent(clock.seconds, 10, 5)
        recent.put("a", 1)
        clock.advance(9)
        self.assertEqual(recent.get("a"), 1)
        recent.put("a", 2)
        clock.advance(9)
        self.assertEqual(recent.get("a"), 2)
        clock.advance(1)
        self.assertIsNone(recent.get("a"))
        self.assertEqual(len(recent), 0)

    def test_number(self):
        """The longest unused goes."""
        recent: Recent[int, int] = Recent(Clock().seconds, 10, 3)
        for number in (1, 2, 3, 1, 4):
            recent.put(number, number)
        self.assertEqual([recent.get(number) for number in (1, 2, 3, 4)], [1, None, 3, 4])
        recent.forget(1)
        recent.forget(1)
        self.assertEqual(len(recent), 2)
