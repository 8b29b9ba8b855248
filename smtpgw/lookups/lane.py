"""
Blocking questions in threads, bounded.

Who has stopped waiting does not stop a thread. So what a bound counts is threads at work and work that waits for one,
and work that nobody waits for any more is not begun.
"""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from smtpgw.boundaries.world import Threads
from smtpgw.model.domains import LookupTrouble

T = TypeVar("T")

MOST_WAITING = 100
"""With four threads and answers in 5 ms, half a second of the work of a source."""


class _Work:
    __slots__ = ("abandoned",)

    def __init__(self) -> None:
        self.abandoned = False


class Lane:
    """Work for the threads of one source."""

    def __init__(self, threads: Threads, most: int = MOST_WAITING) -> None:
        self._threads = threads
        self._most = most
        self._lock = threading.Lock()
        self._under_way = 0

    async def run(self, function: Callable[..., T], *arguments: Any) -> T:
        """
        The function's result. Cancelling leaves it running if it has begun.

        :raises LookupTrouble: at once, when too much is under way.
        """
        with self._lock:
            if self._under_way >= self._most:
                raise LookupTrouble(f"more than {self._most} questions are under way")
            self._under_way += 1
        work = _Work()
        try:
            return await self._threads.run(self._do, work, function, arguments)
        finally:
            work.abandoned = True

    def _do(self, work: _Work, function: Callable[..., T], arguments: tuple[Any, ...]) -> T:
        """In a thread."""
        try:
            if work.abandoned:
                raise LookupTrouble("nobody waits for the answer any more")
            return function(*arguments)
        finally:
            with self._lock:
                self._under_way -= 1
