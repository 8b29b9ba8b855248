"""The places that the log is written to: none of them keeps us waiting."""

import os
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.log.sinks import FileSink, open_stream


class LogFileTests(SynchronousTestCase):
    """A file that logrotate may take away."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.now = 100.0
        self.sink = FileSink(self.path, lambda: self.now)
        self.addCleanup(self.sink.close)

    def test_appends(self) -> None:
        """What is there stays; others may read it only if they are of the group."""
        self.assertEqual(self.sink.send(b"a\n"), 2)
        again = FileSink(self.path, lambda: 0.0)
        again.send(b"b\n")
        again.close()
        self.assertEqual(self.path.read_bytes(), b"a\nb\n")
        self.assertEqual(self.path.stat().st_mode & 0o137, 0)

    def test_rotated(self) -> None:
        """Within seconds of a renaming a new file is begun, and nothing is lost in between."""
        old = Path(f"{self.path}.1")
        self.sink.send(b"a\n")
        self.path.rename(old)
        self.sink.send(b"b\n")
        self.now += 3.0
        self.sink.send(b"c\n")
        self.assertEqual((old.read_bytes(), self.path.read_bytes()), (b"a\nb\n", b"c\n"))

    def test_removed(self) -> None:
        """The same after a removal, and when the clock was set back."""
        self.path.unlink()
        self.now = 0.0
        self.sink.send(b"a\n")
        self.assertEqual(self.path.read_bytes(), b"a\n")

    def test_no_way_to_begin_anew(self) -> None:
        """The old file stays in use."""
        old = Path(f"{self.path}.1")
        self.path.rename(old)
        self.path.mkdir()
        self.now += 3.0
        self.assertEqual(self.sink.send(b"a\n"), 2)
        self.assertEqual(old.read_bytes(), b"a\n")

    def test_full_disk(self) -> None:
        """Nothing is taken, nothing is raised."""
        if not Path("/dev/full").exists():
            self.skipTest("no /dev/full here")
        sink = FileSink(Path("/dev/full"), lambda: 0.0)
        self.assertEqual(sink.send(b"a\n"), 0)
        self.assertFalse(sink.wait(1000))
        sink.close()

    def test_can_not_be_opened(self) -> None:
        """Told at once; a pipe that nobody reads does not hang the start."""
        self.assertRaises(OSError, FileSink, self.path / "x", lambda: 0.0)
        pipe = Path(self.mktemp())
        os.mkfifo(pipe)
        self.assertRaises(OSError, FileSink, pipe, lambda: 0.0)


class StreamTests(SynchronousTestCase):
    """Descriptors of others, such as standard output."""

    def test_pipe(self) -> None:
        """A pipe that nobody reads takes what fits and no more; our flags on it are none."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        sink = open_stream(writing)
        octets = bytes(range(256)) * 4096
        taken = sink.send(octets)
        self.assertTrue(0 < taken < len(octets), taken)
        self.assertTrue(os.get_blocking(writing))
        self.assertFalse(sink.wait(0))
        self.assertEqual(os.read(reading, 65536), octets[:65536])
        self.assertTrue(sink.wait(0))
        sink.close()
        os.write(writing, b"still open")

    def test_reader_is_gone(self) -> None:
        """No exception, nothing taken."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, writing)
        os.close(reading)
        self.assertEqual(open_stream(writing).send(b"a\n"), 0)

    def test_socket(self) -> None:
        """As under systemd: a socket that is full does not block, though it is a blocking one."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        self.addCleanup(ours.close)
        sink = open_stream(ours.fileno())
        octets = b"x" * 4_000_000
        taken = sink.send(octets)
        self.assertTrue(0 < taken < len(octets), taken)
        self.assertFalse(sink.wait(0))
        sink.close()
        self.assertTrue(ours.getblocking())

    def test_file(self) -> None:
        """A redirected standard output takes everything."""
        path = Path(self.mktemp())
        with path.open("wb") as stream:
            sink = open_stream(stream.fileno())
            self.assertEqual(sink.send(b"x" * 100_000), 100_000)
            self.assertFalse(sink.is_terminal)
        self.assertEqual(path.stat().st_size, 100_000)

    def test_terminal(self) -> None:
        """A terminal is known as one."""
        ours, theirs = os.openpty()
        self.addCleanup(os.close, ours)
        self.addCleanup(os.close, theirs)
        sink = open_stream(theirs)
        self.assertTrue(sink.is_terminal)
        self.assertEqual(sink.send(b"abc"), 3)
        self.assertEqual(os.read(ours, 10), b"abc")

    def test_closed(self) -> None:
        """Told at the start."""
        self.assertRaises(OSError, open_stream, 9999)
