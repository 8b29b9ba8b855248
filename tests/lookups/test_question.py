"""What a source is asked, and what it is spared."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.question import Question, is_askable


class QuestionTests(SynchronousTestCase):
    """An address in its parts."""

    def test_values(self) -> None:
        """The address is quoted where SMTP quotes it, so that the part behind the last @ is always the domain."""
        self.assertEqual(
            Question("a@b", "ours.example").values(),
            {"local": "a@b", "domain": "ours.example", "address": '"a@b"@ours.example'},
        )
        self.assertEqual(Question("alice", "ours.example").address, "alice@ours.example")


class AskableTests(SynchronousTestCase):
    """No source is asked for what no mail system has."""

    def test_recipients(self) -> None:
        """Quotes, spaces, wildcards and other scripts may be names."""
        for local in ("alice", "o'hara", "a b", "*", "%", "jörg", "\\", '"', "x" * 256):
            self.assertTrue(is_askable(local), local)

    def test_none(self) -> None:
        """Control characters, nothing at all, too much, and what can't be written."""
        for local in ("", "a\x00", "a\r\nRSET", "\x7f", "\t", "x" * 257, "ö" * 129, "\udcff"):
            self.assertFalse(is_askable(local), ascii(local))
