"""The command as a whole."""

import os
import subprocess
import sys
from pathlib import Path

from smtpgw.cli.exits import CommandTrouble, Exit
from smtpgw.version import VERSION
from tests.cli.running import CommandTestCase


class UsageTests(CommandTestCase):
    """What was typed."""

    def test_help(self) -> None:
        """Every verb is listed."""
        ran = self.run_bare("--help")
        self.assertEqual((ran.status, ran.err), (0, ""))
        for verb in ("check", "demo", "password", "queue", "send", "stats"):
            self.assertIn(f"\n  {verb} ", ran.out)

    def test_help_of_verbs(self) -> None:
        """Every verb explains itself, and takes --json."""
        for verb in ("check", "demo", "password", "send", "stats", *(f"queue {name}" for name in self.queue_verbs)):
            ran = self.run_bare(*verb.split(), "--help")
            self.assertEqual(ran.status, 0, verb)
            self.assertIn("--json", ran.out, verb)

    queue_verbs = ("list", "summary", "show", "retry", "hold", "release", "drop")

    def test_version(self) -> None:
        """As others print it."""
        self.assertEqual(self.run_bare("--version").out, f"smtpgw {VERSION}\n")

    def test_not_understood(self) -> None:
        """Status 64 and a hint."""
        for arguments in (
            (),
            ("nothing",),
            ("queue", "nothing"),
            ("stats", "--nothing"),
            ("--spool", "a", "--config", "b", "stats"),
            ("queue", "show"),
            ("queue", "show", "ABC"),
            ("queue", "list", "--older", "soon"),
            ("queue", "list", "--state", "lost"),
        ):
            ran = self.run_bare(*arguments)
            self.assertEqual((ran.status, ran.out), (Exit.USAGE, ""), arguments)
            self.assertIn("Usage: smtpgw", ran.err)


class TargetTests(CommandTestCase):
    """Which gateway."""

    def test_folders(self) -> None:
        """--spool, --config, the environment, the current folder."""
        path = self.folder / "c.toml"
        path.write_text('[spool]\nstore = "q"\n')
        for arguments, folder in (
            (("--spool", str(self.folder / "s")), self.folder / "s"),
            (("--spool", os.path.relpath(self.folder / "s")), self.folder / "s"),
            (("--config", str(path)), self.folder / "q"),
            ((), Path.cwd() / "smtpgw-spool"),
        ):
            ran = self.run_bare(*arguments, "stats")
            self.assertEqual(ran.status, Exit.UNAVAILABLE)
            self.assertEqual(ran.err, f"smtpgw: no gateway runs with the spool {folder}\n")
        self.patch(os, "environ", {"SMTPGW_SPOOL__STORE": "/elsewhere"})
        self.assertIn("/elsewhere", self.run_bare("stats").err)

    def test_wrong_configuration(self) -> None:
        """Status 78, and the line that is wrong."""
        path = self.folder / "c.toml"
        path.write_text("[spool]\nstore = 1\n")
        ran = self.run_bare("--config", str(path), "stats")
        self.assertEqual(ran.status, Exit.CONFIG)
        self.assertEqual(ran.err, f"{path}:2: spool.store: 1 is not a text on one line that says something\n")


class EndTests(CommandTestCase):
    """How it ends."""

    def test_trouble(self) -> None:
        """The gateway's words and the status that goes with them."""

        def refuse(arguments: object) -> object:
            raise CommandTrouble("not now", Exit.TEMPORARY)

        self.answers["stats"] = refuse
        ran = self.run_command("stats")
        self.assertEqual((ran.status, ran.out, ran.err), (75, "", "smtpgw: not now\n"))

    def run_process(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=environ, timeout=60, check=False
        )

    def test_no_twisted(self) -> None:
        """The command starts fast: no reactor ever, and no Twisted at all for most verbs."""
        code = (
            "import sys, smtpgw.cli.main as m, smtpgw.cli.queue, smtpgw.cli.send, smtpgw.cli.stats, smtpgw.cli.check\n"
            "m.main(['--spool', '/nowhere', 'queue', 'list'])\n"
            "print([name for name in sys.modules if name.partition('.')[0] in ('twisted', 'rich', 'zope')])"
        )
        self.assertEqual(self.run_process("-c", code).stdout, "[]\n")

    def test_demo_leaves_the_reactor_alone(self) -> None:
        """Listing the verbs imports the demo, and that must not choose a reactor."""
        code = "import sys, smtpgw.cli.main as m\nm.main(['--help'])\nprint('twisted.internet.reactor' in sys.modules)"
        self.assertTrue(self.run_process("-c", code).stdout.endswith("False\n"))

    def test_reader_has_enough(self) -> None:
        """A pipe into head ends quietly."""
        done = subprocess.run(
            [
                "sh",
                "-c",
                '"$0" -c "from smtpgw.cli.main import main; import sys; sys.exit(main([\'--help\']))" | true',
                sys.executable,
            ],
            capture_output=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            timeout=60,
            check=False,
        )
        self.assertEqual((done.stderr, done.returncode), (b"", 0))
