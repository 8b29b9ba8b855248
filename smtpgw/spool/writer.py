"""
The thread that owns the one writing connection.

Each batch is one transaction, and one call into the reactor's thread. What failed is never tried again: after an
``fsync`` that failed the kernel may call pages clean that never reached the disk, so the whole batch is refused, the
connection is closed, and the next batch begins on a new one (which writes its own pages again). Checkpoints run in this
thread too, after the answers of a batch are on their way; no other connection ever writes or checkpoints.
"""

import contextlib
import sqlite3
from collections.abc import Callable

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.boundaries.world import Clock
from smtpgw.spool import trouble
from smtpgw.spool.answers import Answer, Answers
from smtpgw.spool.commit import Committed, Operation, commit

_CHECKPOINT_OCTETS = 8 << 20
"""Written since the last checkpoint; 2000 pages, as measured."""

_PAGE_OCTETS = 4096
_LARGE_WAL_PAGES = 16384
"""64 MiB: somebody reads for long. Wait for him, so that the WAL can start again from its beginning."""

_REST_SECONDS = 10.0
"""Without work for so long: give space back."""

_FREE_PAGES = 4096
_SHRINK_PAGES = 1000
"""At least 16 MiB must be free before the file shrinks, by 4 MiB a time so that a message need not wait long."""


class Batch:
    """
    What the reactor's side must know of a batch that is done.

    :ivar operations: how many.
    :ivar adds: how many of them were messages from outside.
    :ivar held: octets of draft memory that are free again.
    :ivar growth: messages in the spool more than before.
    :ivar seconds: taken by the transaction.
    """

    __slots__ = ("adds", "growth", "held", "operations", "seconds")

    def __init__(self, operations: list[Operation], growth: int, seconds: float) -> None:
        self.operations = len(operations)
        self.adds = 0
        self.held = 0
        for operation in operations:
            self.adds += operation.adds
            self.held += operation.held
        self.growth = growth
        self.seconds = seconds


class Writer:
    """The work of the thread."""

    def __init__(  # noqa: PLR0913 all that it touches comes in here
        self,
        connect: Callable[[], sqlite3.Connection],
        answers: Answers,
        health: trouble.Health,
        *,
        body_files: dict[int, str],
        unlink: Callable[[list[str]], None],
        probe: Callable[[], None],
        spend: Callable[[], bool],
        on_batch: Callable[[Batch], None],
        on_refused: Callable[[Batch], None],
        log: Callable[[str], None],
        clock: Clock,
        probe_seconds: float,
    ) -> None:
        """
        :param connect: a writing connection to the database, which is there.
        :param body_files: names by queue id, of all messages that have one.
        :param unlink: takes names that belong to no message any more.
        :param probe: raises OSError while the disk fails.
        :param spend: makes space on a full disk; False when it can't.
        :param on_batch: called in the reactor's thread before the answers of a batch that was committed.
        :param on_refused: likewise of one that was not.
        :param log: called in the reactor's thread.
        :param probe_seconds: while something fails, how often to see whether it still does.
        """
        self._connect = connect
        self._connection: sqlite3.Connection | None = None
        self._answers = answers
        self._health = health
        self._body_files = body_files
        self._unlink = unlink
        self._probe = probe
        self._spend = spend
        self._on_batch = on_batch
        self._on_refused = on_refused
        self._log = log
        self._clock = clock
        self._probe_seconds = probe_seconds
        self._unchecked = 0
        self._rested = False
        self._worked_at = clock.time()
        self._probed_at = self._worked_at

    def adopt(self, connection: sqlite3.Connection) -> None:
        """Take a connection that is open. Before the thread starts."""
        self._connection = connection

    def work(self, operations: list[Operation]) -> None:
        """One batch. A probe too when it is time for one, as there may be no idle moment for long."""
        self._rested = False
        self._worked_at = self._clock.time()
        self._work(operations)
        if self._health.trouble is None:
            self._probed_at = self._worked_at
        elif not 0.0 <= self._worked_at - self._probed_at < self._probe_seconds:
            self._try_again()

    def failed(self, operations: list[Operation], error: Exception) -> None:
        """A mistake of ours. The connection may stand in the middle of something: it goes."""
        found = SpoolTrouble(full=False, cause=repr(error))
        self._answers.post([(self._log, f"the spool's writer failed, which is a bug: {error!r}")])
        self._drop_connection()
        unanswered = [operation for operation in operations if operation.waiting]
        self._refuse(unanswered, found)

    def idle(self) -> None:
        """Nothing to do: while failing, see whether the disk is well again; otherwise give space back."""
        if self._health.trouble is not None:
            self._try_again()
        elif not self._rested and self._clock.time() - self._worked_at >= _REST_SECONDS:
            self._shrink()

    def close(self) -> None:
        """The last thing. Whatever does not work now is done by the next start."""
        self._drop_connection()

    def _work(self, operations: list[Operation]) -> None:
        found = self._try(operations)
        if found is None:
            return
        # For lack of space nothing was written, so to write less and with more space is no second try of the same.
        changes = [operation for operation in operations if not operation.adds]
        if found.full and changes and self._spend():
            self._refuse([operation for operation in operations if operation.adds], found)
            operations = changes
            found = self._try(operations)
        if found is not None:
            self._refuse(operations, found)

    def _try(self, operations: list[Operation]) -> SpoolTrouble | None:
        started = self._clock.time()
        try:
            if self._connection is None:
                self._connection = self._connect()
            committed = commit(self._connection, operations)
        except (sqlite3.Error, OSError, MemoryError) as error:
            return self._broken(error)
        self._health.works(trouble.Part.DATABASE)
        self._answer(operations, committed, started)
        self._keep_body_files(operations, committed)
        self._checkpoint(operations)
        return None

    def _answer(self, operations: list[Operation], committed: Committed, started: float) -> None:
        batch = Batch(operations, committed.growth, max(0.0, self._clock.time() - started))
        answers: list[Answer] = [(self._on_batch, batch)]
        refused = committed.refused
        for operation in operations:
            operation.waiting = False
            answers.append((operation.done, operation.answer))
        for place, found in refused.items():
            answers[place + 1] = (operations[place].done, found)
        self._answers.post(answers)

    def _refuse(self, operations: list[Operation], found: SpoolTrouble) -> None:
        answers: list[Answer] = [(self._on_refused, Batch(operations, 0, 0.0))]
        for operation in operations:
            operation.waiting = False
            answers.append((operation.done, found))
        self._answers.post(answers)
        if found.full:
            # Without space the transaction can't have been completed, so the files are nobody's. After any other error
            # a crash may still bring the rows back from the WAL, and they must find their files; the sweep of the next
            # start knows.
            self._unlink([operation.body_file for operation in operations if operation.body_file is not None])

    def _keep_body_files(self, operations: list[Operation], committed: Committed) -> None:
        body_files = self._body_files
        body_files.update(committed.body_files)
        gone = [body_files.pop(queue_id) for queue_id in committed.removed if queue_id in body_files]
        for place in committed.refused:
            name = operations[place].body_file
            if name is not None:
                gone.append(name)
        if gone:
            self._unlink(gone)

    def _checkpoint(self, operations: list[Operation]) -> None:
        for operation in operations:
            self._unchecked += operation.octets
        self._unchecked += 2 * _PAGE_OCTETS
        if self._unchecked < _CHECKPOINT_OCTETS or self._connection is None:
            return
        self._unchecked = 0
        try:
            _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            if pages > _LARGE_WAL_PAGES:
                self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        except sqlite3.Error as error:
            # The WAL still holds everything that was acknowledged, and the next checkpoint writes these pages anew.
            self._broken(error)

    def _shrink(self) -> None:
        self._rested = True
        if self._connection is None:
            return
        try:
            (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
            if free > _FREE_PAGES:
                _vacuum(self._connection)
                self._rested = False
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            self._broken(error)

    def _give_back(self) -> None:
        """On a full disk: what removed messages have left in the database and the WAL may be all the space there is."""
        # To move it needs space as well.
        self._spend()
        try:
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            _vacuum(self._connection)
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        except sqlite3.Error as error:
            self._broken(error)

    def _try_again(self) -> None:
        self._probed_at = self._clock.time()
        found = self._health.trouble
        if found is not None and found.full:
            self._give_back()
        try:
            self._probe()
            if self._connection is None:
                self._connection = self._connect()
            self._connection.execute("BEGIN IMMEDIATE")
            # A write, so that the commit has to sync something.
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            self._connection.execute(f"PRAGMA user_version={version}")
            self._connection.execute("COMMIT")
        except OSError as error:
            self._health.fails(trouble.Part.BODIES, trouble.of_disk(error))
        except (sqlite3.Error, MemoryError) as error:
            self._broken(error)
        else:
            self._health.has_room()

    def _broken(self, error: sqlite3.Error | OSError | MemoryError) -> SpoolTrouble:
        if isinstance(error, sqlite3.Error):
            found = trouble.of_database(error)
        elif isinstance(error, OSError):
            found = trouble.of_disk(error)
        else:
            found = SpoolTrouble(full=False, cause="out of memory")
        self._health.fails(trouble.Part.DATABASE, found)
        self._drop_connection()
        return found

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            # Closing may checkpoint; on a failing disk that may fail, and nothing that matters is lost.
            with contextlib.suppress(sqlite3.Error):
                connection.close()


def _vacuum(connection: sqlite3.Connection) -> None:
    # As a script: it gives a row without columns for each page, and execute() would stop at the first.
    connection.executescript(f"PRAGMA incremental_vacuum({_SHRINK_PAGES})")
