"""Tables and JSON on a terminal and elsewhere."""

import io
import json
import os
import sys
from contextlib import redirect_stdout

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.cli.output import print_json, print_table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class TableTests(SynchronousTestCase):
    """A table."""

    def table(self, stream: io.StringIO, *rows: tuple[object, ...], **environ: str) -> str:
        self.patch(os, "environ", {"TERM": "xterm", "COLUMNS": "100", **environ})
        self.patch(sys, "stdout", stream)
        print_table(("NAME", "COUNT"), rows, right=frozenset({1}))
        return stream.getvalue()

    def test_plain(self) -> None:
        """Columns aligned, numbers to the right, no spaces at the end."""
        self.assertEqual(
            self.table(io.StringIO(), ("a", 5), ("long name", 123)),
            "NAME       COUNT\na              5\nlong name    123\n",
        )

    def test_terminal(self) -> None:
        """With style there; what stands in brackets is text, not markup; hostile text is escaped."""
        shown = self.table(Terminal(), ("[red]x[/red]", "\x1b[2Jy"))
        self.assertIn("[red]x[/red]", shown)
        self.assertIn(r"\x1b[2Jy", shown)
        self.assertIn("\x1b[1m", shown)
        self.assertNotIn("\x1b[2J", shown)

    def test_no_colour(self) -> None:
        """NO_COLOR, and terminals that can't."""
        self.assertEqual(self.table(Terminal(), ("a", 5), TERM="dumb"), "NAME  COUNT\na         5\n")
        shown = self.table(Terminal(), ("a", 5), NO_COLOR="1")
        self.assertIn("────", shown)
        self.assertNotIn("\x1b", shown)

    def test_fits_without_colour(self) -> None:
        """NO_COLOR leaves long cells folded into the terminal's width."""
        shown = self.table(Terminal(), ("a", "word " * 40), NO_COLOR="1", COLUMNS="60")
        self.assertLessEqual(max(map(len, shown.splitlines())), 60)

    def test_narrow(self) -> None:
        """Where columns would break words into letters, each row is a block; a table that fits stays one."""
        long = "bob@a-rather-long-domain.example"
        self.assertEqual(
            self.table(Terminal(), (long, 5), ("b", ""), COLUMNS="17"), f"NAME   {long}\nCOUNT  5\n\nNAME   b\n"
        )
        self.assertIn("────", self.table(Terminal(), ("a", 5), COLUMNS="17"))


class JsonTests(SynchronousTestCase):
    """JSON."""

    @given(st.recursive(st.text(max_size=20), lambda inner: st.lists(inner, max_size=3)))
    def test_any(self, value: object) -> None:
        """It is the value, and every line is printable."""
        stream = io.StringIO()
        with redirect_stdout(stream):
            print_json(value)
        self.assertEqual(json.loads(stream.getvalue()), value)
        self.assertTrue(all(line.isprintable() for line in stream.getvalue().split("\n")))
