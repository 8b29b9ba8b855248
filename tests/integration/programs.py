"""Other people's programs that send and take mail: swaks, Postfix's smtp-source and smtp-sink."""

import os
import pwd
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from tests.integration.loopback import end, find_program, free_port, greets, wait_until


def swaks(port: int, *options: str, address: str = "127.0.0.1", tls: bool = False) -> str:
    """
    Send a message with swaks.

    :returns: the dialogue; TLS needs two modules of Perl, without them the test is skipped.
    :raises AssertionError: when it was not accepted.
    """
    program = find_program("swaks")
    if tls:
        have = subprocess.run(["perl", "-MNet::SSLeay", "-MIO::Socket::SSL", "-e1"], capture_output=True, check=False)
        if have.returncode:
            raise SkipTest("swaks has no TLS: perl lacks Net::SSLeay or IO::Socket::SSL")
    result = subprocess.run(
        [program, "--server", f"{address}:{port}", "--helo", "swaks.test", *(["--tls"] if tls else []), *options],
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    if result.returncode:
        raise AssertionError(f"swaks ended with {result.returncode}:\n{result.stdout}{result.stderr}")
    return result.stdout


class OwnServer:
    """A server of somebody else's in a folder of its own, as a user without rights: some refuse to run as root."""

    ends_with = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._become: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        """What starts it, in the foreground."""
        raise NotImplementedError

    def answers(self) -> bool:
        """Whether it can be used."""
        raise NotImplementedError

    def give_up_root(self) -> None:
        """From now on; the folder, with all that is in it now, is that user's."""
        if os.geteuid() == 0:
            user = pwd.getpwnam("nobody")
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user.pw_uid, user.pw_gid)
            self._become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(self, *command: str) -> None:
        """A program of it, to its end."""
        subprocess.run(
            command,
            cwd=self.folder,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60,
            **self._become,
        )

    def start(self) -> None:
        """Start it and wait until it can be used."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._become,
            )
        try:
            wait_until(self._is_up, 30, f"{type(self).__name__} answers")
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.send_signal(self.ends_with)
            end(self._process)

    def _is_up(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"it ended: {(self.folder / 'log').read_text()[-2000:]}")
        return self.answers()


class SmtpSink:
    """
    Postfix's smtp-sink: takes every message and writes each to a file of its own before it answers.

    :ivar port: where it listens, on 127.0.0.1.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        # As root it insists on becoming somebody else, who has to write here.
        folder.chmod(0o777)
        self.port = free_port()
        privileges = ["-u", "nobody"] if os.geteuid() == 0 else []
        self._process = subprocess.Popen(
            [find_program("smtp-sink"), *privileges, "-m", "200", "-d", "m.", f"127.0.0.1:{self.port}", "200"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: greets(self.port), 10, "smtp-sink greets")

    def close(self) -> None:
        """End it."""
        end(self._process)

    def messages(self) -> Iterator[bytes]:
        """Each transaction so far, complete or not, with the envelope in headers (see its manual)."""
        for path in self._folder.iterdir():
            yield path.read_bytes()

    def count(self) -> int:
        """Transactions so far."""
        return sum(1 for _ in self._folder.iterdir())


_RCPT = re.compile(rb"[^ ]*smtp-source: RCPT TO:<([^>]*)>")
_END_OF_DATA = re.compile(rb"[^ ]*smtp-source: \.\s*\Z")
_REPLY = re.compile(rb"[^ ]*smtp-source: <<< (\d{3})([ -])")


def smtp_source(
    port: int, count: int, recipient: str, accepted: Callable[[str], None], *, length: int = 300
) -> tuple[int, list[str]]:
    """
    Send messages over one connection with Postfix's smtp-source, to its end, be it good or bad.

    Each message gets a number in front of its recipient's address. With ``-v`` the program shows each command and
    each reply, and with a single session they come in order: so it is known exactly which numbers got their 250.

    :param accepted: called with the numbered recipient as soon as 250 to its end of data is seen.
    :returns: the exit status, and what it said at the end.
    """
    options = f"-v -s 1 -d -N -m {count} -l {length} -f source@client.test -M client.test -t {recipient}".split()
    process = subprocess.Popen(
        [find_program("smtp-source"), *options, f"127.0.0.1:{port}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stderr is not None
    current = ""
    in_content = False
    last: list[str] = []
    with process.stderr:
        for line in process.stderr:
            if match := _RCPT.match(line):
                current, in_content = match[1].decode("ascii"), False
            elif _END_OF_DATA.match(line):
                in_content = True
            elif (match := _REPLY.match(line)) and match[2] == b" ":
                if in_content and match[1] == b"250":
                    accepted(current)
                in_content = False
            last = [*last[-2:], line.decode("utf-8", "replace").rstrip()]
    return process.wait(), last
