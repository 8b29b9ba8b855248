"""Lines are gathered, bounded and never waited for."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.log.output import LogOutput


class MemorySink:
    """Takes as much as it is told to."""

    is_terminal = False

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.room: int | None = None
        self.waits = 0

    def send(self, octets: bytes) -> int:
        taken = octets if self.room is None else octets[: self.room]
        if self.room is not None:
            self.room -= len(taken)
        if taken:
            self.taken.append(taken)
        return len(taken)

    def wait(self, milliseconds: int) -> bool:
        self.waits += 1
        return self.room is None or self.room > 0

    def close(self) -> None:
        self.taken.append(b"closed")


class OutputTests(SynchronousTestCase):
    """What waits, and for how long."""

    def setUp(self) -> None:
        self.sink = MemorySink()
        self.clock = Clock()
        self.output = LogOutput(self.sink, lambda lines: b"lost %d\n" % lines)

    def test_before_the_reactor_runs(self) -> None:
        """Every line goes out at once: there is no later yet."""
        self.output.write(b"a\n")
        self.output.write(b"b\n")
        self.assertEqual(self.sink.taken, [b"a\n", b"b\n"])

    def test_gathered(self) -> None:
        """Many lines, one write, within 50 ms, and no timer when nothing waits."""
        self.output.start(self.clock)
        for line in (b"a\n", b"b\n", b"c\n"):
            self.output.write(line)
        self.clock.advance(0.04)
        self.assertEqual(self.sink.taken, [])
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.clock.advance(0.02)
        self.assertEqual(self.sink.taken, [b"a\nb\nc\n"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_at_once(self) -> None:
        """An error takes what waits before it along."""
        self.output.start(self.clock)
        self.output.write(b"a\n")
        self.output.write(b"error\n", at_once=True)
        self.assertEqual(self.sink.taken, [b"a\nerror\n"])
        self.clock.advance(1)
        self.assertEqual(self.sink.taken, [b"a\nerror\n"])

    def test_much(self) -> None:
        """A burst is written before it grows large."""
        self.output.start(self.clock)
        line = b"x" * 999 + b"\n"
        for _ in range(200):
            self.output.write(line)
        self.assertGreater(sum(map(len, self.sink.taken)), 100_000)

    def test_stop(self) -> None:
        """Everything is out, the timer is gone, and later lines are still written."""
        self.output.start(self.clock)
        self.output.write(b"a\n")
        self.output.stop()
        self.assertEqual((self.sink.taken, self.clock.getDelayedCalls()), ([b"a\n"], []))
        self.output.write(b"late\n")
        self.output.close()
        self.assertEqual(self.sink.taken, [b"a\n", b"late\n", b"closed"])


class StuckTests(SynchronousTestCase):
    """The disk is full, or nobody reads."""

    def setUp(self) -> None:
        self.sink = MemorySink()
        self.clock = Clock()
        self.output = LogOutput(self.sink, lambda lines: b"lost %d\n" % lines)
        self.output.start(self.clock)

    def test_goes_on(self) -> None:
        """In the middle of the line where it stopped."""
        self.sink.room = 3
        self.output.write(b"abcd\n")
        self.clock.advance(0.06)
        self.output.write(b"efgh\n")
        self.clock.advance(0.06)
        self.assertEqual(self.sink.taken, [b"abc"])
        self.sink.room = None
        self.clock.advance(0.3)
        self.assertEqual(b"".join(self.sink.taken), b"abcd\nefgh\n")

    def test_bounded(self) -> None:
        """A mebibyte is kept, the rest is lost and counted, and the count is in the log."""
        self.sink.room = 0
        line = b"x" * 1023 + b"\n"
        for _ in range(5000):
            self.output.write(line)
        self.clock.pump([0.3] * 10)
        self.sink.room = None
        self.clock.advance(0.3)
        self.clock.advance(0.3)
        self.output.write(b"after\n")
        self.clock.advance(0.3)
        lines = b"".join(self.sink.taken).splitlines(keepends=True)
        kept = lines.count(line)
        self.assertIn(kept, range(1000, 1100))
        self.assertEqual([other for other in lines if other != line], [b"lost %d\n" % (5000 - kept), b"after\n"])

    def test_stop_does_not_hang(self) -> None:
        """A reader that is gone gets its time and no more."""
        self.sink.room = 0
        self.output.write(b"a\n")
        self.output.stop()
        self.assertEqual(self.sink.waits, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])
