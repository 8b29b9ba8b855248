"""Tests for queue ids."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.queue_id import QueueIds, parse_queue_id, queue_id_text

NOW = 1_790_000_000.0


class TextTests(SynchronousTestCase):
    """An id is 13 characters that can be read out."""

    @given(st.integers(0, (1 << 63) - 1))
    @settings(max_examples=200, deadline=None)
    def test_round_trip(self, number):
        """What is written can be read, in upper and lower case."""
        text = queue_id_text(number)
        self.assertEqual(len(text), 13)
        self.assertEqual(parse_queue_id(text), number)
        self.assertEqual(parse_queue_id(text.lower()), number)

    @given(st.integers(0, (1 << 63) - 1), st.integers(0, (1 << 63) - 1))
    @settings(max_examples=200, deadline=None)
    def test_order(self, one, other):
        """Texts sort as the numbers do."""
        self.assertEqual(queue_id_text(one) < queue_id_text(other), one < other)

    def test_misread(self):
        """Letters that look like digits are understood as these."""
        self.assertEqual(parse_queue_id("OOOOOOOOOOOIL"), parse_queue_id("0000000000011"))

    def test_wrong(self):
        """What can't be an id is an error."""
        for text in ("", "0" * 12, "0" * 14, "000000000000U", "00000000000-0", "ZZZZZZZZZZZZZ", "٣" * 13):
            with self.assertRaises(ValueError, msg=text):
                parse_queue_id(text)


class QueueIdsTests(SynchronousTestCase):
    """Ids are unique and ordered by time."""

    @given(st.lists(st.floats(NOW - 100, NOW + 100), max_size=200))
    @settings(max_examples=50, deadline=None)
    def test_any_clock(self, times):
        """Whatever the clock does, the next id is greater than the one before."""
        ids = QueueIds()
        last = 0
        for now in times:
            number = ids.next(now)
            self.assertGreater(number, last)
            last = number

    def test_same_moment(self):
        """More ids in one millisecond than it has numbers for run on into the next ones."""
        ids = QueueIds(3)
        made = [ids.next(NOW) for _ in range(10_000)]
        self.assertEqual(sorted(set(made)), made)
        self.assertEqual({number >> 12 & 1023 for number in made}, {3})

    def test_after_restart(self):
        """Ids go on behind the highest in the spool, also if the clock has gone back."""
        last = QueueIds().next(NOW)
        self.assertGreater(QueueIds(last=last).next(NOW - 3600), last)

    def test_nodes(self):
        """Two nodes never make the same id."""
        one, other = QueueIds(1), QueueIds(2)
        made = [ids.next(NOW) for _ in range(5000) for ids in (one, other)]
        self.assertEqual(len(set(made)), 10_000)

    def test_fits(self):
        """An id fits the spool's signed integers for decades."""
        self.assertLess(QueueIds(1023).next(NOW + 35 * 365 * 86400), 1 << 63)
