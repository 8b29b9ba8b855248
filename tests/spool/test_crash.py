"""A process that is killed at any moment has kept what it acknowledged, and nothing halfway."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import smtpgw
from smtpgw.spool.query import open_reader
from tests.spool.crash_child import content_of
from tests.spool.examples import SpoolTestCase, example_entry, read_body

_ROUNDS = 4
_SEED = 20_260_101


class KillTests(SpoolTestCase):
    """kill -9, at random moments, one after the other on the same spool."""

    def test_killed(self) -> None:
        """Each acknowledged message is there whole, each acknowledged removal stays one, no file is left over."""
        rng = random.Random(_SEED)
        kept: set[int] = set()
        uncertain: set[int] = set()
        for _ in range(_ROUNDS):
            added, asked, removed = self.run_and_kill(rng.randrange(1 << 30), rng.randrange(20, 800))
            kept = (kept | added) - asked
            uncertain = (uncertain | asked) - removed
            # A command may read before a gateway starts again; it finds the newest in the WAL and changes nothing.
            with open_reader(self.folder, self.clock) as queue:
                found = queue.summary()["messages"]
            spool = self.open_spool(inline_limit_octets=3000)
            waiting: dict[int, list[int]] = {}
            for one in spool.recover():
                waiting.setdefault(one.queue_id, []).append(one.slot)
            self.assertEqual(found, len(waiting))
            self.assertEqual(kept - waiting.keys(), set())
            self.assertEqual(removed & waiting.keys(), set())
            for queue_id in waiting:
                stored = self.fetch(spool, queue_id)
                size = len(content_of(queue_id))
                self.assertEqual(stored.entry, example_entry(queue_id, "a@x.example", "b@x.example", size_octets=size))
                self.assertTrue(read_body(stored.body) == content_of(queue_id), queue_id)
            large = [queue_id for queue_id in waiting if len(content_of(queue_id)) > 3000]
            self.assertEqual(len(self.body_names()), len(large))
            # What was on its way when it was killed may be there: it is ours from now on.
            kept |= waiting.keys()
            self.close(spool)
        self.assertGreater(len(kept), 50)
        self.assertTrue(all("body files without a message" in line for line in self.lines), self.lines)

    def run_and_kill(self, seed: int, acknowledgements: int) -> tuple[set[int], set[int], set[int]]:
        """Messages that were acknowledged, whose removal was asked for, and was acknowledged."""
        root = Path(smtpgw.__file__).parent.parent
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.spool.crash_child", str(self.folder), str(seed)],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
        )
        assert child.stdout is not None
        with child.stdout as output:
            lines = [output.readline() for _ in range(acknowledgements)]
            child.send_signal(signal.SIGKILL)
            lines += output.readlines()
        self.assertEqual(child.wait(), -signal.SIGKILL)
        marked: dict[bytes, set[int]] = {b"+": set(), b"!": set(), b"-": set()}
        for line in lines:
            if line.endswith(b"\n"):
                marked[line[:1]].add(int(line[1:]))
        return marked[b"+"], marked[b"!"], marked[b"-"]
