"""
A spool in memory, for tests and for trying out: nothing survives the process.

It keeps the same promises otherwise (``SpoolContract`` runs on it), and can be told to fail or to be slow.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar

from smtpgw.boundaries.spool import Body, Change, Draft, Insert, Remove, SpoolTrouble, Stored, Update, Waiting
from smtpgw.boundaries.world import Clock
from smtpgw.model.message import Entry
from smtpgw.spool import records, schema, trouble
from smtpgw.spool.answers import CallInReactor
from smtpgw.spool.bodies import InlineBody
from smtpgw.spool.drafts import OVER
from smtpgw.spool.query import QueueReader

T = TypeVar("T")


class MemoryDraft:
    """A draft; without a bound of its own."""

    def __init__(self, spool: "MemorySpool", resume: Callable[[], None]) -> None:
        self._spool = spool
        self._resume = resume
        self._content = bytearray()
        self._over = False

    @property
    def size_octets(self) -> int:
        """Octets written so far."""
        return len(self._content)

    def write(self, data: bytes) -> bool:
        """See ``Draft.write``; False while the spool's drafts are paused."""
        if not self._over:
            self._content += data
        return self._spool.admits(self._resume)

    def read(self, offset: int, most: int, done: Callable[[bytes | SpoolTrouble], None]) -> None:
        """See ``Draft.read``."""
        done(OVER if self._over else bytes(self._content[offset : offset + most]))

    def rewrite(self, head: bytes, cut: int, body: bytes | None = None) -> None:
        """See ``Draft.rewrite``."""
        if not self._over:
            self._content[: cut if body is None else len(self._content)] = head + (body or b"")

    def discard(self) -> None:
        """See ``Draft.discard``."""
        self._over = True
        self._spool.forget(self._resume)

    def finish(self) -> bytes:
        """All of it."""
        if self._over:
            raise RuntimeError("the draft is over")
        self.discard()
        return bytes(self._content)


class MemorySpool:
    """
    ``Spool`` in :mod:`smtpgw.boundaries.spool`, in memory.

    :ivar entries: what is kept, by queue id. To look at.
    :ivar contents: likewise.
    :ivar refusing: what ``trouble`` says; settable.
    """

    def __init__(
        self,
        *,
        call_in_reactor: CallInReactor | None = None,
        max_messages: int = 1_000_000,
        clock: Clock | None = None,
    ) -> None:
        """
        :param call_in_reactor: takes the calls of callbacks; without it they are called at once.
        :param clock: for questions of age; without it no message is of any.
        """
        self.entries: dict[int, Entry] = {}
        self.contents: dict[int, bytes] = {}
        self.refusing: SpoolTrouble | None = None
        self._call_in_reactor = call_in_reactor or _at_once
        self._clock = clock or _Beginning()
        self._max_messages = max_messages
        self._failures: list[SpoolTrouble] = []
        self._held: list[Callable[[], None]] | None = None
        self._paused: list[Callable[[], None]] | None = None
        self._closed = False

    @property
    def messages(self) -> int:
        """How many messages are in it."""
        return len(self.entries)

    # --- For tests ---

    def fail_next(self, found: SpoolTrouble, operations: int = 1) -> None:
        """The next commits (of ``add`` and ``settle``) fail."""
        self._failures += [found] * operations

    def hold_commits(self) -> None:
        """Commit nothing until ``release``."""
        if self._held is None:
            self._held = []

    def release(self) -> None:
        """Commit what was held, in order."""
        held, self._held = self._held or [], None
        for commit in held:
            commit()

    def pause_drafts(self) -> None:
        """Have every write of a draft return False until ``resume_drafts``."""
        if self._paused is None:
            self._paused = []

    def resume_drafts(self) -> None:
        """Call ``resume`` of all drafts that were told to wait."""
        paused, self._paused = self._paused or [], None
        for resume in paused:
            resume()

    # --- For its drafts ---

    def admits(self, resume: Callable[[], None]) -> bool:
        """Whether a draft may go on; if not, ``resume`` is remembered."""
        if self._paused is None:
            return True
        if resume not in self._paused:
            self._paused.append(resume)
        return False

    def forget(self, resume: Callable[[], None]) -> None:
        """A draft is over and wants no call."""
        if self._paused is not None and resume in self._paused:
            self._paused.remove(resume)

    # --- Spool ---

    def trouble(self) -> SpoolTrouble | None:
        """See ``Spool.trouble``."""
        if self._closed:
            return trouble.CLOSED
        if self.refusing is None and len(self.entries) >= self._max_messages:
            return SpoolTrouble(full=True, cause=f"there are {len(self.entries)} messages in the spool")
        return self.refusing

    def open_draft(self, resume: Callable[[], None]) -> Draft:
        """See ``Spool.open_draft``."""
        return MemoryDraft(self, resume)

    def add(self, entry: Entry, draft: Draft, done: Callable[[Body | SpoolTrouble], None]) -> None:
        """See ``Spool.add``."""
        if not isinstance(draft, MemoryDraft):
            raise TypeError("the draft is of another spool")
        content = draft.finish()
        self._run(partial(self._add, entry, content, done))

    def settle(self, changes: Sequence[Change], done: Callable[[SpoolTrouble | None], None]) -> None:
        """See ``Spool.settle``."""
        self._run(partial(self._settle, tuple(changes), done))

    def fetch(self, queue_id: int, done: Callable[[Stored | SpoolTrouble | None], None]) -> None:
        """See ``Spool.fetch``."""
        found: Stored | SpoolTrouble | None = None
        if self._closed:
            found = trouble.CLOSED
        elif queue_id in self.entries:
            found = Stored(self.entries[queue_id], InlineBody(self.contents[queue_id]))
        self._call_in_reactor(partial(done, found))

    def ask(self, question: Callable[[QueueReader], T], done: Callable[[T | SpoolTrouble], None]) -> None:
        """Ask about the queue, as ``SqliteSpool.ask``."""
        connection = sqlite3.connect(":memory:", isolation_level=None)
        try:
            schema.create_tables(connection)
            for queue_id, entry in self.entries.items():
                content = self.contents[queue_id]
                connection.execute(records.INSERT_MESSAGE, records.message_row(entry, len(content), None, content))
                connection.executemany(records.INSERT_DELIVERY, records.delivery_rows(entry))
            answer = question(QueueReader(connection, self._clock))
        finally:
            connection.close()
        self._call_in_reactor(partial(done, answer))

    def recover(self) -> Iterator[Waiting]:
        """See ``Spool.recover``."""
        for queue_id in sorted(self.entries):
            yield from records.waiting_in(self.entries[queue_id])

    def last_queue_id(self) -> int:
        """See ``Spool.last_queue_id``."""
        return max(self.entries, default=0)

    def close(self, done: Callable[[], None]) -> None:
        """See ``Spool.close``."""
        self.release()
        self._closed = True
        self._call_in_reactor(done)

    def _run(self, commit: Callable[[], None]) -> None:
        if self._held is None:
            commit()
        else:
            self._held.append(commit)

    def _add(self, entry: Entry, content: bytes, done: Callable[[Body | SpoolTrouble], None]) -> None:
        found = self.trouble() if self._closed or self._is_full() else self._failure()
        if found is None:
            found = self._keep([Insert(entry, content)])
        self._call_in_reactor(partial(done, InlineBody(content) if found is None else found))

    def _settle(self, changes: Sequence[Change], done: Callable[[SpoolTrouble | None], None]) -> None:
        found = trouble.CLOSED if self._closed else self._failure()
        if found is None:
            found = self._keep(changes)
        self._call_in_reactor(partial(done, found))

    def _is_full(self) -> bool:
        return len(self.entries) >= self._max_messages

    def _failure(self) -> SpoolTrouble | None:
        return self._failures.pop(0) if self._failures else None

    def _keep(self, changes: Sequence[Change]) -> SpoolTrouble | None:
        """All or nothing; in the order of the SQLite spool."""
        inserts = [change for change in changes if isinstance(change, Insert)]
        ids = [insert.entry.message.queue_id for insert in inserts]
        if len(set(ids)) < len(ids) or not self.entries.keys().isdisjoint(ids):
            return SpoolTrouble(full=False, cause="there is a message with this queue id")
        for insert in inserts:
            slots = len(insert.entry.slots)
            if slots == 0 or slots != len(insert.entry.message.envelope.recipients):
                return SpoolTrouble(full=False, cause="there is not one slot for each recipient")
        for insert in inserts:
            self.entries[insert.entry.message.queue_id] = insert.entry
            self.contents[insert.entry.message.queue_id] = insert.content
        for change in changes:
            if isinstance(change, Update):
                self._update(change)
        for change in changes:
            if isinstance(change, Remove):
                self.entries.pop(change.queue_id, None)
                self.contents.pop(change.queue_id, None)
        return None

    def _update(self, update: Update) -> None:
        entry = self.entries.get(update.queue_id)
        if entry is None:
            return
        slots = list(entry.slots)
        for number, slot in update.slots:
            if 0 <= number < len(slots):
                slots[number] = slot
        warned = entry.warned if update.warned is None else update.warned
        self.entries[update.queue_id] = Entry(entry.message, tuple(slots), entry.expires_at, warned)


class _Beginning:
    """A clock that has not started."""

    def time(self) -> float:
        return 0.0


def _at_once(function: Callable[[], None]) -> None:
    function()
