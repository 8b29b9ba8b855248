"""The work of the writing thread, without a thread."""

import sqlite3
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import Insert, Remove, SpoolTrouble
from smtpgw.spool import writer as writer_module
from smtpgw.spool.answers import Answers
from smtpgw.spool.commit import Operation
from smtpgw.spool.schema import connect_writer, open_database
from smtpgw.spool.trouble import Health
from smtpgw.spool.writer import Batch, Writer
from tests.spool.examples import SteppedClock, example_entry


class WriterTests(SynchronousTestCase):
    """Commits, checkpoints, gives space back, and answers whatever happens."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="smtpgw-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.clock = SteppedClock()
        self.lines: list[str] = []
        self.batches: list[Batch] = []
        self.refused: list[Batch] = []
        self.answers: list[Any] = []
        self.health = Health(self.lines.append)
        connection = open_database(self.folder, self.lines.append, "stamp")
        self.writer = Writer(
            lambda: connect_writer(self.folder / "spool.db"),
            Answers(_at_once),
            self.health,
            body_files={},
            unlink=self.lines.extend,
            probe=lambda: None,
            spend=lambda: False,
            on_batch=self.batches.append,
            on_refused=self.refused.append,
            log=self.lines.append,
            clock=self.clock,
            probe_seconds=5.0,
        )
        self.writer.adopt(connection)
        self.addCleanup(self.writer.close)
        self.reader = sqlite3.connect(self.folder / "spool.db")
        self.addCleanup(self.reader.close)

    def settle(self, *changes: Any) -> None:
        self.writer.work([Operation(self.answers.append, None, changes=changes)])

    def number(self, question: str) -> int:
        (number,) = self.reader.execute(question).fetchone()
        return int(number)

    def test_batch_is_told_first(self) -> None:
        """The counts are right when the first answer is given."""
        self.settle(Insert(example_entry(1), b""), Insert(example_entry(2), b""), Remove(1), Remove(9))
        (batch,) = self.batches
        self.assertEqual((batch.operations, batch.growth, batch.adds, self.answers), (1, 1, 0, [None]))

    def test_checkpoint(self) -> None:
        """After enough was written the WAL goes into the database, without anybody asking."""
        self.patch(writer_module, "_CHECKPOINT_OCTETS", 100_000)
        for queue_id in range(1, 4):
            self.settle(Insert(example_entry(queue_id), bytes(40_000)))
        self.assertGreater((self.folder / "spool.db").stat().st_size, 100_000)

    def test_long_readers_wal(self) -> None:
        """A WAL that has grown large starts again from its beginning when its reader is gone."""
        self.patch(writer_module, "_CHECKPOINT_OCTETS", 1)
        self.patch(writer_module, "_LARGE_WAL_PAGES", 20)
        for queue_id in range(1, 20):
            self.settle(Insert(example_entry(queue_id), bytes(40_000)))
        self.assertLess((self.folder / "spool.db-wal").stat().st_size, 300_000)

    def test_shrinks_at_rest(self) -> None:
        """After a large queue is gone and it is quiet, the file gets smaller, step by step."""
        self.patch(writer_module, "_FREE_PAGES", 20)
        self.patch(writer_module, "_SHRINK_PAGES", 50)
        for queue_id in range(1, 6):
            self.settle(Insert(example_entry(queue_id), bytes(100_000)))
        self.settle(*[Remove(queue_id) for queue_id in range(1, 6)])
        full = self.number("PRAGMA page_count")
        self.writer.idle()
        self.assertEqual(self.number("PRAGMA page_count"), full)
        self.clock.now += 10.0
        self.writer.idle()
        self.assertEqual(self.number("PRAGMA page_count"), full - 50)
        for _ in range(10):
            self.writer.idle()
        self.assertLess(self.number("PRAGMA page_count"), 40)

    def test_mistake(self) -> None:
        """After a mistake of ours those who were not answered are, the log says so, and the next batch works."""
        waiting = Operation(self.answers.append, None, changes=(Remove(1),))
        answered = Operation(self.answers.append, None, changes=(Remove(2),))
        answered.waiting = False
        self.writer.failed([waiting, answered], ZeroDivisionError())
        self.assertEqual([type(answer) for answer in self.answers], [SpoolTrouble])
        self.assertIn("which is a bug: ZeroDivisionError", self.lines[-1])
        self.settle(Insert(example_entry(1), b""))
        self.assertIsNone(self.answers[-1])

    def test_database_locked_by_another(self) -> None:
        """While a stranger's program locks the database mail is refused for now, and taken afterwards."""

        def locked() -> sqlite3.Connection:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            error.sqlite_errorname = "SQLITE_BUSY"
            raise error

        self.writer.close()
        self.patch(self.writer, "_connect", locked)
        self.settle(Remove(1))
        self.assertIsInstance(self.answers[-1], SpoolTrouble)
        self.assertEqual(len(self.refused), 1)
        self.patch(self.writer, "_connect", lambda: connect_writer(self.folder / "spool.db"))
        self.settle(Remove(1))
        self.assertEqual((self.answers[-1], self.health.trouble), (None, None))


def _at_once(function: Callable[[], None]) -> None:
    function()
