"""Tests for mailboxes."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox, path_text


class MailboxTests(SynchronousTestCase):
    """A mailbox can be written as it must stand in a path."""

    def test_text(self):
        """The local part is quoted exactly where the grammar wants it (RFC 5321 section 4.1.2)."""
        table = {
            "alice": "alice@a.example",
            "a.b+c": "a.b+c@a.example",
            "jürgen": "jürgen@a.example",
            "a b": '"a b"@a.example',
            "a@b": '"a@b"@a.example',
            ".a": '".a"@a.example',
            "a..b": '"a..b"@a.example',
            "a.": '"a."@a.example',
            "": '""@a.example',
            'say "hi"': '"say \\"hi\\""@a.example',
            "back\\slash": '"back\\\\slash"@a.example',
            "a,b": '"a,b"@a.example',
            "a>b": '"a>b"@a.example',
            "a\n": '"a\n"@a.example',
        }
        for local, text in table.items():
            self.assertEqual(str(Mailbox(local, "a.example")), text)

    def test_null_path(self):
        """The null path is empty between its brackets."""
        self.assertEqual(path_text(None), "")
        self.assertEqual(path_text(Mailbox("a", "b.example")), "a@b.example")

    def test_facts(self):
        """Whether it needs SMTPUTF8."""
        self.assertTrue(Mailbox("a", "xn--bcher-kva.example").is_ascii)
        self.assertFalse(Mailbox("ä", "b.example").is_ascii)
        self.assertFalse(Mailbox("a", "bücher.example").is_ascii)
