"""Addresses as parts of paths."""

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.sinks.placeholders import PathPattern, Unsafe, split_subaddress

_PATTERN = "/mail/{domain}/{local}"


class FillTests(SynchronousTestCase):
    """What is filled in."""

    def test_parts(self) -> None:
        """Local part without its tag, domain, tag; all in lower case."""
        for pattern, local, expected in (
            (_PATTERN, "Alice", "/mail/x.example/alice"),
            (_PATTERN, "alice+News", "/mail/x.example/alice"),
            ("/m/{local}/{tag}", "alice+News", "/m/alice/news"),
            ("/m/{local}/{tag}", "alice", "/m/alice"),
            ("/m/{local}/.{tag}", "alice+lists.python", "/m/alice/.lists.python"),
            ("/m/{local}-{domain}", "a b'\"\\", "/m/a b'\"\\-x.example"),
            ("/m/{local}/{tag}", "a+b+c", "/m/a/b+c"),
            (_PATTERN, "+tag", "/mail/x.example/+tag"),
            (_PATTERN, "用户", "/mail/x.example/用户"),
            ("/m/fixed", "../..", "/m/fixed"),
        ):
            self.assertEqual(PathPattern(pattern).path(Mailbox(local, "x.example")), Path(expected), local)

    def test_values_are_not_filled_again(self) -> None:
        """An address that looks like a placeholder is one no more."""
        path = PathPattern(_PATTERN).path(Mailbox("{domain}", "x.example"))
        self.assertEqual(path, Path("/mail/x.example/{domain}"))

    def test_without_tags(self) -> None:
        """A domain without subaddresses keeps the sign."""
        path = PathPattern(_PATTERN, subaddress="").path(Mailbox("a+b", "x.example"))
        self.assertEqual(path, Path("/mail/x.example/a+b"))

    def test_relative(self) -> None:
        """A relative path starts where the process was at the start, also if it goes elsewhere later."""
        pattern = PathPattern("mail/{local}")
        self.assertEqual(pattern.path(Mailbox("a", "x.example")), Path.cwd() / "mail/a")

    def test_bad_patterns(self) -> None:
        """A pattern that can't be meant is an error at the start, not at the first mail."""
        for pattern in ("", "/m/{user}", "/m/{local", "/m/local}", "/m/{}", "/m/{{local}}", "/m/\x00"):
            self.assertRaises(ValueError, PathPattern, pattern)

    def test_split(self) -> None:
        """Where the tag begins."""
        for local, separator, expected in (
            ("a+b", "+", ("a", "b")),
            ("a-b", "-", ("a", "b")),
            ("a+", "+", ("a", "")),
            ("+a", "+", ("+a", "")),
            ("a+b", "", ("a+b", "")),
            ("a", "+", ("a", "")),
        ):
            self.assertEqual(split_subaddress(local, separator), expected)


class RefuseTests(SynchronousTestCase):
    """No address leads out of its place."""

    def test_unsafe(self) -> None:
        """Ways out, hidden names, names that no disk takes."""
        for local in ("..", ".", "../etc", "a/b", "/etc", "a\x00b", "a\nb", ".hidden", "", "\x7f", "x" * 256, "\ud800"):
            self.assertRaises(Unsafe, PathPattern(_PATTERN).path, Mailbox(local, "x.example"))
        for domain in ("..", "", "a/b", ".x.example", "x\x00"):
            self.assertRaises(Unsafe, PathPattern(_PATTERN).path, Mailbox("a", domain))
        for local in ("a+..", "a+.", "a+b/c", "a+./..", "a+" + "x" * 300):
            self.assertRaises(Unsafe, PathPattern("/m/{local}/.{tag}").path, Mailbox(local, "x.example"))
        long = PathPattern("/m" + "/{local}" * 20)
        self.assertRaises(Unsafe, long.path, Mailbox("x" * 250, "x.example"))

    @settings(max_examples=200, deadline=None)
    @given(st.text(max_size=20), st.text(max_size=20))
    def test_anything(self, local: str, domain: str) -> None:
        """Whatever the address is: refused, or exactly one folder for each part, below its place."""
        try:
            path = PathPattern("/mail/{domain}/u.{local}").path(Mailbox(local, domain))
        except Unsafe:
            return
        self.assertEqual(len(path.parts), 4)
        self.assertEqual(path.parts[:2], ("/", "mail"))
        self.assertNotIn("..", path.parts)
