"""Runs the command within the test's process, against a gateway that is a dictionary."""

import io
import os
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from msgspec import Struct
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.cli.control_client import NoGateway
from smtpgw.cli.main import main
from smtpgw.cli.target import Target


class Ran(Struct):
    """How it ended."""

    status: int
    out: str
    err: str


class Input(io.TextIOWrapper):
    """Standard input."""

    def __init__(self, octets: bytes, *, is_terminal: bool) -> None:
        super().__init__(io.BytesIO(octets))
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


class CommandTestCase(SynchronousTestCase):
    """
    A test of the command.

    ``answers`` are those of the running gateway by verb, values or functions of the arguments; without any, none runs.
    ``calls`` are the requests that it got: verb, arguments, content.
    """

    def setUp(self) -> None:
        self.answers: dict[str, Any] = {}
        self.calls: list[tuple[str, dict[str, Any], bytes | None]] = []
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        test = self

        def call(
            self: Target, verb: str, arguments: dict[str, Any], content: bytes | None = None, wait_seconds: float = 0
        ) -> Any:
            if not test.answers:
                raise NoGateway(self.folder)
            if verb == "stats" and verb not in test.answers:
                # The list of the queue asks by the way whether delivery is paused.
                return {}
            test.calls.append((verb, arguments, content))
            answer = test.answers[verb]
            return answer(arguments) if isinstance(answer, Callable) else answer  # type: ignore[arg-type]

        self.patch(Target, "call", call)
        self.patch(os, "environ", {"PATH": os.environ.get("PATH", "")})

    def run_command(self, *arguments: str, octets: bytes = b"", is_terminal: bool = False) -> Ran:
        """Run ``smtpgw --spool FOLDER`` with these arguments."""
        return self.run_bare("--spool", str(self.folder), *arguments, octets=octets, is_terminal=is_terminal)

    def run_bare(self, *arguments: str, octets: bytes = b"", is_terminal: bool = False) -> Ran:
        """Run ``smtpgw`` with these arguments and no others."""
        out, err = io.StringIO(), io.StringIO()
        self.patch(sys, "stdin", Input(octets, is_terminal=is_terminal))
        with redirect_stdout(out), redirect_stderr(err):
            status = main(arguments)
        return Ran(int(status), out.getvalue(), err.getvalue())
