"""
The gate: what every change must pass besides the tests. Standard library only.

``gate.py`` runs the tools in order and stops at the first that objects. A tool that is not installed is reported as
skipped, never as passed; with ``--need-all`` it is a failure. ``gate.py --count FILE`` reads the output of trial from
a file and prints one line of counts; it fails when there is no summary in it, or one that says FAILED.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PYTHON_FOLDERS = ("smtpgw", "twisted", "tests", "benchmarks", "docs", "setup.py")

FIXED_NAMES = "tlsProtocol,proto,server_hostname"
"""Parameters that Twisted and dnspython pass by these names, needed or not."""

TEXTS = ("docs", "newsfragments", "README.rst", "NEWS.rst", "CONTRIBUTING.rst", "Makefile", "setup.cfg")

TOOLS: tuple[tuple[str, ...], ...] = (
    ("ruff", "format", "--check", "--quiet", "--output-format", "concise", *PYTHON_FOLDERS),
    ("ruff", "check", "--quiet", *PYTHON_FOLDERS),
    ("lint-imports", "--no-cache"),
    ("mypy", "smtpgw", "tests"),
    ("codespell", "smtpgw", "twisted", "tests", "benchmarks", *TEXTS),
    ("vulture", "--min-confidence", "80", "--ignore-names", FIXED_NAMES, "smtpgw", "twisted", "tests"),
)
"""In order of their cost, but for those that only make sense when the others pass."""

_RAN = re.compile(r"^Ran (\d+) tests? in ")
_SUMMARY = re.compile(r"^(PASSED|FAILED)(?: \(([a-zA-Z]+=\d+(?:, [a-zA-Z]+=\d+)*)\))?$")


def find_tool(name: str) -> str | None:
    """Where a tool is: beside the interpreter that runs the gate, else in the PATH."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def news_base() -> str | None:
    """The commit that a change is compared with for its news fragment; ``None`` where there is nothing to compare."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        return None
    for branch in ("origin/main", "main"):
        command = ["git", "merge-base", "HEAD", branch]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False)
        if found.returncode == 0 and found.stdout != head.stdout:
            return found.stdout.strip()
    return None


def run(command: Sequence[str]) -> str:
    """
    Run one tool on the project.

    :returns: ``passed``, ``skipped`` or ``failed``. What the tool says goes where the gate's own output goes.
    """
    tool = find_tool(command[0])
    shown = " ".join(command[:2])
    if tool is None:
        print(f"gate: {shown}: skipped, {command[0]} is not installed")
        return "skipped"
    result = subprocess.run([tool, *command[1:]], cwd=ROOT, check=False, capture_output=True, text=True)
    if result.returncode == 0:
        print(f"gate: {shown}: passed")
        return "passed"
    print(result.stdout, result.stderr, sep="")
    print(f"gate: {shown}: failed")
    return "failed"


def gate(*, needs_all: bool) -> int:
    """Run all of it; the exit status."""
    commands = list(TOOLS)
    base = news_base()
    if base is None:
        print("gate: towncrier check: skipped, there is no earlier commit to compare with")
    else:
        commands.append(
            ("towncrier", "check", "--config", "smtpgw/towncrier.toml", "--dir", ".", "--compare-with", base)
        )
    skipped = []
    for command in commands:
        result = run(command)
        sys.stdout.flush()
        if result == "failed":
            return 1
        if result == "skipped":
            skipped.append(command[0])
    if skipped:
        print(f"gate: not complete, without {', '.join(skipped)}")
        return 1 if needs_all else 0
    print("gate: passed")
    return 0


def count(lines: Sequence[str]) -> tuple[str, bool]:
    """
    The counts of a run of trial.

    :returns: a line like ``12 passed, 0 failed, 1 skipped``, and whether the run as a whole passed. Only the last
        summary counts: tests that run trial themselves may print others before.
    """
    ran = summary = None
    for line in lines:
        text = line.rstrip("\r\n")
        if match := _RAN.match(text):
            ran, summary = int(match[1]), None
        elif ran is not None and (match := _SUMMARY.match(text)):
            summary = match
    if ran is None or summary is None:
        return "no summary of a test run: it ended before its end", False
    numbers = {key: int(value) for key, value in (pair.split("=") for pair in (summary[2] or "").split(", ") if pair)}
    failed = numbers.get("failures", 0) + numbers.get("errors", 0) + numbers.get("unexpectedSuccesses", 0)
    passed = numbers.get("successes", 0) + numbers.get("expectedFailures", 0)
    text = f"{passed} passed, {failed} failed, {numbers.get('skips', 0)} skipped"
    return text, summary[1] == "PASSED" and failed == 0 and passed > 0


def main(arguments: Sequence[str]) -> int:
    """Read the command line; the exit status."""
    match list(arguments):
        case ["--count", name]:
            text, passed = count(Path(name).read_text(encoding="utf-8", errors="replace").splitlines())
            print(text)
            return 0 if passed else 1
        case []:
            return gate(needs_all=False)
        case ["--need-all"]:
            return gate(needs_all=True)
        case _:
            print("usage: gate.py [--need-all | --count FILE]", file=sys.stderr)
            return 64


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
