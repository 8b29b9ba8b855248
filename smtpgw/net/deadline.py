"""``Tasks`` with Twisted's Deferreds and the reactor's timers."""

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

T = TypeVar("T")

_log = Logger(namespace="smtpgw.tasks")


class ReactorTasks:
    """See :class:`smtpgw.boundaries.deadline.Tasks`."""

    def __init__(self, reactor: IReactorTime) -> None:
        self._reactor = reactor
        self._running: set[_Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, T]) -> "_Task[T]":
        """See the boundary."""
        task: _Task[T] = _Task()
        self._running.add(task)
        task.start(work, self._running.discard)
        return task

    def timed(self, work: Awaitable[T], seconds: float) -> Deferred[T]:
        """See the boundary. Cancelling it cancels the work. No timer is set for what is there at once."""
        waiting = work if isinstance(work, Deferred) else Deferred.fromCoroutine(_result_of(work))
        if not waiting.called or waiting.paused:
            waiting.addTimeout(seconds, self._reactor, _timed_out)
        return waiting

    def close(self) -> None:
        """Cancel all that was begun and is not over. Those who await it get a ``CancelledError``."""
        for task in list(self._running):
            task.cancel()


class _Task(Generic[T]):
    """One coroutine under way, and who waits for it."""

    def __init__(self) -> None:
        self._waiters: list[Deferred[T]] = []
        self._work: Deferred[T] | None = None
        self._result: T | Failure | None = None
        self._is_over = False

    def start(self, work: Coroutine[Any, Any, T], over: Any) -> None:
        """:param over: called with the task when it is over."""
        self._work = Deferred.fromCoroutine(work)
        self._work.addBoth(self._ended)
        self._work.addBoth(lambda _: over(self))

    def cancel(self) -> None:
        """Raise ``CancelledError`` where it waits."""
        if self._work is not None:
            self._work.cancel()

    def __await__(self) -> Generator[Any, Any, T]:
        """See the boundary."""
        waiter: Deferred[T] = Deferred(self._waiters_left)
        if self._is_over:
            _give(waiter, self._result)
        else:
            self._waiters.append(waiter)
        return waiter.__await__()

    def _waiters_left(self, waiter: Deferred[T]) -> None:
        self._waiters.remove(waiter)

    def _ended(self, result: T | Failure) -> None:
        self._is_over = True
        self._result = result
        waiters, self._waiters = self._waiters, []
        if isinstance(result, Failure) and not waiters and not result.check(CancelledError):
            _log.failure("trouble with a task that nobody waits for", failure=result)
        for waiter in waiters:
            _give(waiter, result)


def _give(waiter: Deferred[Any], result: Any) -> None:
    if isinstance(result, Failure):
        waiter.errback(result)
    else:
        waiter.callback(result)


def _timed_out(result: T | Failure, seconds: float) -> T:
    if isinstance(result, Failure):
        raise TimeoutError(f"no answer within {seconds:g} seconds")
    return result


async def _result_of(work: Awaitable[T]) -> T:
    return await work
