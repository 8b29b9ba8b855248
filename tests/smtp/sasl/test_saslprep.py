"""Tests for SASLprep."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.sasl.saslprep import prepared
from tests.clauses import holds, holds_in_part


class PreparedTests(SynchronousTestCase):
    """One spelling."""

    @holds("4013", "3", "The examples come out as they should.")
    def test_examples(self):
        """Mapped, normalized, and refused."""
        for text, result in (("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX")):
            self.assertEqual(prepared(text), result)
        for text in ("\u0007", "\u06271"):
            self.assertRaises(ValueError, prepared, text)

    @holds("4013", "2.3", "Control, private-use, surrogate and tagging characters are prohibited.")
    def test_prohibited(self):
        """Each table has one here."""
        for text in ("\0", "\x7f", "\u0085", "\ue000x", "\ufdd0", "\ud800", "\ufffd", "\u2ff0", "\u202a", "\U000e0001"):
            self.assertRaises(ValueError, prepared, text)

    def test_spaces(self):
        """Other spaces are spaces; inner ones stay."""
        self.assertEqual(prepared("a\u00a0\u3000b c"), "a  b c")

    @holds("4013", "2.4", "Text from right to left begins and ends so, and has nothing of the other direction.")
    def test_directions(self):
        """Hebrew alone is fine, mixed it is not."""
        self.assertEqual(prepared("\u05d0\u05d1"), "\u05d0\u05d1")
        self.assertRaises(ValueError, prepared, "\u05d0a\u05d0")
        self.assertRaises(ValueError, prepared, "\u05d01")

    @holds_in_part(
        "4013",
        "2.5",
        "Stored strings have no code points that Unicode 3.2 does not assign.",
        "They are taken as they are, in records and queries alike: newer scripts and signs are in people's passwords.",
    )
    def test_unassigned(self):
        """A sign that is newer than the standard may be in a password."""
        self.assertEqual(prepared("x\U0001f511"), "x\U0001f511")

    def test_empty(self):
        """Nothing may be left."""
        self.assertEqual(prepared("\u00ad"), "")

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=20))
    def test_any_text(self, text):
        """Prepared text has no control characters; all else is a ValueError."""
        try:
            result = prepared(text)
        except ValueError:
            return
        self.assertFalse(any(c < " " or c == "\x7f" for c in result))
