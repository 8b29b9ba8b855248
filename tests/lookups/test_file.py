"""Who is a recipient, as a file says it."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.file import RecipientFile, read_recipients


class ReadTests(SynchronousTestCase):
    """A file of recipients."""

    def read(self, content: bytes, domain: str = "a.example") -> frozenset[str]:
        path = Path(self.mktemp())
        path.write_bytes(content)
        return read_recipients(path, domain)

    def test_lines(self) -> None:
        """Local parts, comments, empty lines, any line ends, addresses of this domain and of others."""
        content = (
            b"\xef\xbb\xbfAlice\r\n\n# nobody\nbob # the second\n  carol@A.example \ndave@b.example\nj\xc3\xb6rg\n"
        )
        self.assertEqual(self.read(content), {"alice", "bob", "carol", "jörg"})
        self.assertEqual(self.read(content, "b.example"), {"alice", "bob", "dave", "jörg"})

    def test_wrong(self) -> None:
        """The line is named."""
        for content, words in (
            (b"alice\na b\n", ":2: 'a b' has spaces"),
            (b"alice\x00\n", ":1: "),
            (b"x" * 65, ":1: "),
            (b"\xff\n", "not UTF-8 text"),
        ):
            self.assertIn(words, str(self.assertRaises(ValueError, self.read, content)))


class ChangingFileTests(SynchronousTestCase):
    """The gateway follows the file while it runs."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.write("alice\n", 1)
        self.now = 0.0
        self.file = RecipientFile(self.path, "a.example", lambda: self.now)

    def write(self, text: str, age: int) -> None:
        self.path.write_text(text)
        os.utime(self.path, (age, age))

    def test_changed(self) -> None:
        """A change is seen, but the file is not looked at for every message."""
        self.write("bob\n", 2)
        self.assertTrue(self.file.contains("ALICE"))
        self.now = 4.9
        self.assertFalse(self.file.contains("bob"))
        self.now = 5.0
        self.assertTrue(self.file.contains("Bob"))
        self.assertFalse(self.file.contains("alice"))

    def test_gone_or_damaged(self) -> None:
        """While it is away or wrong, the last good content stays, and it is told why."""
        self.path.unlink()
        self.now = 5.0
        self.assertTrue(self.file.contains("alice"))
        self.assertIn("No such file", self.file.trouble)
        self.write("a b\n", 3)
        self.now = 10.0
        self.assertTrue(self.file.contains("alice"))
        self.assertIn("spaces", self.file.trouble)
        self.write("bob\n", 4)
        self.now = 15.0
        self.assertTrue(self.file.contains("bob"))
        self.assertEqual(self.file.trouble, "")

    def test_missing_at_the_start(self) -> None:
        """Then there is nothing to stay with."""
        self.assertRaises(OSError, RecipientFile, Path("/nowhere"), "a.example", lambda: 0.0)
