"""Results on their way to the disk; what the disk does not take is kept, in order, until it does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from smtpgw.boundaries.spool import Change, Spool, SpoolTrouble

_log = Logger(namespace="smtpgw.spool")

_RETRY_SECONDS = 5.0
"""Long enough for a full disk to be noticed, short beside any retry of mail."""


class Settling:
    """
    Settles changes, and never gives one up.

    While the disk is full results pile up in memory, one small record each; new mail is refused by then, so that there
    is an end to it.
    """

    def __init__(self, spool: Spool, reactor: IReactorTime) -> None:
        self._spool = spool
        self._reactor = reactor
        self._stuck: deque[tuple[Sequence[Change], Callable[[], None]]] = deque()
        self._timer: object | None = None

    @property
    def stuck(self) -> int:
        """How many results wait for the disk."""
        return len(self._stuck)

    def settle(self, changes: Sequence[Change], done: Callable[[], None]) -> None:
        """:param done: called once, when the changes are durable."""
        if self._stuck:
            self._stuck.append((changes, done))
            return
        self._spool.settle(changes, lambda trouble: self._settled(trouble, changes, done))

    def _settled(self, trouble: SpoolTrouble | None, changes: Sequence[Change], done: Callable[[], None]) -> None:
        if trouble is None:
            done()
            return
        _log.error("results can't be written, will be tried again: {cause}", cause=trouble.cause)
        self._stuck.append((changes, done))
        if self._timer is None:
            self._timer = self._reactor.callLater(_RETRY_SECONDS, self._again)

    def _again(self) -> None:
        self._timer = None
        waiting = list(self._stuck)
        self._stuck.clear()
        for changes, done in waiting:
            self.settle(changes, done)
