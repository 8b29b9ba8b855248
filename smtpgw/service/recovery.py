"""After a start: everybody who waits in the spool goes on the agenda, in pieces, while mail is taken already."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smtpgw.boundaries.spool import Spool, Waiting
from smtpgw.boundaries.world import Threads
from smtpgw.model.message import SlotState
from smtpgw.service.dispatch import Dispatch

_log = Logger(namespace="smtpgw.spool")

_PIECE = 2000
"""Recipients a turn of the reactor; some 10 ms."""


class Recovery:
    """Lists what the spool had when it was opened."""

    def __init__(self, spool: Spool, dispatch: Dispatch, reactor: IReactorTime, threads: Threads) -> None:
        self._spool = spool
        self._dispatch = dispatch
        self._reactor = reactor
        self._threads = threads

    def begin(self, last: int) -> None:
        """:param last: the highest queue id when the spool was opened; later ones are listed as they come."""
        Deferred.fromCoroutine(self._recover(last)).addErrback(
            lambda failure: _log.failure("reading the queue after the start failed", failure=failure)
        )

    async def _recover(self, last: int) -> None:
        waiting = self._spool.recover()
        recipients = 0
        while True:
            piece = await self._threads.run(_next_piece, waiting)
            if not piece:
                break
            recipients += self._list(piece, last)
            if piece[-1].queue_id > last:
                break
            await deferLater(self._reactor, 0.0)
        if recipients:
            _log.info("{recipients} recipients were waiting in the spool", recipients=recipients)

    def _list(self, piece: list[Waiting], last: int) -> int:
        listed = 0
        message: list[Waiting] = []
        for waiting in piece:
            if waiting.queue_id > last or waiting.state is not SlotState.QUEUED:
                continue
            if message and message[0].queue_id != waiting.queue_id:
                self._dispatch.list_waiting(message)
                message = []
            message.append(waiting)
            listed += 1
        if message:
            self._dispatch.list_waiting(message)
        self._dispatch.act()
        return listed


def _next_piece(waiting: Iterator[Waiting]) -> list[Waiting]:
    """
    The next ones.

    A message may be cut between two pieces: its recipients then make two items, which costs a transaction at most.
    """
    return list(islice(waiting, _PIECE))
