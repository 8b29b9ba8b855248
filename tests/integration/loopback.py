"""Ports, waiting and folders: what every test with real programs needs. Blocking, standard library."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase


def free_port(address: str = "127.0.0.1") -> int:
    """A port that is free now, for TCP and UDP. Another program may take it before it is used: rare, and then loud."""
    for _ in range(50):
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind((address, port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")


def wait_until(question: Callable[[], object], seconds: float, what: str) -> None:
    """
    Ask again and again until the answer is true.

    :raises AssertionError: after so many seconds.
    """
    deadline = time.monotonic() + seconds
    while not question():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} seconds")
        time.sleep(0.02)


def greets(port: int, address: str = "127.0.0.1") -> bool:
    """Whether an SMTP server says 220 there. It gets a QUIT, so that it logs no trouble."""
    try:
        with socket.create_connection((address, port), timeout=5) as connection:
            greeted = connection.recv(512).startswith(b"220")
            connection.sendall(b"QUIT\r\n")
            connection.recv(512)
            return greeted
    except OSError:
        return False


def find_program(name: str) -> str:
    """
    Where a program is. Debian keeps those of servers out of a plain user's PATH.

    :raises SkipTest: when it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise SkipTest(f"{name} is not installed")
    return found


def end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]", seconds: float = 10.0) -> int:
    """Ask a process to end, and make it end when it does not. Its exit status."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def short_folder(case: SynchronousTestCase) -> Path:
    """A folder until the test ends. Paths of Unix sockets have 107 octets at most, so trial's own is too deep."""
    folder = Path(tempfile.mkdtemp(prefix="gw"))
    # Programs that give up root have to get in.
    folder.chmod(0o755)
    case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    return folder


class RealThingTestCase(SynchronousTestCase):
    """A test with processes and sockets: a folder with a short path, and everything ended at its end."""

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = short_folder(self)
