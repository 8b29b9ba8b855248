"""Tests for rates."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.policy.buckets import Buckets
from tests.policy.rig import START


class BucketTests(SynchronousTestCase):
    """So many a minute for each, in bounded memory."""

    def test_burst(self):
        """A minute's worth may come at once, one more has to wait for its turn."""
        buckets = Buckets(6)
        self.assertEqual([buckets.take("a", START) for _ in range(6)], [0.0] * 6)
        self.assertAlmostEqual(buckets.take("a", START), 10.0, 4)
        self.assertAlmostEqual(buckets.take("a", START + 4), 6.0, 4)
        self.assertEqual(buckets.take("a", START + 10), 0.0)
        self.assertAlmostEqual(buckets.take("a", START + 10), 10.0, 4)

    def test_each(self):
        """What one has used up, the other has not."""
        buckets = Buckets(1)
        self.assertEqual(buckets.take("a", START), 0.0)
        self.assertEqual(buckets.take("b", START), 0.0)
        self.assertGreater(buckets.take("a", START), 0.0)

    def test_refused_is_free(self):
        """Who knocks while it must wait does not wait longer for it."""
        buckets = Buckets(1)
        buckets.take("a", START)
        for second in range(59):
            self.assertGreater(buckets.take("a", START + second), 0.0)
        self.assertEqual(buckets.take("a", START + 60), 0.0)

    def test_clock_set_back(self):
        """A clock that is set back by a year locks nobody out for a year."""
        buckets = Buckets(2)
        buckets.take("a", START)
        buckets.take("a", START)
        back = START - 365 * 86400
        self.assertLessEqual(buckets.take("a", back), 60.0)
        self.assertEqual(buckets.take("a", back + 60), 0.0)

    def test_bounded(self):
        """A flood of different clients is forgotten from its beginning on."""
        buckets = Buckets(1, most_keys=100)
        for number in range(10_000):
            buckets.take(number, START)
        self.assertEqual(len(buckets), 100)
        self.assertGreater(buckets.take(9_999, START), 0.0)
        self.assertEqual(buckets.take(0, START), 0.0)

    def test_busy_ones_stay(self):
        """Who comes all the time is not the one that is forgotten."""
        buckets = Buckets(1000, most_keys=10)
        for number in range(900):
            buckets.take("busy", START)
            buckets.take(number, START)
        taken = sum(buckets.take("busy", START) == 0.0 for _ in range(200))
        self.assertEqual(taken, 100)

    @settings(max_examples=100)
    @given(st.integers(1, 50), st.lists(st.floats(0, 30), max_size=150))
    def test_model(self, per_minute, gaps):
        """It gives exactly what a bucket of tokens gives, counted in the plain way."""
        buckets = Buckets(per_minute)
        now, tokens = START, float(per_minute)
        for gap in gaps:
            now += gap
            tokens = min(per_minute, tokens + gap * per_minute / 60)
            took = buckets.take("a", now) == 0.0
            # Rounding may decide when it is that near.
            if abs(tokens - 1) > 1e-4:
                self.assertEqual(took, tokens > 1)
            tokens -= took
