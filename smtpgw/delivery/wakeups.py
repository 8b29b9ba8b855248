"""One timer for each sleeper: a heap of times with lazy deletion."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import Generic, Protocol, TypeVar


class Sleeper(Protocol):
    """
    Something that waits for a time.

    :ivar wake_at: the time that is set; only :class:`Wakeups` changes it.
    """

    wake_at: float | None


S = TypeVar("S", bound=Sleeper)

_FOREVER = float("inf")


class Wakeups(Generic[S]):
    """
    Sleepers by time.

    Whoever is woken is asked for its next time again, so a time that is set only ever moves forward in here; the times
    that it replaced stay in the heap until they are met.
    """

    __slots__ = ("_heap", "_sequence")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, S]] = []
        self._sequence = 0

    def set(self, sleeper: S, at: float | None) -> None:
        """Wake it at that time, or at the earlier one that is set already."""
        if at is None or at >= _FOREVER or (sleeper.wake_at is not None and sleeper.wake_at <= at):
            return
        sleeper.wake_at = at
        self._sequence += 1
        heappush(self._heap, (at, self._sequence, sleeper))

    def next(self) -> float | None:
        """The earliest time that is set."""
        heap = self._heap
        while heap and heap[0][2].wake_at != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def due(self, now: float) -> Iterator[S]:
        """Those whose time has come; their time is no longer set."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            at, _, sleeper = heappop(heap)
            if sleeper.wake_at == at:
                sleeper.wake_at = None
                yield sleeper
