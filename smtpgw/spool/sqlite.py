"""
The embedded spool: SQLite for rows and small contents, files for large ones.

This side of it lives in the reactor's thread and never waits: it counts, refuses what is over a bound, and hands
operations to the threads of :mod:`~smtpgw.spool.writer`, :mod:`~smtpgw.spool.files` and :mod:`~smtpgw.spool.reader`.
What is on disk at each step, and why a crash at any of them loses nothing, stands in the manual.
"""

import datetime as dt
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from smtpgw.boundaries.spool import Body, Change, Draft, SpoolTrouble, Stored, Waiting
from smtpgw.boundaries.world import Clock
from smtpgw.model.message import Entry
from smtpgw.spool import reader, schema, trouble
from smtpgw.spool.answers import Answers, CallInReactor
from smtpgw.spool.bodies import BodyFiles, FileBody, Files
from smtpgw.spool.commit import Operation
from smtpgw.spool.drafts import Memory, SpoolDraft
from smtpgw.spool.errors import SpoolFull, SpoolUnusable
from smtpgw.spool.files import FileWork, Finish, Step, Turn, Unlink
from smtpgw.spool.folder import BODIES, DATABASE, FolderLock, prepare_folder
from smtpgw.spool.lane import Lane
from smtpgw.spool.query import QueueReader
from smtpgw.spool.reader import Asked, ReadWork
from smtpgw.spool.reserve import Reserve
from smtpgw.spool.settings import SpoolSettings
from smtpgw.spool.writer import Batch, Writer

T = TypeVar("T")

_SPACE_SECONDS = 1.0
"""Free space is asked for at most so often."""


def _to_stderr(line: str) -> None:
    sys.stderr.write(f"smtpgw: {line}\n")


def _ignore(operations: int, seconds: float) -> None:
    pass


def open_sqlite_spool(
    folder: Path,
    *,
    settings: SpoolSettings,
    call_in_reactor: CallInReactor,
    clock: Clock,
    log: Callable[[str], None] = _to_stderr,
    on_commit: Callable[[int, float], None] = _ignore,
    files: Files | None = None,
    connect: schema.Connect = schema.connect_writer,
) -> "SqliteSpool":
    """
    Open the spool in a folder, which is made if it isn't there. Blocks; for the start.

    :param call_in_reactor: as ``reactor.callFromThread``.
    :param clock: also asked by the threads of the spool.
    :param log: takes lines for the operator; called here, and later in the reactor's thread.
    :param on_commit: called in the reactor's thread with the number of operations of each transaction and its seconds.
    :param files: what writes body files.
    :param connect: what opens the writing connection.
    :raises SpoolLocked: when another process has it.
    :raises SpoolUnusable: when it can't be opened for another reason; see there for the kinds.
    """
    folder = folder.absolute()
    prepare_folder(folder, log)
    lock = FolderLock(folder, shared=False)
    connection: sqlite3.Connection | None = None
    try:
        stamp = dt.datetime.fromtimestamp(clock.time(), dt.UTC).strftime("%Y%m%dT%H%M%SZ")
        reserve = Reserve(folder, settings.reserve_octets)
        try:
            connection = schema.open_database(folder, log, stamp, connect)
        except SpoolFull:
            if not reserve.spend():
                raise
            connection = schema.open_database(folder, log, stamp, connect)
        bodies = BodyFiles(folder / BODIES, files or Files(), clock.time)
        try:
            body_files = dict(connection.execute("SELECT id, body_file FROM message WHERE body_file IS NOT NULL"))
            (messages,) = connection.execute("SELECT count(*) FROM delivery WHERE slot=0").fetchone()
            swept, missing = bodies.sweep(body_files.values())
        except sqlite3.Error as error:
            raise SpoolUnusable(f"{folder} can't be read: {trouble.of_database(error).cause}") from error
        except OSError as error:
            raise SpoolUnusable(f"{folder} can't be swept: {trouble.of_disk(error).cause}") from error
    except BaseException:
        if connection is not None:
            connection.close()
        lock.release()
        raise
    if swept:
        log(f"{swept} body files without a message were unlinked; a crash had left them")
    if missing:
        log(f"{len(missing)} messages have lost their body file, the first of them {bodies.path(missing[0])}")
    spool = SqliteSpool(
        folder,
        lock,
        bodies,
        settings=settings,
        answers=Answers(call_in_reactor),
        clock=clock,
        messages=messages,
        on_commit=on_commit,
    )
    spool.start(connection, connect, body_files, reserve, log)
    return spool


class SqliteSpool:
    """``Spool`` in :mod:`smtpgw.boundaries.spool` says what it promises. Made by ``open_sqlite_spool``."""

    def __init__(
        self,
        folder: Path,
        lock: FolderLock,
        bodies: BodyFiles,
        *,
        settings: SpoolSettings,
        answers: Answers,
        clock: Clock,
        messages: int,
        on_commit: Callable[[int, float], None],
    ) -> None:
        self._folder = folder
        self._path = folder / DATABASE
        self._lock = lock
        self._bodies = bodies
        self._settings = settings
        self._answers = answers
        self._clock = clock
        self._on_commit = on_commit
        self._memory = Memory(settings.draft_memory_octets)
        self._messages = messages
        self._adding = 0
        self._closed = False
        self._released = False
        self._closing: list[Callable[[], None]] = []
        self._space: SpoolTrouble | None = None
        self._space_asked_at = float("-inf")
        self._fetching = self._make_reader("smtpgw-spool-fetch")
        self._asking: tuple[Lane[Asked], ReadWork] | None = None

    def start(
        self,
        connection: sqlite3.Connection,
        connect: schema.Connect,
        body_files: dict[int, str],
        reserve: Reserve,
        log: Callable[[str], None],
    ) -> None:
        """Start the threads; once."""
        self._health = trouble.Health(lambda line: self._answers.post([(log, line)]))
        file_work = FileWork(self._bodies, self._answers, self._health, self._forward)
        self._files: Lane[Step] = Lane("smtpgw-spool-files", file_work.work, file_work.failed)
        self._writer = Writer(
            partial(connect, self._path),
            self._answers,
            self._health,
            body_files=body_files,
            unlink=self._unlink,
            probe=partial(_both, reserve.keep, file_work.probe),
            spend=reserve.spend,
            on_batch=self._batch_done,
            on_refused=self._batch_refused,
            log=log,
            clock=self._clock,
            probe_seconds=self._settings.probe_seconds,
        )
        self._writer.adopt(connection)
        try:
            reserve.keep()
        except OSError as error:
            self._health.fails(trouble.Part.BODIES, trouble.of_disk(error))
        self._writing: Lane[Operation] = Lane(
            "smtpgw-spool-writer",
            self._writer.work,
            self._writer.failed,
            idle=self._writer.idle,
            patience_seconds=self._settings.probe_seconds,
        )
        self._files.start()
        self._writing.start()
        self._fetching[0].start()

    @property
    def messages(self) -> int:
        """How many messages are in it."""
        return self._messages

    def trouble(self) -> SpoolTrouble | None:
        """See ``Spool.trouble``."""
        found = self._closing_or_full() or self._health.trouble
        if found is not None:
            return found
        now = self._clock.time()
        if not 0.0 <= now - self._space_asked_at < _SPACE_SECONDS:
            self._space_asked_at = now
            self._space = self._ask_space()
        return self._space

    def open_draft(self, resume: Callable[[], None]) -> Draft:
        """See ``Spool.open_draft``."""
        return SpoolDraft(self._files, self._memory, self._settings.inline_limit_octets, resume)

    def add(self, entry: Entry, draft: Draft, done: Callable[[Body | SpoolTrouble], None]) -> None:
        """See ``Spool.add``."""
        if not isinstance(draft, SpoolDraft):
            raise TypeError("the draft is of another spool")
        found = self._closing_or_full()
        if found is not None:
            draft.discard()
            done(found)
            return
        whole = draft.finish()
        self._adding += 1
        if isinstance(whole, Finish):
            whole.admit = partial(_large, entry, done)
            whole.refuse = partial(self._not_added, done)
            self._files.put(whole)
        else:
            body, content = whole
            size = len(content)
            self._writing.put(Operation(done, body, ((entry, size, None, content),), adds=1, held=size))

    def settle(self, changes: Sequence[Change], done: Callable[[SpoolTrouble | None], None]) -> None:
        """See ``Spool.settle``."""
        if self._closed:
            done(trouble.CLOSED)
        elif not changes:
            done(None)
        else:
            self._writing.put(Operation(done, None, changes=tuple(changes)))

    def fetch(self, queue_id: int, done: Callable[[Stored | SpoolTrouble | None], None]) -> None:
        """See ``Spool.fetch``."""
        if self._closed:
            done(trouble.CLOSED)
        else:
            self._fetching[0].put(Asked(lambda connection: reader.fetch(connection, queue_id, self._bodies), done))

    def ask(self, question: Callable[[QueueReader], T], done: Callable[[T | SpoolTrouble], None]) -> None:
        """
        Ask about the queue, for the command and the console. Not often: it reads the table of deliveries.

        :param question: called in a thread; uses the reader and nothing else.
        :param done: called in the reactor's thread.
        """
        if self._closed:
            done(trouble.CLOSED)
            return
        if self._asking is None:
            self._asking = self._make_reader("smtpgw-spool-questions")
            self._asking[0].start()
        self._asking[0].put(Asked(lambda connection: question(QueueReader(connection, self._clock)), done))

    def recover(self) -> Iterator[Waiting]:
        """See ``Spool.recover``."""
        return reader.recover(self._path)

    def last_queue_id(self) -> int:
        """See ``Spool.last_queue_id``. Reads the disk."""
        return reader.last_queue_id(self._path)

    def close(self, done: Callable[[], None]) -> None:
        """See ``Spool.close``. Whoever calls it again is told at the same time."""
        if self._released:
            done()
            return
        self._closing.append(done)
        if self._closed:
            return
        self._closed = True
        # In the order in which one hands to the next: readers, files, writer, then the files again for what the writer
        # has unlinked.
        readers = [self._fetching] + ([self._asking] if self._asking else [])
        finish = partial(self._files.stop, partial(self._answers.post, [(self._release, None)]))
        close_writer = partial(self._close_writer, finish)
        step: Callable[[], None] = partial(self._files.put, Turn(partial(self._writing.stop, close_writer)))
        for lane, work in readers:
            step = partial(lane.stop, partial(_both, work.close, step))
        step()

    def _close_writer(self, then: Callable[[], None]) -> None:
        self._writer.close()
        then()

    def _release(self, _: None) -> None:
        self._lock.release()
        self._released = True
        for done in self._closing:
            done()

    def _closing_or_full(self) -> SpoolTrouble | None:
        """Why a message that is whole already is not even tried. What is left of a full disk is for changes."""
        if self._closed:
            return trouble.CLOSED
        if self._messages + self._adding >= self._settings.max_messages:
            return SpoolTrouble(full=True, cause=f"there are {self._messages} messages in the spool")
        found = self._health.trouble
        return found if found is not None and found.full else None

    def _forward(self, operation: Operation) -> None:
        self._writing.put(operation)

    def _unlink(self, names: list[str]) -> None:
        if names:
            self._files.put(Unlink(names))

    def _make_reader(self, name: str) -> tuple[Lane[Asked], ReadWork]:
        work = ReadWork(self._path, self._answers)
        return Lane(name, work.work, work.failed), work

    def _batch_refused(self, batch: Batch) -> None:
        self._adding -= batch.adds
        self._memory.held -= batch.held

    def _batch_done(self, batch: Batch) -> None:
        self._batch_refused(batch)
        self._messages += batch.growth
        self._on_commit(batch.operations, batch.seconds)

    def _not_added(self, done: Callable[[Body | SpoolTrouble], None], found: SpoolTrouble) -> None:
        self._adding -= 1
        done(found)

    def _ask_space(self) -> SpoolTrouble | None:
        try:
            status = os.statvfs(self._folder)
        except OSError as error:
            return trouble.of_disk(error)
        free = status.f_bavail * status.f_frsize
        if free >= self._settings.min_free_octets:
            return None
        return SpoolTrouble(full=True, cause=f"{free} octets are free, {self._settings.min_free_octets} must remain")


def _large(entry: Entry, done: Callable[[Body | SpoolTrouble], None], body: FileBody, name: str) -> Operation:
    return Operation(done, body, ((entry, body.size_octets, name, None),), adds=1)


def _both(first: Callable[[], None], second: Callable[[], None]) -> None:
    first()
    second()
