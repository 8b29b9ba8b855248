"""
One transaction for everything that waits.

Order inside a transaction: insertions, updates, removals. Queue ids never repeat, so that gives the same rows as one
operation after the other, and each kind of statement runs once over all of its rows.
"""

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from smtpgw.boundaries.spool import Change, Insert, Remove, SpoolTrouble, Update
from smtpgw.model.message import Entry
from smtpgw.spool import records, trouble

_OF_ONE = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    ValueError,
    TypeError,
    OverflowError,
)
"""Raised for a row, not for the disk: only the operation with that row is refused."""

_UPDATE_OCTETS = 256
_MESSAGE_OCTETS = 1024
"""Roughly what goes to disk beside the content."""


class Operation:
    """
    What one caller asked for, all or nothing.

    :ivar done: called with the answer, or with trouble.
    :ivar answer: what it is called with after the commit.
    :ivar messages: to insert: entry, size of the content, and either its file or itself.
    :ivar adds: 1 if it is a message from outside, which was counted when it was asked for.
    :ivar held: octets of draft memory to give back with the answer.
    :ivar octets: roughly what it writes.
    :ivar waiting: it has not been answered.
    """

    __slots__ = ("adds", "answer", "changes", "done", "held", "messages", "octets", "waiting")

    def __init__(
        self,
        done: Callable[[Any], None],
        answer: object,
        messages: Sequence[tuple[Entry, int, str | None, bytes | None]] = (),
        changes: Sequence[Change] = (),
        adds: int = 0,
        held: int = 0,
    ) -> None:
        self.done = done
        self.answer = answer
        self.messages = messages
        self.changes = changes
        self.adds = adds
        self.held = held
        self.waiting = True
        self.octets = held + _MESSAGE_OCTETS if adds else sum(map(_octets, changes))

    @property
    def body_file(self) -> str | None:
        """The file that holds its content, if any."""
        return self.messages[0][2] if self.messages else None


class Committed(Struct):
    """
    What became of a batch.

    :ivar refused: by place in the batch, why.
    :ivar growth: messages more than before; may be negative.
    :ivar body_files: of the messages that came, by queue id.
    :ivar removed: queue ids that are gone, or never were there.
    """

    refused: dict[int, SpoolTrouble]
    growth: int
    body_files: dict[int, str]
    removed: list[int]


def commit(connection: sqlite3.Connection, operations: Sequence[Operation]) -> Committed:
    """
    Make them durable.

    :raises sqlite3.Error: when the disk or the database failed. Nothing is kept then, and nothing is tried twice.
    """
    rows = _Rows()
    refused: dict[int, SpoolTrouble] = {}
    for place, operation in enumerate(operations):
        try:
            rows.add(operation)
        except _OF_ONE as error:
            refused[place] = _of_one(error)
    connection.execute("BEGIN IMMEDIATE")
    try:
        growth = rows.write(connection)
        connection.execute("COMMIT")
    except _OF_ONE as error:
        _roll_back(connection)
        if len(operations) == 1:
            return Committed({0: _of_one(error)}, 0, {}, [])
        return _commit_singly(connection, operations)
    except BaseException:
        _roll_back(connection)
        raise
    return Committed(refused, growth, rows.body_files, [queue_id for (queue_id,) in rows.removals])


def _commit_singly(connection: sqlite3.Connection, operations: Sequence[Operation]) -> Committed:
    """Still one transaction, but each operation can be taken back alone."""
    whole = Committed({}, 0, {}, [])
    connection.execute("BEGIN IMMEDIATE")
    try:
        for place, operation in enumerate(operations):
            rows = _Rows()
            connection.execute("SAVEPOINT operation")
            try:
                rows.add(operation)
                whole.growth += rows.write(connection)
            except _OF_ONE as error:
                connection.execute("ROLLBACK TO operation")
                whole.refused[place] = _of_one(error)
            else:
                whole.body_files.update(rows.body_files)
                whole.removed.extend(queue_id for (queue_id,) in rows.removals)
            connection.execute("RELEASE operation")
        connection.execute("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise
    return whole


class _Rows:
    """The rows of some operations, by statement."""

    __slots__ = ("body_files", "deliveries", "messages", "removals", "updates", "warnings")

    def __init__(self) -> None:
        self.messages: list[records.Row] = []
        self.deliveries: list[records.Row] = []
        self.updates: list[records.Row] = []
        self.warnings: list[records.Row] = []
        self.removals: list[tuple[int]] = []
        self.body_files: dict[int, str] = {}

    def add(self, operation: Operation) -> None:
        """All of an operation's rows, or none and an exception of ``_OF_ONE``."""
        if len(operation.messages) == 1 and not operation.changes:
            entry, size_octets, body_file, content = operation.messages[0]
            deliveries = records.delivery_rows(entry)
            self.messages.append(records.message_row(entry, size_octets, body_file, content))
            self.deliveries += deliveries
            if body_file is not None:
                self.body_files[entry.message.queue_id] = body_file
            return
        parts = _Rows()
        for change in operation.changes:
            parts.add_change(change)
        self.messages += parts.messages
        self.deliveries += parts.deliveries
        self.updates += parts.updates
        self.warnings += parts.warnings
        self.removals += parts.removals

    def add_change(self, change: Change) -> None:
        match change:
            case Insert(entry, content):
                self.deliveries += records.delivery_rows(entry)
                self.messages.append(records.message_row(entry, len(content), None, content))
            case Update(queue_id, _, warned):
                self.updates += records.update_rows(change)
                if warned is not None:
                    self.warnings.append((int(warned), queue_id))
            case Remove(queue_id):
                self.removals.append((queue_id,))

    def write(self, connection: sqlite3.Connection) -> int:
        growth = 0
        if self.messages:
            connection.executemany(records.INSERT_MESSAGE, self.messages)
            connection.executemany(records.INSERT_DELIVERY, self.deliveries)
            growth = len(self.messages)
        if self.updates:
            connection.executemany(records.UPDATE_DELIVERY, self.updates)
        if self.warnings:
            connection.executemany(records.UPDATE_WARNED, self.warnings)
        if self.removals:
            growth -= connection.executemany(records.DELETE_MESSAGE, self.removals).rowcount
            connection.executemany(records.DELETE_DELIVERY, self.removals)
        return growth


def _octets(change: Change) -> int:
    match change:
        case Insert(_, content):
            return len(content) + _MESSAGE_OCTETS
        case Update(_, slots, _):
            return len(slots) * _UPDATE_OCTETS
        case Remove():
            return _UPDATE_OCTETS


def _of_one(error: Exception) -> SpoolTrouble:
    if isinstance(error, sqlite3.Error):
        return trouble.of_database(error)
    return SpoolTrouble(full=False, cause=f"{type(error).__name__}: {error}")


def _roll_back(connection: sqlite3.Connection) -> None:
    # After some I/O errors SQLite has rolled back itself; in any case whoever hears of them closes the connection.
    with contextlib.suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
