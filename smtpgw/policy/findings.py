"""
What is found out about clients, each asked about once at a time and not again for a while.

Bounded both ways: so many are remembered, and so many are asked about at a time.
"""

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

from smtpgw.boundaries.deadline import Task, Tasks
from smtpgw.boundaries.world import Clock

V = TypeVar("V")

Find = Callable[[str], Coroutine[Any, Any, tuple[V, float]]]
"""Finds out about one; with the seconds for which that holds."""


class _Entry(Generic[V]):
    __slots__ = ("expires_at", "task", "value")

    def __init__(self) -> None:
        self.task: Task[V] | None = None
        self.value: V | None = None
        self.expires_at = 0.0


class Findings(Generic[V]):
    """Asks about a key when nobody has."""

    def __init__(
        self, find: Find[V], tasks: Tasks, clock: Clock, *, most_kept: int = 10_000, most_asked: int = 1_000
    ) -> None:
        """
        :param find: never gives ``None``; bounded in time by itself.
        :param most_kept: keys whose answer is remembered; those asked for least lately are forgotten.
        :param most_asked: keys that are asked about at a time.
        """
        self._find = find
        self._tasks = tasks
        self._clock = clock
        self._most_kept = most_kept
        self._most_asked = most_asked
        self._kept: OrderedDict[str, _Entry[V]] = OrderedDict()
        self._asked = 0

    def known(self, key: str) -> V | None:
        """What is known of it now; nobody is asked."""
        entry = self._kept.get(key)
        if entry is None or entry.value is None or entry.expires_at <= self._clock.time():
            return None
        return entry.value

    def get(self, key: str) -> V | Task[V] | None:
        """What is known of it, or is being found out from now on; ``None``: too many others are asked about."""
        entry = self._kept.get(key)
        if entry is not None:
            if entry.value is None:
                return entry.task
            if entry.expires_at > self._clock.time():
                self._kept.move_to_end(key)
                return entry.value
            del self._kept[key]
        if self._asked >= self._most_asked:
            return None
        entry = self._kept[key] = _Entry()
        self._asked += 1
        entry.task = self._tasks.begin(self._ask(key, entry))
        if len(self._kept) > self._most_kept:
            # One that is still asked about is only not found any more: those who wait for it have its task.
            self._kept.popitem(last=False)
        return entry.task if entry.value is None else entry.value

    async def _ask(self, key: str, entry: _Entry[V]) -> V:
        try:
            value, seconds = await self._find(key)
        except BaseException:
            if self._kept.get(key) is entry:
                del self._kept[key]
            raise
        finally:
            self._asked -= 1
        entry.value, entry.expires_at = value, self._clock.time() + seconds
        entry.task = None
        return value
