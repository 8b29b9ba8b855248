"""The work of the thread of body files, without a thread."""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.spool.answers import Answers
from smtpgw.spool.bodies import BodyFiles, Files
from smtpgw.spool.commit import Operation
from smtpgw.spool.files import Discard, DraftFile, FileWork, Finish, Piece, Turn, Unlink
from smtpgw.spool.trouble import Health
from tests.spool.examples import SteppedClock


class _Noting(Files):
    """Notes the order of the calls."""

    def __init__(self, steps: list[str]) -> None:
        self.steps = steps

    def sync(self, descriptor: int) -> None:
        self.steps.append("sync")
        super().sync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        self.steps.append("sync folder")
        super().sync_folder(folder)


class FileWorkTests(SynchronousTestCase):
    """Content is durable before its row is written, and nobody waits for ever."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="smtpgw-test-")
        self.addCleanup(temporary.cleanup)
        self.steps: list[str] = []
        self.refused: list[Any] = []
        self.written: list[int] = []
        self.bodies = BodyFiles(Path(temporary.name) / "bodies", _Noting(self.steps), SteppedClock().time)
        self.health = Health(self.steps.append)
        self.work = FileWork(self.bodies, Answers(_at_once), self.health, self.forward)

    def forward(self, operation: Operation) -> None:
        self.steps.append("row")

    def piece(self, file: DraftFile, data: bytes = b"text") -> Piece:
        return Piece(file, data, self.written.append)

    def finish(self, file: DraftFile) -> Finish:
        step = Finish(file, 4)
        step.admit = lambda body, name: Operation(self.fail, body)
        step.refuse = self.refused.append
        return step

    def test_order(self) -> None:
        """Every file, then every folder once, then the rows; a turn comes last."""
        files = [DraftFile() for _ in range(3)]
        steps = [step for file in files for step in (self.piece(file), self.finish(file))]
        self.work.work([Turn(partial(self.steps.append, "turn")), *steps])
        self.assertEqual(self.steps, ["sync"] * 3 + ["sync folder"] + ["row"] * 3 + ["turn"])
        self.assertEqual(self.written, [4, 4, 4])

    def test_discard_and_unlink(self) -> None:
        """Nothing stays of what was abandoned or removed; to unlink what is gone is no trouble."""
        abandoned, removed = DraftFile(), DraftFile()
        self.work.work([self.piece(abandoned), self.piece(removed), Discard(abandoned), Discard(DraftFile())])
        self.work.work([Unlink([removed.name]), Unlink([removed.name, "aa/never"])])
        os.close(removed.descriptor)
        self.assertEqual(list(self.bodies.root.glob("*/*")), [])

    def test_mistake(self) -> None:
        """After a mistake of ours no content that may miss a piece is taken for whole, and its caller is told."""
        file = DraftFile()
        finish = self.finish(file)
        self.work.failed([self.piece(file), finish], ZeroDivisionError())
        self.assertIsInstance(self.refused[0], SpoolTrouble)
        self.work.failed([finish], ZeroDivisionError())
        self.assertEqual((len(self.refused), self.steps), (1, []))
        # Nor later, when the rest of it comes.
        self.work.work([self.piece(file), self.finish(file)])
        self.assertEqual((len(self.refused), self.steps), (2, []))

    def test_probe(self) -> None:
        """A probe writes for real, and leaves nothing, also over what a killed one has left."""
        for _ in range(2):
            self.work.probe()
            self.bodies.path("probe").touch()
        self.work.probe()
        self.assertEqual(self.steps, ["sync"] * 3)
        self.assertFalse(self.bodies.path("probe").exists())


def _at_once(function: Callable[[], None]) -> None:
    function()
