"""Blocking work in the reactor's threads."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

T = TypeVar("T")


class ReactorThreads:
    """``Threads`` over a thread pool of its own, so that a slow sink never keeps name look-ups of others waiting."""

    def __init__(self, reactor: IReactorFromThreads, most: int = 10) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, most, "smtpgw")

    def start(self) -> None:
        """Begin to take work."""
        self._pool.start()

    def stop(self) -> None:
        """Wait for what is being worked on; what has not begun is never done."""
        self._pool.stop()

    def run(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """The function's result, from one of the threads."""
        return deferToThreadPool(self._reactor, self._pool, function, *arguments)
