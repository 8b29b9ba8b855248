"""Secrets come from where they are kept, and no error repeats one."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.secrets import secret

_FORMS = 'is not a text, {file = "..."} or {env = "..."}'


class SecretTests(SynchronousTestCase):
    """A text, a file or a variable."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.environ = {"TOKEN": "from environment", "EMPTY": "", "LINES": "hunter2\nhunter3"}

    def read(self, value: object) -> str:
        return secret(self.folder, self.environ)(value)

    def mistake(self, value: object) -> str:
        text = str(self.assertRaises(ValueError, self.read, value))
        self.assertNotIn("hunter", text)
        return text.replace(f"{self.folder}/", "")

    def file(self, content: bytes) -> dict[str, str]:
        (self.folder / "secret").write_bytes(content)
        return {"file": "secret"}

    def test_forms(self) -> None:
        """Each of the three; one newline at the end of a file is not part of it."""
        self.assertEqual(self.read("as it is"), "as it is")
        self.assertEqual(self.read({"env": "TOKEN"}), "from environment")
        for content in (b"in a file", b"in a file\n", b"in a file\r\n", b"\xef\xbb\xbfin a file"):
            self.assertEqual(self.read(self.file(content)), "in a file")
        self.assertEqual(self.read({"file": str(self.folder / "secret")}), "in a file")

    def test_what_is_none(self) -> None:
        """A slip is told without what was written."""
        for value, mistake in (
            (7, _FORMS),
            (["hunter2"], _FORMS),
            ({}, _FORMS),
            ({"file": "a", "env": "b"}, _FORMS),
            ({"hunter2": "x"}, _FORMS),
            ({"fill": "hunter2"}, f"{_FORMS}; did you mean 'file'?"),
            ({"file": 5}, "'file' is not followed by a text"),
            ({"file": ""}, "'file' is not followed by a text"),
            ({"file": "a\x00b"}, "'file' is not followed by a text"),
            ({"env": "hunter 2"}, "'env' is not followed by the name of a variable"),
            ({"env": "MISSING"}, "the environment has no variable MISSING"),
            ({"env": "EMPTY"}, "EMPTY: is empty"),
            ({"env": "LINES"}, "LINES: is not a text on one line"),
            ({"file": "~nobody-of-that-name/x"}, "'~nobody-of-that-name/x': there is no such home folder"),
            ({"file": "none"}, "none can't be read: No such file or directory"),
            ("", "is empty"),
            (" ", "is empty"),
            ("hunter2\n", "is not a text on one line"),
        ):
            self.assertEqual(self.mistake(value), mistake)

    def test_files_that_are_none(self) -> None:
        """Nothing in it, too much, or no text."""
        for content, mistake in (
            (b"", "secret: is empty"),
            (b"\n", "secret: is empty"),
            (b"hunter2\nhunter3\n", "secret: is not a text on one line"),
            (b"hunter2\xff", "secret is not UTF-8 text"),
            (b"hunter2" * 10_000, "secret is too large for a secret"),
        ):
            self.assertEqual(self.mistake(self.file(content)), mistake)
