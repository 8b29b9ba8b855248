"""Texts with the parts of an address in them."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.placeholders import read_template
from smtpgw.lookups.question import Question


class TemplateTests(SynchronousTestCase):
    """What an operator writes, filled in."""

    def test_fill(self) -> None:
        """Every value is escaped, and the text around is not."""
        template = read_template("<{local}|{domain}|{local}>")
        self.assertEqual(template.names, {"local", "domain"})
        self.assertEqual(template.fill(Question("a", "b"), lambda value: f"[{value}]"), "<[a]|[b]|[a]>")

    def test_once(self) -> None:
        """A placeholder in an address stays what it is."""
        self.assertEqual(read_template("{local}").fill(Question("{domain}", "b"), str), "{domain}")

    def test_plain(self) -> None:
        """A text without any is a text."""
        self.assertEqual(read_template("x").fill(Question("a", "b"), str), "x")
        self.assertEqual(read_template("").fill(Question("a", "b"), str), "")

    def test_wrong(self) -> None:
        """Unknown names and lonely braces are told."""
        for text, words in (
            ("{user}", "none of {local}"),
            ("{local", "partner"),
            ("local}", "partner"),
            ("{}", "none of"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, read_template, text)))
