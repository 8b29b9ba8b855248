"""The line of counts at the end of a run tells the truth."""

import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.gate import count, run

GATE = Path(__file__).resolve().parent / "gate.py"


class CountTests(SynchronousTestCase):
    """Trial's own summary, read."""

    def test_passed(self) -> None:
        """A run in which everything passed, some of it skipped."""
        lines = ["Ran 12 tests in 1.5s", "", "PASSED (skips=2, successes=10)"]
        self.assertEqual(("10 passed, 0 failed, 2 skipped", True), count(lines))

    def test_failed(self) -> None:
        """Failures and errors are both failed, and an unexpected success is too."""
        lines = [
            "Ran 9 tests in 1.5s",
            "",
            "FAILED (skips=1, failures=2, errors=3, unexpectedSuccesses=1, successes=2)",
        ]
        self.assertEqual(("2 passed, 6 failed, 1 skipped", False), count(lines))

    def test_nothing_ran(self) -> None:
        """A run without any test did not pass."""
        self.assertEqual(("0 passed, 0 failed, 0 skipped", False), count(["Ran 0 tests in 0.0s", "", "PASSED"]))

    def test_all_skipped(self) -> None:
        """A run in which everything was skipped did not pass."""
        self.assertEqual(("0 passed, 0 failed, 3 skipped", False), count(["Ran 3 tests in 0.1s", "PASSED (skips=3)"]))

    def test_broken_off(self) -> None:
        """A run that ended before its summary did not pass."""
        text, passed = count(["tests.test_gate", "  CountTests", "    test_passed ...   [OK]"])
        self.assertIn("no summary", text)
        self.assertFalse(passed)

    def test_last_one_counts(self) -> None:
        """The summary of a run inside of a test is not the summary, not even when ours is missing."""
        inner = ["Ran 1 tests in 0.1s", "", "PASSED (successes=1)"]
        self.assertEqual(
            "2 passed, 0 failed, 0 skipped", count([*inner, "Ran 2 tests in 1s", "PASSED (successes=2)"])[0]
        )
        self.assertFalse(count([*inner, "Ran 2 tests in 1s"])[1])


class ToolTests(SynchronousTestCase):
    """What is not there has not passed."""

    def test_not_installed(self) -> None:
        """A tool that is not installed is skipped."""
        with redirect_stdout(StringIO()) as shown:
            self.assertEqual("skipped", run(["there-is-no-such-tool"]))
        self.assertIn("skipped", shown.getvalue())

    def test_verdicts(self) -> None:
        """A tool's exit status is its verdict."""
        with redirect_stdout(StringIO()):
            self.assertEqual("passed", run(["true"]))
            self.assertEqual("failed", run(["false"]))

    def test_unknown_option(self) -> None:
        """A misspelt option is an error, not a gate that passes."""
        result = subprocess.run([sys.executable, str(GATE), "--need-al"], capture_output=True, check=False)
        self.assertEqual(64, result.returncode)
