"""Tests for what a handler raises."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.handlers.outcome import Defer, Reject


class RejectTests(SynchronousTestCase):
    """A rejection is for good."""

    def test_given(self):
        """Text and status are kept; there are fitting defaults."""
        rejection = Reject("No thanks", "5.2.3")
        self.assertEqual((rejection.text, rejection.status, str(rejection)), ("No thanks", "5.2.3", "No thanks"))
        self.assertEqual(Reject().status, "5.7.1")

    def test_status(self):
        """A status that is not a permanent one is an error where it is written."""
        for status in ("4.2.2", "2.0.0", "5", "5.7", "5.7.1\r\nX: y", "", "5.7.1000"):
            with self.assertRaises(ValueError, msg=status):
                Reject("x", status)


class DeferTests(SynchronousTestCase):
    """A deferral is for a while."""

    def test_given(self):
        """Text and delay are kept; without a delay the schedule decides."""
        deferral = Defer("Busy", 30.0)
        self.assertEqual((deferral.text, deferral.delay_seconds), ("Busy", 30.0))
        self.assertIsNone(Defer().delay_seconds)

    def test_delay(self):
        """A delay that is none is an error where it is written."""
        for delay in (-1.0, float("nan")):
            with self.assertRaises(ValueError):
                Defer("x", delay)
