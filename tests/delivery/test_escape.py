"""Tests for showing text from outside."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.escape import printable, printable_ascii


class PrintableTests(SynchronousTestCase):
    """Nothing but readable characters comes through."""

    def test_harmless(self):
        """Ordinary text of any script is untouched."""
        for text in ("550 No such user", "Grüße aus Köln", "宛先不明", ""):
            self.assertEqual(printable(text, 100), text)

    def test_escaped(self):
        """What ends lines, moves the cursor, or turns the direction of writing is spelled out."""
        table = {
            "a\r\nBcc: x": "a\\r\\nBcc: x",
            "\x1b[2J": "\\x1b[2J",
            "a\x00b": "a\\x00b",
            "\u202egpj.exe": "\\u202egpj.exe",
            "\u2028": "\\u2028",
            "\ud800": "\\ud800",
            "\U000e0041": "\\U000e0041",
            "\x7f\x85\t": "\\x7f\\x85\\t",
        }
        for text, shown in table.items():
            self.assertEqual(printable(text, 100), shown)

    def test_ascii(self):
        """For places that allow only ASCII everything else is spelled out."""
        self.assertEqual(printable_ascii("Köln \U0001f4e7\n", 100), "K\\xf6ln \\U0001f4e7\\n")
        self.assertEqual(printable_ascii("plain", 100), "plain")

    def test_cut(self):
        """What is too long ends in three dots, and not within an escape."""
        self.assertEqual(printable("abcdefghij", 8), "abcde...")
        self.assertEqual(printable("abcdefgh", 8), "abcdefgh")
        self.assertEqual(printable("abc\x00efgh", 8), "abc...")
        self.assertEqual(printable("abc\x00e", 8), "abc\\x00e")
        self.assertEqual(printable("abcdef", 2), "..")

    @given(st.text(max_size=200), st.integers(0, 60))
    @settings(max_examples=200, deadline=None)
    def test_always(self, text, limit):
        """Whatever comes in, what goes out is printable and within the limit; ASCII where asked for."""
        shown = printable(text, limit)
        self.assertTrue(shown.isprintable())
        self.assertLessEqual(len(shown), limit)
        shown = printable_ascii(text, limit)
        self.assertTrue(shown.isprintable() and shown.isascii())
        self.assertLessEqual(len(shown), limit)

    def test_cost(self):
        """A very long text costs no more than its limit."""
        self.assertEqual(len(printable("\x1b" * 50_000_000, 100)), 99)
