"""Starting and stopping, as an operator does it."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.integration.gateway import Gateway, environment, run_command, run_twistd, twistd
from tests.integration.loopback import RealThingTestCase, end, find_program, free_port, greets, wait_until


class RefusedStartTests(RealThingTestCase):
    """What can't work ends with status 1 before anything is served."""

    def test_port_in_use(self) -> None:
        """A port that can't be bound is one clear line with the port in it."""
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            result = run_twistd("--port", str(port), cwd=self.folder)
        self.assertEqual(1, result.returncode, result.stderr)
        (line,) = result.stderr.decode("utf-8").splitlines()
        self.assertIn(str(port), line)
        self.assertNotIn(b"Traceback", result.stdout)

    def test_every_error_at_once(self) -> None:
        """A wrong configuration is refused with each of its errors, each with file, line and key."""
        text = 'hostnam = "mx.test"\n[spool]\nmin_free = "many"\n[[listen]]\nendpoint = "tcp:2525"\ntls = "starttsl"\n'
        (self.folder / "wrong.toml").write_text(text, encoding="utf-8")
        result = run_twistd("--config", "wrong.toml", cwd=self.folder)
        self.assertEqual(1, result.returncode, result.stderr)
        shown = (result.stdout + result.stderr).decode("utf-8")
        for pattern in (
            r"wrong\.toml:1: .*hostnam.*hostname",
            r"wrong\.toml:3: spool\.min_free.*many",
            r"wrong\.toml:6: listen\[0\]\.tls.*starttsl.*starttls",
        ):
            self.assertRegex(shown, pattern)
        self.assertNotIn("Traceback", shown)
        # The check before the start says the same.
        checked = run_command("check", "wrong.toml", cwd=self.folder)
        self.assertEqual(78, checked.returncode)
        for line in re.findall(r"wrong\.toml:\d+: .*", shown):
            self.assertIn(line, (checked.stdout + checked.stderr).decode("utf-8"))

    def test_no_such_file(self) -> None:
        """A configuration file that is not there is named."""
        result = run_twistd("--config", "nowhere.toml", cwd=self.folder)
        self.assertEqual(1, result.returncode)
        self.assertIn(b"nowhere.toml", result.stdout + result.stderr)
        self.assertNotIn(b"Traceback", result.stdout + result.stderr)

    def test_unknown_option(self) -> None:
        """An option that does not exist is refused with the usage."""
        result = run_twistd("--prot", "2525", cwd=self.folder)
        self.assertEqual(1, result.returncode)
        self.assertIn(b"--port", result.stdout + result.stderr)


class RunTests(RealThingTestCase):
    """It serves, and it ends when it is asked to."""

    def runner(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a command in the folder, ended after the test whatever happens."""
        with (self.folder / "output").open("wb") as output:
            process = subprocess.Popen(
                command, cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self.addCleanup(end, process)
        return process

    def serves(self, process: "subprocess.Popen[bytes]", port: int) -> None:
        """Wait until it greets."""

        def answers() -> bool:
            if process.poll() is not None:
                raise AssertionError((self.folder / "output").read_text(encoding="utf-8")[-3000:])
            return greets(port)

        wait_until(answers, 30, "it greets")

    def test_twist(self) -> None:
        """The other runner, ``python -m twisted``, serves too, without any configuration."""
        port = free_port()
        process = self.runner(sys.executable, "-m", "twisted", "smtpgw", "--port", str(port))
        self.serves(process, port)
        process.send_signal(signal.SIGTERM)
        process.wait(15)

    def test_no_configuration(self) -> None:
        """Without any configuration it keeps its spool in the current folder, and relays for nobody by omission."""
        port = free_port()
        process = self.runner(
            twistd(), "-n", "--pidfile=", "smtpgw", "--port", str(port), "--relay-from", "192.0.2.0/24"
        )
        self.serves(process, port)
        self.assertTrue((self.folder / "smtpgw-spool").is_dir())
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            answers = connection.makefile("rb")
            answers.readline()
            for command, reply in (
                (b"HELO client.test", b"250"),
                (b"MAIL FROM:<a@client.test>", b"250 2."),
                (b"RCPT TO:<b@elsewhere.test>", b"550 5.7.1 "),
            ):
                connection.sendall(command + b"\r\n")
                self.assertEqual(reply, answers.readline()[: len(reply)])

    def test_sigterm(self) -> None:
        """SIGTERM ends it within seconds, also while a client is connected, and the client is told."""
        gateway = Gateway(self.folder)
        gateway.start()
        with socket.create_connection(("127.0.0.1", gateway.port), timeout=60) as connection:
            answers = connection.makefile("rb")
            self.assertTrue(answers.readline().startswith(b"220 "))
            started = time.monotonic()
            status = gateway.stop()
            self.assertLess(time.monotonic() - started, 10)
            self.assertTrue(answers.read().startswith(b"421 4.3.2 "))
        self.assertIn(status, (0, -signal.SIGTERM))
        self.assertNotIn("Traceback", gateway.log_text())
        self.assertFalse(greets(gateway.port))

    def test_second_gateway(self) -> None:
        """A second gateway on the same spool is refused: one process owns it."""
        first = Gateway(self.folder)
        first.start()
        self.addCleanup(first.stop)
        text = first.file.read_text(encoding="utf-8").replace(str(first.port), str(free_port()))
        (self.folder / "second.toml").write_text(text, encoding="utf-8")
        result = run_twistd("--config", "second.toml", cwd=self.folder)
        self.assertEqual(1, result.returncode, result.stdout)
        self.assertNotIn(b"Traceback", result.stdout + result.stderr)
        self.assertTrue(greets(first.port))

    def test_starts_again(self) -> None:
        """After SIGKILL it starts again by itself, on the same spool."""
        gateway = Gateway(self.folder)
        for _ in range(3):
            gateway.start()
            gateway.kill()
        gateway.start()
        self.assertIn(gateway.stop(), (0, -signal.SIGTERM))


class DemoTests(RealThingTestCase):
    """What a newcomer runs first."""

    timeout = 150

    def test_demo(self) -> None:
        """``smtpgw demo`` shows where each message goes, and ends with status 0 when all have an outcome."""
        result = run_command("demo", cwd=self.folder, seconds=120)
        self.assertEqual(0, result.returncode, (result.stdout + result.stderr).decode("utf-8")[-3000:])
        self.assertEqual([], [path.name for path in self.folder.iterdir()], "it leaves nothing behind")


class MakeTests(RealThingTestCase):
    """The README's two commands."""

    def test_readme(self) -> None:
        """``make run`` and ``make test`` stand in the README, and make knows both."""
        root = Path(__file__).resolve().parent.parent.parent
        readme = (root / "README.rst").read_text(encoding="utf-8")
        make = find_program("make")
        # Not those of the make that may have started these tests.
        outside = {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))}
        for target, does in (("run", "twistd -n --pidfile= smtpgw --port 2525"), ("test", "-m twisted.trial tests")):
            self.assertIn(f"make {target}", readme)
            command = [make, "--dry-run", "--always-make", target]
            plan = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, env=outside)
            self.assertEqual(0, plan.returncode, plan.stderr)
            self.assertIn(does, plan.stdout)
