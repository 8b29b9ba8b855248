"""Content that isn't in memory is sent in pieces, as fast as it is taken, and never seems whole when it isn't."""

import io
from collections.abc import Awaitable, Callable
from typing import Any, BinaryIO, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.content import PIECE_OCTETS, ContentStream
from tests.net.rude_servers import NoThreads

T = TypeVar("T")


class HeldThreads:
    """Work waits until it is let go."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], None]] = []

    def run(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        result: Deferred[T] = Deferred()
        self.waiting.append(lambda: result.callback(function(*arguments)))
        return result

    def go(self) -> None:
        """Do the oldest piece of work."""
        self.waiting.pop(0)()


class Recorded(io.BytesIO):
    """A stream that may fail; its reads are counted."""

    fails_at = 10**9
    reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads >= self.fails_at:
            raise OSError(5, "Input/output error")
        return super().read(size)


class DiskBody:
    """A body on disk."""

    def __init__(self, content: bytes, size: int | None = None) -> None:
        self.size_octets = len(content) if size is None else size
        self.stream = Recorded(content)
        self.fails = False

    def inline(self) -> bytes | None:
        return None

    def open(self) -> BinaryIO:
        if self.fails:
            raise FileNotFoundError(2, "No such file")
        return self.stream


class ContentStreamTests(SynchronousTestCase):
    """One stream."""

    def start(self, body: DiskBody, threads: NoThreads | HeldThreads | None = None) -> ContentStream:
        """Begin; what happens is in ``events``."""
        self.transport = StringTransport()
        self.events: list[tuple[str, object]] = []
        stream = ContentStream(
            self.transport,
            threads or NoThreads(),
            moved=lambda: self.events.append(("moved", len(self.transport.value()))),
            sent=lambda end: self.events.append(("sent", end)),
            lost=lambda reason: self.events.append(("lost", reason)),
        )
        stream.start(b"Trace: x\r\n", body)
        return stream

    def test_arrives(self) -> None:
        """Trace header and content, stuffed across the borders of pieces; the lone dot is left to the caller."""
        content = b"x" * (PIECE_OCTETS - 2) + b"\r\n.\r\n" + b"y" * PIECE_OCTETS + b"\r\n"
        body = DiskBody(content)
        self.start(body)
        self.assertEqual(self.transport.value(), b"Trace: x\r\n" + content.replace(b"\r\n.", b"\r\n.."))
        self.assertEqual(self.events[-1], ("sent", b".\r\n"))
        self.assertEqual([name for name, _ in self.events], ["moved", "moved", "moved", "sent"])
        self.assertTrue(body.stream.closed)
        self.assertIsNone(self.transport.producer)

    def test_back_pressure(self) -> None:
        """While the transport is full one piece is read ahead, and no more."""
        threads = HeldThreads()
        body = DiskBody(b"x" * PIECE_OCTETS * 4)
        stream = self.start(body, threads)
        stream.pauseProducing()
        threads.go()
        threads.go()
        self.assertEqual(threads.waiting, [])
        self.assertEqual(body.stream.reads, 1)
        self.assertEqual(len(self.transport.value()), 10)
        stream.resumeProducing()
        self.assertEqual(len(self.transport.value()), 10 + PIECE_OCTETS)
        self.assertEqual(len(threads.waiting), 1)
        stream.stopProducing()
        while threads.waiting:
            threads.go()

    def test_lost_while_reading(self) -> None:
        """A connection lost while a thread reads: the file is closed, and nothing is said any more."""
        threads = HeldThreads()
        body = DiskBody(b"x" * 10)
        stream = self.start(body, threads)
        threads.go()
        stream.stopProducing()
        while threads.waiting:
            threads.go()
        self.assertTrue(body.stream.closed)
        self.assertEqual(self.events, [])

    def test_lost_while_opening(self) -> None:
        """Likewise while the file is being opened."""
        threads = HeldThreads()
        body = DiskBody(b"x" * 10)
        self.start(body, threads).stopProducing()
        while threads.waiting:
            threads.go()
        self.assertTrue(body.stream.closed)
        self.assertEqual((self.events, body.stream.reads), ([], 0))

    def test_lost_while_paused(self) -> None:
        """Likewise while the peer doesn't read."""
        body = DiskBody(b"x" * 10)
        threads = HeldThreads()
        stream = self.start(body, threads)
        stream.pauseProducing()
        threads.go()
        threads.go()
        stream.stopProducing()
        while threads.waiting:
            threads.go()
        self.assertTrue(body.stream.closed)
        self.assertEqual(self.events, [])
        self.assertEqual(self.transport.value(), b"Trace: x\r\n")

    def test_cannot_open(self) -> None:
        """A file that is gone."""
        body = DiskBody(b"x")
        body.fails = True
        self.start(body)
        self.assertEqual([name for name, _ in self.events], ["lost"])
        self.assertIsNone(self.transport.producer)

    def test_cannot_read(self) -> None:
        """A disk that fails in the middle."""
        body = DiskBody(b"x" * PIECE_OCTETS * 2)
        body.stream.fails_at = 2
        self.start(body)
        self.assertEqual([name for name, _ in self.events], ["moved", "lost"])
        self.assertTrue(body.stream.closed)

    def test_cut_short(self) -> None:
        """A file that lost its end is never sent as the whole message; nor is one that grew."""
        for size in [11, 9]:
            self.start(DiskBody(b"x" * 10, size))
            self.assertEqual(self.events[-1][0], "lost")
            self.assertNotIn("sent", [name for name, _ in self.events])

    def test_surprise(self) -> None:
        """What nobody thought of ends the same way, and shows in the log."""
        body = DiskBody(b"x")
        body.open = lambda: 1 // 0  # type: ignore[assignment, method-assign, return-value]
        self.start(body)
        self.assertEqual([name for name, _ in self.events], ["lost"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
