"""The words of the control socket."""

import base64
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.control_protocol import (
    MAX_LINE_OCTETS,
    ControlTrouble,
    Request,
    read_request,
    read_response,
    socket_path,
    write_request,
    write_result,
    write_trouble,
)


class RequestTests(SynchronousTestCase):
    """What the command sends."""

    def test_there_and_back(self) -> None:
        """A verb and its arguments, on one line."""
        (line,) = write_request("queue.list", {"limit": 5, "x": "a\nb"})
        self.assertEqual(line.count(b"\n"), 1)
        self.assertEqual(read_request(line), Request("queue.list", {"limit": 5, "x": "a\nb"}))

    def test_content(self) -> None:
        """However long, in lines that are not too long; the pieces together are its base64."""
        for length in (0, 1, 3 * 128 * 1024, 2_000_000):
            content = os.urandom(length)
            *pieces, request = write_request("send", {}, content)
            self.assertTrue(pieces)
            self.assertLess(max(map(len, pieces)), MAX_LINE_OCTETS)
            text = "".join(str(read_request(line).piece) for line in pieces)
            self.assertEqual(base64.b64decode(text, validate=True), content)
            self.assertEqual(read_request(request), Request("send"))

    def test_wrong(self) -> None:
        """Anything else is refused in words, and the peer's words are not executed, shown or kept."""
        for line in (
            b"",
            b"x",
            b"[]",
            b"{}",
            b'{"verb": 1}',
            b'{"verb": "a", "arguments": []}',
            b'{"verb": "a", "piece": "eA=="}',
            b'{"piece": 1}',
            b'{"verb": "\xff"}',
            b"[" * 100_000,
        ):
            self.assertEqual(self.assertRaises(ControlTrouble, read_request, line).code, "usage")

    @given(st.binary(max_size=100))
    def test_any_line(self, line: bytes) -> None:
        """A request or a refusal, never another exception."""
        try:
            self.assertIsInstance(read_request(line), Request)
        except ControlTrouble as trouble:
            self.assertEqual(trouble.code, "usage")


class ResponseTests(SynchronousTestCase):
    """What the gateway answers."""

    def test_result(self) -> None:
        """Any JSON."""
        response = read_response(write_result({"a": [1, None]}))
        self.assertEqual((response.ok, response.result), (True, {"a": [1, None]}))
        self.assertEqual(write_result(None), b'{"ok":true,"result":null}\n')

    def test_trouble(self) -> None:
        """A text and a code."""
        response = read_response(write_trouble(ControlTrouble("not\nhere", "not_found")))
        self.assertEqual((response.ok, response.error, response.code), (False, "not\nhere", "not_found"))

    def test_wrong(self) -> None:
        """Told as ValueError."""
        for line in (b"", b"[]", b'{"ok": 1}', b"{}"):
            self.assertRaises(ValueError, read_response, line)


class PathTests(SynchronousTestCase):
    """Where the socket is, also in a folder with a long name."""

    def test_short(self) -> None:
        """In the folder."""
        self.assertEqual(socket_path(Path("/srv/spool"), None), "/srv/spool/control.sock")

    def test_long(self) -> None:
        """A Unix socket's path is short: another name of the folder is used, or it is said."""
        folder = Path(self.mktemp()).absolute() / ("x" * 120)
        folder.mkdir(parents=True)
        descriptor = os.open(folder, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        self.assertIn("too long", str(self.assertRaises(ValueError, socket_path, folder, None)))
        if not Path("/proc/self/fd").exists():
            self.skipTest("no /proc here")
        path = socket_path(folder, descriptor)
        self.assertLess(len(path), 100)
        (folder / "control.sock").touch()
        self.assertTrue(Path(path).exists())
