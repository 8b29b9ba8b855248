"""
The entries that are in memory, each once.

An entry is in memory while something is being done about it, and while it is fresh and there is room: then its first
attempt reads nothing back from the disk. What is here is always at least as new as what the spool has, because an entry
leaves only when nothing about it is on its way to the disk.
"""

from __future__ import annotations

from collections.abc import Callable

from smtpgw.boundaries.spool import Body, Spool, SpoolTrouble, Stored
from smtpgw.model.message import Entry

_OVERHEAD_OCTETS = 2048
"""What an entry costs beside its content; measured with tracemalloc, rounded up."""

_EVICTION_TRIES = 8


class LiveEntry:
    """
    An entry in memory.

    :ivar users: how many things are being done about it; it stays while there is one.
    :ivar before_seconds: what receiving it took; 0 when it has been read back.
    """

    __slots__ = ("before_seconds", "body", "cost_octets", "entry", "users")

    def __init__(self, entry: Entry, body: Body, before_seconds: float = 0.0) -> None:
        self.entry = entry
        self.body = body
        self.before_seconds = before_seconds
        self.users = 0
        inline = body.inline()
        self.cost_octets = _OVERHEAD_OCTETS + (len(inline) if inline is not None else 0)


Use = Callable[[LiveEntry | SpoolTrouble | None], None]


class LiveEntries:
    """Entries by queue id, bounded in octets but for those in use."""

    def __init__(self, spool: Spool, max_octets: int) -> None:
        self._spool = spool
        self._max_octets = max_octets
        self._octets = 0
        self._entries: dict[int, LiveEntry] = {}
        self._fetching: dict[int, list[Use]] = {}

    def __len__(self) -> int:
        """How many are in memory."""
        return len(self._entries)

    def keep(self, entry: Entry, body: Body, before_seconds: float) -> None:
        """A fresh entry, kept for its first attempt if there is room."""
        live = LiveEntry(entry, body, before_seconds)
        if self._octets + live.cost_octets > self._max_octets and not self._make_room(live.cost_octets):
            return
        self._octets += live.cost_octets
        self._entries[entry.message.queue_id] = live

    def _make_room(self, octets: int) -> bool:
        idle = []
        for tried, (queue_id, live) in enumerate(self._entries.items()):
            if not live.users:
                idle.append(queue_id)
            if tried >= _EVICTION_TRIES:
                break
        for queue_id in idle:
            self._octets -= self._entries.pop(queue_id).cost_octets
        return self._octets + octets <= self._max_octets

    def use(self, queue_id: int, use: Use) -> None:
        """
        Get an entry, to be given back with ``release``.

        :param use: called once, maybe at once; with ``None`` when there is no such message.
        """
        live = self._entries.get(queue_id)
        if live is not None:
            live.users += 1
            use(live)
            return
        waiters = self._fetching.get(queue_id)
        if waiters is not None:
            waiters.append(use)
            return
        self._fetching[queue_id] = [use]
        self._spool.fetch(queue_id, lambda found: self._fetched(queue_id, found))

    def _fetched(self, queue_id: int, found: Stored | SpoolTrouble | None) -> None:
        waiters = self._fetching.pop(queue_id)
        if not isinstance(found, Stored):
            for use in waiters:
                use(found)
            return
        live = LiveEntry(found.entry, found.body)
        self._entries[queue_id] = live
        self._octets += live.cost_octets
        # All of them before the first is called, who might give it back at once: a later one would then be left with an
        # entry that nobody else sees.
        live.users += len(waiters)
        for use in waiters:
            use(live)

    def release(self, live: LiveEntry) -> None:
        """Give an entry back; it is forgotten when nobody uses it."""
        live.users -= 1
        if live.users <= 0:
            queue_id = live.entry.message.queue_id
            if self._entries.get(queue_id) is live:
                del self._entries[queue_id]
                self._octets -= live.cost_octets
