"""
Fuzzes the targets, guided by coverage; needs atheris.

``python -m tests.fuzz.run [--seconds N] [--keep] [TARGET ...]``: all targets in turn share the time. An input that
breaks a promise is written to the corpus as ``crash-...``, and the exit status is 1. With ``--keep`` what has reached
new code is kept in the corpus, too, made small first.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.catalogue import CORPUS, TARGETS

_LARGEST = 4096


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Fuzz smtpgw.")
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"{', '.join(TARGETS)}; all if none is named")
    parser.add_argument("--seconds", type=int, default=600, help="for all of them together")
    parser.add_argument("--keep", action="store_true", help="keep what reached new code")
    options = parser.parse_args()
    names = options.targets or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"no such target: {', '.join(unknown)}")
    broken = [name for name in names if not _run(name, max(1, options.seconds // len(names)), keep=options.keep)]
    sys.stdout.write(f"{len(names)} targets, {options.seconds} seconds: {', '.join(broken) or 'nothing found'}\n")
    return 1 if broken else 0


def _run(name: str, seconds: int, *, keep: bool) -> bool:
    """In a process of its own, whether nothing was found."""
    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    me = [sys.executable, "-m", "tests.fuzz.one", name]
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder)
        limits = [f"-max_total_time={seconds}", f"-max_len={_LARGEST}", "-timeout=20", "-rss_limit_mb=2048"]
        sys.stdout.write(f"{name}: {seconds} seconds\n")
        sys.stdout.flush()
        done = subprocess.run(
            [*me, *limits, "-print_final_stats=1", "-verbosity=0", f"-artifact_prefix={kept}/", folder, str(kept)],
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        told = [line for line in done.stderr.splitlines() if not line.startswith(("INFO:", "WARNING:", '"', "###"))]
        sys.stdout.write("".join(f"  {line}\n" for line in told))
        if keep and not done.returncode and any(found.iterdir()):
            # By lines reached, not by how often: the corpus is run with the tests, and must stay small.
            merge = [*me, "-set_cover_merge=1", "-use_counters=0", f"-max_len={_LARGEST}", str(kept), folder]
            subprocess.run(merge, stderr=subprocess.DEVNULL, check=True)
    return not done.returncode


if __name__ == "__main__":
    sys.exit(main())
