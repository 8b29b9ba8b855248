"""A line of the log is one line, whatever is in it."""

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.log.format import escaped, human_format, human_value, json_format
from smtpgw.log.lines import ERROR, INFO, WARN, Fields

_NASTY = (
    "\x1b[2J",  # a terminal's command
    "\x9b31m",  # the same in one character
    "\r\n250 ok",
    "\x00\x7f",
    "\u2028\u2029\x85",  # line ends to some readers
    "\u202etxt.exe",  # turns the direction
    "\u2066\u200b\ufeff",
    "\U000e0041",  # invisible letters
    "\ud800",  # half a pair
    '"\\',
)


class JsonTests(SynchronousTestCase):
    """For machines."""

    def setUp(self) -> None:
        self.write = json_format()

    def test_line(self) -> None:
        """Fixed keys first, then the fields in their order; times in UTC with milliseconds."""
        line = self.write(1_700_000_000.1239, WARN, "msg.queued", {"qid": "A", "delays": [0.5, 1.0], "tls": None})
        self.assertEqual(
            line,
            b'{"ts":"2023-11-14T22:13:20.123Z","level":"warn","event":"msg.queued","qid":"A","delays":[0.5,1.0],'
            b'"tls":null}\n',
        )

    def test_seconds_go_on(self) -> None:
        """The part that is kept is made anew when the second is another, also an earlier one."""
        stamps = [json.loads(self.write(now, INFO, "e", {}))["ts"][-13:] for now in (0.0, 0.999, 1.0, 61.5, 0.25)]
        self.assertEqual(stamps, ["00:00:00.000Z", "00:00:00.999Z", "00:00:01.000Z", "00:01:01.500Z", "00:00:00.250Z"])

    def test_letters_stay(self) -> None:
        """Addresses in other scripts can be read."""
        self.assertIn("jörg@bücher.例".encode(), self.write(0.0, INFO, "e", {"to": ["jörg@bücher.例"]}))

    @given(st.lists(st.one_of(st.sampled_from(_NASTY), st.text(max_size=20))).map("".join))
    def test_any_text(self, text: str) -> None:
        """Printable on one line, and the text comes back as it was."""
        line = self.write(0.0, INFO, "e", {"a": text, "b": [text]})
        shown = line.decode()
        self.assertTrue(shown[:-1].isprintable(), shown)
        self.assertEqual(shown[-1], "\n")
        whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        if "\ufffd" not in whole:
            self.assertEqual(json.loads(shown)["b"], [text])


class HumanTests(SynchronousTestCase):
    """For people."""

    def setUp(self) -> None:
        self.write = human_format(colours=False)

    def test_line(self) -> None:
        """Words as they are where they are plain, quoted where not, nothing for what is empty."""
        fields: Fields = {
            "qid": "A",
            "from": "",
            "to": ["a@b", "c d@e"],
            "tls": None,
            "helo": "",
            "reply": "250 ok",
            "d": [0.5, 1.0],
            "x": True,
        }
        line = self.write(1_700_000_000.1239, INFO, "msg.queued", fields).decode()
        self.assertEqual(
            line,
            '2023-11-14T22:13:20.123Z info  msg.queued     qid=A from=<> to=a@b,"c d@e" reply="250 ok" d=0.5/1 x=yes\n',
        )

    def test_colours(self) -> None:
        """Only where asked for; the words are the same."""
        coloured = human_format(colours=True)(0.0, ERROR, "log", {"text": "x"}).decode()
        self.assertIn("\x1b[31merror\x1b[0m", coloured)

    def test_traceback(self) -> None:
        """On lines of its own that can't be taken for lines of the log."""
        line = self.write(0.0, ERROR, "log", {"text": "x", "traceback": "a\nfake\x1b[2J\n"}).decode()
        self.assertEqual(line.partition("\n")[2], "    | a\n    | fake\\x1b[2J\n")

    @given(st.lists(st.one_of(st.sampled_from(_NASTY), st.text(max_size=20))).map("".join))
    def test_any_text(self, text: str) -> None:
        """Printable on one line; a quote within can't end the value."""
        line = self.write(0.0, INFO, "e", {"a": text, "b": [text, text]}).decode()
        self.assertTrue(line[:-1].isprintable(), line)
        value = human_value(text)
        if value.startswith('"'):
            inner = value[1:-1].replace("\\\\", "")
            self.assertNotIn('"', inner.replace('\\"', ""))

    def test_escapes(self) -> None:
        """What is not printable is told by its code."""
        self.assertEqual(escaped("a\tb\r\n\x1b\u202e\U000e0041\\"), r"a\tb\r\n\x1b\u202e\U000e0041" + "\\\\")
