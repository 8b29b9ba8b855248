"""The gateway as a process of its own, as an operator runs it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.integration.loopback import end, find_program, free_port, greets, wait_until

ROOT = Path(__file__).resolve().parent.parent.parent

_START_SECONDS = 30.0


def twistd() -> str:
    """The twistd of this interpreter's environment, else the one in the PATH."""
    beside = Path(sys.executable).parent / "twistd"
    return str(beside) if beside.exists() else find_program("twistd")


def environment() -> dict[str, str]:
    """Ours, with the project to be found also where it is not installed; no setting of the gateway from outside."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("SMTPGW_")}
    kept["PYTHONPATH"] = os.pathsep.join(part for part in (str(ROOT), kept.get("PYTHONPATH", "")) if part)
    return kept


class Gateway:
    """
    One gateway: a folder, a configuration, a port, and at most one process at a time.

    :ivar port: where it listens, on 127.0.0.1.
    :ivar starts: how often it was started.
    """

    def __init__(self, folder: Path, configuration: str = "", listen: str = "") -> None:
        """
        :param configuration: TOML of the top level first; ``[spool]`` and ``[[listen]]`` are written here.
        :param listen: more keys for the listener.
        """
        self.folder = folder
        self.port = free_port()
        self.starts = 0
        self.log = folder / "gateway.log"
        self.spool = folder / "spool"
        self.file = folder / "smtpgw.toml"
        self.file.write_text(
            f'hostname = "gw.test"\n{configuration}\n[spool]\nstore = "spool"\nmin_free = "1 MiB"\n'
            f'[[listen]]\nendpoint = "tcp:{self.port}:interface=127.0.0.1"\n{listen}\n',
            encoding="utf-8",
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it greets."""
        self.launch()
        self.wait_for_greeting()

    def launch(self) -> None:
        """Start it, without waiting."""
        self.starts += 1
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [twistd(), "-n", "--pidfile=", "smtpgw", "--config", str(self.file)],
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_for_greeting(self) -> None:
        """Until it says 220; at once when it has ended instead."""

        def answers() -> bool:
            self.assert_running()
            return greets(self.port)

        wait_until(answers, _START_SECONDS, "the gateway greets")

    def assert_running(self) -> None:
        """It has not ended; otherwise what it said is shown."""
        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"the gateway ended with {self._process.returncode}:\n{self.log_text()[-3000:]}")

    def kill(self) -> None:
        """SIGKILL: nothing of it gets to do anything any more."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> int:
        """SIGTERM; the exit status. Also when it has ended already."""
        return end(self._process, 45.0) if self._process is not None else 0

    def log_text(self) -> str:
        """All that it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def command(self, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run ``smtpgw --config FILE words``."""
        return run_command("--config", str(self.file), *words, cwd=self.folder, stdin=stdin)


def run_command(
    *words: str, cwd: Path, stdin: bytes = b"", seconds: float = 60.0
) -> subprocess.CompletedProcess[bytes]:
    """Run the ``smtpgw`` command with this interpreter."""
    code = "import sys; from smtpgw.cli.main import main; sys.exit(main())"
    return _run([sys.executable, "-c", code, *words], cwd, stdin, seconds)


def run_twistd(*words: str, cwd: Path, seconds: float = 30.0) -> subprocess.CompletedProcess[bytes]:
    """Run ``twistd -n smtpgw words`` that is expected to end by itself."""
    return _run([twistd(), "-n", "--pidfile=", "smtpgw", *words], cwd, b"", seconds)


def _run(command: Sequence[str], cwd: Path, stdin: bytes, seconds: float) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command, cwd=cwd, env=environment(), input=stdin, capture_output=True, check=False, timeout=seconds
    )
