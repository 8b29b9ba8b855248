"""
Content that isn't in memory, on its way to a next hop.

A piece at a time is read in a thread, stuffed and written; the next one is read ahead while the transport's buffer
drains. So a message of any size costs three pieces of memory, and a next hop that doesn't read costs no more.
"""

from collections.abc import Callable
from typing import BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpgw.boundaries.spool import Body
from smtpgw.boundaries.world import Threads
from smtpgw.smtp.stuffing import Stuffing

PIECE_OCTETS = 256 * 1024

_log = Logger()


class WrongLength(Exception):
    """The stream over a body isn't as long as the body says."""


@implementer(IPushProducer)
class ContentStream:
    """
    One message's content.

    The stream is closed in every case, also when the connection is lost while a thread reads from it.
    """

    def __init__(
        self,
        transport: IConsumer,
        threads: Threads,
        *,
        moved: Callable[[], None],
        sent: Callable[[bytes], None],
        lost: Callable[[str], None],
    ) -> None:
        """
        :param moved: called after each piece that was written.
        :param sent: called once at the end, with the last octets, which are still to be written.
        :param lost: called once, instead, when it can't be read; with the reason, for people.
        """
        self._transport = transport
        self._threads = threads
        self._moved = moved
        self._sent = sent
        self._lost = lost
        self._stopped = False
        self._paused = False
        self._resumed: Deferred[None] | None = None

    def start(self, trace: bytes, body: Body) -> None:
        """Send the trace header, then the body. Neither ``sent`` nor ``lost`` is called after ``stopProducing``."""
        self._transport.registerProducer(self, True)
        Deferred.fromCoroutine(self._run(trace, body)).addErrback(self._broken)

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._paused = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        self._paused = False
        self._wake()

    def stopProducing(self) -> None:
        """The connection is of no more use."""
        self._stopped = True
        self._wake()

    def _wake(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    async def _run(self, trace: bytes, body: Body) -> None:
        stuffing = Stuffing()
        self._transport.write(stuffing.take(trace))
        stream = await self._threads.run(body.open)
        try:
            await self._copy(stream, stuffing, body.size_octets)
        finally:
            await self._threads.run(stream.close)
        if not self._stopped:
            self._leave()
            self._sent(stuffing.end())

    async def _copy(self, stream: BinaryIO, stuffing: Stuffing, octets: int) -> None:
        left = octets
        while not self._stopped and (piece := await self._threads.run(stream.read, PIECE_OCTETS)):
            left -= len(piece)
            if left < 0:
                raise WrongLength(f"more than {octets} octets")
            if self._paused and not self._stopped:
                self._resumed = Deferred()
                await self._resumed
            if not self._stopped:
                self._transport.write(stuffing.take(piece))
                self._moved()
        if left and not self._stopped:
            # A file cut short must not go out as if it were the whole message.
            raise WrongLength(f"{left} of {octets} octets are missing")

    def _leave(self) -> None:
        self._stopped = True
        self._transport.unregisterProducer()

    def _broken(self, failure: Failure) -> None:
        if failure.check(OSError, WrongLength) is None:
            _log.failure("reading content failed", failure)
        if not self._stopped:
            self._leave()
            self._lost(f"the content can't be read: {failure.getErrorMessage()}")
