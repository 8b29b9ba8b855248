"""What rules that wait need beyond ``await``: to begin something, and to stop waiting for it."""

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Task(Protocol[T_co]):
    """
    Something under way. May be awaited any number of times, also when it is over.

    Cancelling one who awaits it leaves it, and all others, as they are.
    """

    def __await__(self) -> Generator[Any, Any, T_co]:
        """Its result, or what it raised."""


class Tasks(Protocol):
    """Begins and ends work that waits. Called in the reactor's thread only."""

    def begin(self, work: Coroutine[Any, Any, T]) -> Task[T]:
        """Run it up to where it first waits; the rest comes by itself. What it raises and nobody awaits is logged."""

    def timed(self, work: Awaitable[T], seconds: float) -> Awaitable[T]:
        """
        Likewise, for one who waits, and only so long.

        :raises TimeoutError: from the result: it took longer, and was cancelled.
        """
