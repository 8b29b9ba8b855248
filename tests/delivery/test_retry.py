"""Tests for the retry schedule."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.retry import RetrySchedule
from tests.clauses import holds


class ScheduleTests(SynchronousTestCase):
    """Waits grow as configured and never end."""

    @holds("5321", "4.5.4.1", "The waits between attempts are those of the configuration, and the last one repeats.")
    def test_grows(self):
        """Each attempt waits as long as its place in the list says; the last place repeats."""
        schedule = RetrySchedule((300.0, 600.0, 1200.0), jitter=0.0)
        waits = [schedule.after(attempts, 1000.0, Random(1)) - 1000.0 for attempts in (1, 2, 3, 4, 50)]
        self.assertEqual(waits, [300.0, 600.0, 1200.0, 1200.0, 1200.0])

    def test_none_yet(self):
        """Without any attempt yet the first wait is taken."""
        self.assertEqual(RetrySchedule((300.0, 600.0), jitter=0.0).after(0, 0.0, Random(1)), 300.0)

    @given(st.integers(0, 100), st.randoms(use_true_random=False), st.floats(0, 1))
    @settings(max_examples=100, deadline=None)
    def test_jitter(self, attempts, random, jitter):
        """A wait is longer than configured by at most its jitter, and never shorter."""
        schedule = RetrySchedule((100.0,), jitter)
        wait = schedule.after(attempts, 0.0, random)
        self.assertGreaterEqual(wait, 100.0)
        self.assertLessEqual(wait, 100.0 * (1 + jitter) + 1e-9)

    def test_spread(self):
        """What failed at the same moment comes back at different ones."""
        random = Random(7)
        schedule = RetrySchedule((300.0,))
        dues = {schedule.after(1, 0.0, random) for _ in range(100)}
        self.assertEqual(len(dues), 100)
        self.assertGreaterEqual(min(dues), 300.0)
        self.assertGreater(max(dues), 330.0)

    def test_impossible(self):
        """A schedule that would never or at once try again is an error."""
        for delays, jitter in [((), 0.1), ((0.0,), 0.1), ((-1.0,), 0.1), ((float("nan"),), 0.1), ((5.0,), 1.5)]:
            with self.assertRaises(ValueError):
                RetrySchedule(delays, jitter)
