"""Connections to a server that are kept between questions, each used by one thread at a time."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

C = TypeVar("C")
T = TypeVar("T")


class Connections(Generic[C]):
    """
    As many as there are threads that ask at the same time.

    A kept connection may have died unnoticed (a server that was restarted, a firewall that forgot it). Then the
    question, which changes nothing, is put again on the next, at last on a fresh one.
    """

    def __init__(
        self, connect: Callable[[], C], close: Callable[[C], None], is_lost: Callable[[C, Exception], bool]
    ) -> None:
        """
        :param close: never raises.
        :param is_lost: whether an exception means that the connection is gone, not that the question was answered.
        """
        self._connect = connect
        self._close = close
        self._is_lost = is_lost
        self._lock = threading.Lock()
        self._idle: list[C] = []
        self._closed = False

    def use(self, ask: Callable[[C], T]) -> T:
        """What ``ask`` gives. Whatever it raises on a fresh connection is raised."""
        while True:
            kept = self._take()
            connection = self._connect() if kept is None else kept
            try:
                result = ask(connection)
            except Exception as error:  # whatever it is, the connection is not in a state to be trusted
                lost = self._is_lost(connection, error)
                self._close(connection)
                if kept is None or not lost:
                    raise
                continue
            self._keep(connection)
            return result

    def close(self) -> None:
        """Close what is kept; connections in use are closed after their question."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            self._close(connection)

    def _take(self) -> C | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _keep(self, connection: C) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        self._close(connection)
