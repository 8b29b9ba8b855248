"""Durations and sizes as people write them."""

import math

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.durations import duration_text, parse_duration, parse_size, show, size_text


class DurationTests(SynchronousTestCase):
    """A duration is a number of seconds or a text with units."""

    def test_understood(self) -> None:
        """Every form of the manual."""
        for written, seconds in (
            (0, 0.0),
            (90, 90.0),
            (0.5, 0.5),
            ("90s", 90.0),
            ("5m", 300.0),
            ("4h", 14400.0),
            ("5d", 432000.0),
            ("1h30m", 5400.0),
            (" 1h 30m ", 5400.0),
            ("1.5h", 5400.0),
            ("30", 30.0),
        ):
            self.assertEqual(parse_duration(written), seconds, written)

    def test_refused(self) -> None:
        """What could mean two things, or nothing, is no duration."""
        wrong: tuple[object, ...] = (
            *("", "m", "5x", "5 minutes", "30m1h", "1h1h", "-5m", "5m,", "\u0661s", "1e3s", "s5", "5m" * 40),
            *(-1, True, None, [], {}, math.nan, math.inf, 10**400, "11000d"),
        )
        for written in wrong:
            with self.assertRaises(ValueError, msg=repr(written)):
                parse_duration(written)

    def test_text(self) -> None:
        """For people, two units are enough."""
        for seconds, text in (
            (0, "0s"),
            (0.9, "0s"),
            (-5, "0s"),
            (59, "59s"),
            (60, "1m"),
            (130, "2m10s"),
            (3600, "1h"),
            (3610, "1h"),
            (90061, "1d1h"),
            (86400 * 5, "5d"),
        ):
            self.assertEqual(duration_text(seconds), text, seconds)

    @given(st.integers(0, 10**8))
    def test_text_is_understood_again(self, seconds: int) -> None:
        """What is shown can be typed, and is never more than it was."""
        again = parse_duration(duration_text(seconds))
        self.assertLessEqual(again, seconds)
        self.assertGreaterEqual(again, seconds * 0.9 - 1)


class SizeTests(SynchronousTestCase):
    """A size is a number of octets or a text with a unit."""

    def test_understood(self) -> None:
        """Every form of the manual; KB is a thousand, KiB is 1024."""
        for written, octets in (
            (0, 0),
            (512, 512),
            ("512", 512),
            ("512 B", 512),
            ("10 MB", 10_000_000),
            ("25 MiB", 25 * 2**20),
            ("25MiB", 25 * 2**20),
            ("256 kib", 256 * 1024),
            ("1.5 KiB", 1536),
            ("1 GiB", 2**30),
        ):
            self.assertEqual(parse_size(written), octets, written)

    def test_refused(self) -> None:
        """Not a number, not a unit, not whole, not small enough."""
        texts = ("", "MiB", "25 MiBs", "25 M", "-1", "1.0001 B", "9999999999 GiB")
        others: tuple[object, ...] = (-1, True, None, [], math.nan)
        for written in (*texts, *others):
            with self.assertRaises(ValueError, msg=repr(written)):
                parse_size(written)

    def test_text(self) -> None:
        """For people, one decimal at most."""
        for octets, text in ((0, "0 B"), (999, "999 B"), (1536, "1.5 KiB"), (25 * 2**20, "25 MiB"), (2**40, "1 TiB")):
            self.assertEqual(size_text(octets), text)


class ShowTests(SynchronousTestCase):
    """A wrong value in an error is short and harmless."""

    def test_shown(self) -> None:
        """Texts are quoted and escaped, tables are not printed."""
        self.assertEqual(show("a\x1b[2Jb"), r"'a\x1b[2Jb'")
        self.assertEqual(show(True), "true")
        self.assertEqual(show({"a": 1}), "a table")
        self.assertEqual(show([1]), "an array")
        self.assertLess(len(show("x" * 10_000)), 100)
