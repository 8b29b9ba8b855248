"""
The threads that read: one for ``fetch``, which deliveries wait for, and one for the questions of people, which may take
longer.

Each has a connection that can't write. A batch is one short read transaction, so the WAL can always start again soon.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec import DecodeError, ValidationError

from smtpgw.boundaries.spool import SpoolTrouble, Stored, Waiting
from smtpgw.spool import records, trouble
from smtpgw.spool.answers import Answer, Answers
from smtpgw.spool.bodies import BodyFiles, FileBody, InlineBody
from smtpgw.spool.schema import connect_reader

_WEIGHT = 64 * 1024
"""Of a question in a batch: the answers are all in memory at once."""

Question = Callable[[sqlite3.Connection], object]


class Asked:
    """A question and who waits for its answer. It must be asked inside the read transaction, and be done with it."""

    __slots__ = ("done", "octets", "question")

    def __init__(self, question: Question, done: Callable[[Any], None]) -> None:
        self.question = question
        self.done = done
        self.octets = _WEIGHT


class ReadWork:
    """The work of one such thread."""

    def __init__(self, path: Path, answers: Answers) -> None:
        self._path = path
        self._answers = answers
        self._connection: sqlite3.Connection | None = None

    def work(self, batch: list[Asked]) -> None:
        """One batch."""
        answers: list[Answer] = [(asked.done, self._answer(asked.question)) for asked in batch]
        self._end()
        self._answers.post(answers)

    def failed(self, batch: list[Asked], error: Exception) -> None:
        """A mistake of ours; nothing of the batch was answered."""
        self.close()
        found = SpoolTrouble(full=False, cause=repr(error))
        self._answers.post([(asked.done, found) for asked in batch])

    def close(self) -> None:
        """The last thing; also after an error, when the next question opens it anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    def _answer(self, question: Question) -> object:
        try:
            if self._connection is None:
                self._connection = connect_reader(self._path)
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN")
            return question(self._connection)
        except sqlite3.Error as error:
            self.close()
            return trouble.of_database(error)
        except (DecodeError, ValidationError) as error:
            return SpoolTrouble(full=False, cause=f"a damaged row: {error}")
        except OSError as error:
            return trouble.of_disk(error)
        except ValueError as error:
            # Of the one who asked: a selector that makes no sense.
            return SpoolTrouble(full=False, cause=str(error))

    def _end(self) -> None:
        if self._connection is not None:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.close()


def fetch(connection: sqlite3.Connection, queue_id: int, bodies: BodyFiles) -> Stored | SpoolTrouble | None:
    """See ``Spool.fetch``."""
    if not -(1 << 63) <= queue_id < 1 << 63:
        return None
    row = connection.execute(
        "SELECT size_octets, body_file, record, content FROM message WHERE id=?", (queue_id,)
    ).fetchone()
    if row is None:
        return None
    size_octets, body_file, record, content = row
    entry = records.entry_of(record, connection.execute(records.SELECT_DELIVERIES, (queue_id,)).fetchall())
    if body_file is None:
        if content is None or len(content) != size_octets:
            return SpoolTrouble(full=False, cause="the content does not have the size that was kept")
        return Stored(entry, InlineBody(content))
    path = bodies.path(body_file)
    if path.stat().st_size != size_octets:
        return SpoolTrouble(full=False, cause=f"{path} does not have the size that was kept")
    return Stored(entry, FileBody(path, size_octets))


def recover(path: Path) -> Iterator[Waiting]:
    """See ``Spool.recover``. Holds a read transaction until it is exhausted or closed."""
    connection = connect_reader(path)
    try:
        yield from records.waiting_of(iter(connection.execute(records.SELECT_WAITING)))
    finally:
        connection.close()


def last_queue_id(path: Path) -> int:
    """See ``Spool.last_queue_id``."""
    connection = connect_reader(path)
    try:
        (last,) = connection.execute("SELECT max(id) FROM message").fetchone()
    finally:
        connection.close()
    return last or 0
