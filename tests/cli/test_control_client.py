"""The command's end of the control socket, over a real one."""

import os
import socket
from pathlib import Path
from threading import Thread

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.cli.control_client import ControlClient, NoGateway
from smtpgw.cli.exits import CommandTrouble, Exit


class ClientTests(SynchronousTestCase):
    """Questions and answers."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.got = b""

    def serve(self, answer: bytes, folder: Path | None = None) -> Path:
        """Answer one connection, whatever it asks."""
        folder = folder or self.folder
        descriptor = os.open(folder, os.O_RDONLY)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(f"/proc/self/fd/{descriptor}/control.sock")
        os.close(descriptor)
        listener.listen()

        def run() -> None:
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                self.got = b""
                while b'"verb"' not in self.got.rpartition(b"\n")[0]:
                    self.got += stream.readline()
                connection.sendall(answer)

        thread = Thread(target=run, daemon=True)
        thread.start()
        self.addCleanup(listener.close)
        self.addCleanup(thread.join, 10)
        return folder

    def call(self, folder: Path, content: bytes | None = None) -> object:
        with ControlClient(folder, 10.0) as client:
            return client.call("stats", {"a": 1}, content)

    def trouble(self, folder: Path) -> CommandTrouble:
        trouble: CommandTrouble = self.assertRaises(CommandTrouble, self.call, folder)
        return trouble

    def test_result(self) -> None:
        """A long answer, too."""
        text = "x" * 1_000_000
        self.assertEqual(self.call(self.serve(b'{"ok":true,"result":"' + text.encode() + b'"}\n')), text)
        self.assertEqual(self.got, b'{"verb":"stats","arguments":{"a":1}}\n')

    def test_content(self) -> None:
        """Content of many lines goes ahead."""
        self.call(self.serve(b'{"ok":true,"result":null}\n'), b"y" * 1_000_000)
        self.assertEqual(self.got.count(b'{"piece":'), 3)

    def test_no(self) -> None:
        """The gateway's words, and the status of its code."""
        for code, status in (
            ("usage", Exit.USAGE),
            ("not_found", Exit.NO_INPUT),
            ("refused", Exit.DATA),
            ("temporary", Exit.TEMPORARY),
            ("unheard of", Exit.SOFTWARE),
        ):
            folder = self.folder / status.name
            folder.mkdir()
            self.serve(b'{"ok":false,"error":"no","code":"%s"}\n' % code.encode(), folder)
            trouble = self.trouble(folder)
            self.assertEqual((trouble.text, trouble.status), ("no", status))

    def test_nonsense(self) -> None:
        """Somebody else at that socket, or a gateway that dies: status 75."""
        for number, answer in enumerate((b"220 hello\n", b"", b'{"ok":tr', b"[]\n")):
            folder = self.folder / str(number)
            folder.mkdir()
            self.serve(answer, folder)
            self.assertEqual(self.trouble(folder).status, Exit.TEMPORARY)

    def test_no_gateway(self) -> None:
        """No folder, no socket, a socket that a killed gateway has left."""
        self.assertRaises(NoGateway, self.call, self.folder / "none")
        self.assertRaises(NoGateway, self.call, self.folder)
        left = socket.socket(socket.AF_UNIX)
        descriptor = os.open(self.folder, os.O_RDONLY)
        left.bind(f"/proc/self/fd/{descriptor}/control.sock")
        os.close(descriptor)
        left.close()
        self.assertEqual(self.assertRaises(NoGateway, self.call, self.folder).status, Exit.UNAVAILABLE)

    def test_long_folder(self) -> None:
        """A path that is too long for a Unix socket is no hindrance."""
        folder = self.folder / ("x" * 120)
        folder.mkdir()
        self.assertEqual(self.call(self.serve(b'{"ok":true,"result":1}\n', folder)), 1)

    def test_silence(self) -> None:
        """A gateway that hangs does not hang the command."""
        listener = socket.socket(socket.AF_UNIX)
        self.addCleanup(listener.close)
        descriptor = os.open(self.folder, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{descriptor}/control.sock")
        os.close(descriptor)
        listener.listen()
        with ControlClient(self.folder, 0.05) as client:
            trouble = self.assertRaises(CommandTrouble, client.call, "stats", {})
        self.assertEqual((trouble.text, trouble.status), ("the gateway does not answer in time", Exit.TEMPORARY))
