"""
Gathers the lines of the log and writes many at a time.

A write for each line would cost more than making the line. So lines wait, 50 ms at most; errors, and lines before the
reactor runs, go out at once. When the sink takes no more (disk full, nobody reads), at most a mebibyte waits, later
lines are lost, and a line in the log says how many.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from smtpgw.log.sinks import LogSink

_GATHER_SECONDS = 0.05
_AGAIN_SECONDS = 0.25
"""Between tries when the sink takes nothing."""

_WRITE_OCTETS = 128 * 1024
_MOST_OCTETS = 1024 * 1024
_LEAVE_MILLISECONDS = 200
_LEAVE_WAITS = 20
"""A reader that lags gets four seconds at the end."""


class LogOutput:
    """Used in one thread."""

    def __init__(self, sink: LogSink, lost: Callable[[int], bytes]) -> None:
        """:param lost: makes the line that says how many were lost."""
        self._sink = sink
        self._lost = lost
        self._lines: list[bytes] = []
        self._octets = 0
        self._lost_lines = 0
        self._reactor: IReactorTime | None = None
        self._timer: IDelayedCall | None = None
        self._is_stuck = False

    def start(self, reactor: IReactorTime) -> None:
        """From now on lines may wait: the reactor runs, or is about to."""
        self._reactor = reactor

    def write(self, line: bytes, *, at_once: bool = False) -> None:
        """
        Take a line. Never waits, never raises.

        :param line: with its newline.
        :param at_once: it may be the last one before the end.
        """
        if self._octets > _MOST_OCTETS:
            self._lost_lines += 1
        else:
            self._tell_of_loss()
            self._lines.append(line)
            self._octets += len(line)
        if self._timer is None and self._reactor is not None:
            self._timer = self._reactor.callLater(_GATHER_SECONDS, self._timeout)
        if at_once or self._reactor is None or (self._octets > _WRITE_OCTETS and not self._is_stuck):
            self.flush()

    def flush(self) -> None:
        """Hand over what waits, as far as the sink takes it."""
        self._send()
        if self._lost_lines and not self._is_stuck:
            self._tell_of_loss()
            self._send()

    def stop(self) -> None:
        """Write what waits, now; a reader that lags gets a few seconds. Lines that come later are written at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._reactor = None
        self.flush()
        for _ in range(_LEAVE_WAITS):
            if not (self._lines or self._lost_lines) or not self._sink.wait(_LEAVE_MILLISECONDS):
                break
            self.flush()

    def close(self) -> None:
        """After ``stop``: nothing more will come."""
        self._sink.close()

    def _send(self) -> None:
        if self._lines:
            octets = b"".join(self._lines)
            taken = self._sink.send(octets)
            self._is_stuck = taken < len(octets)
            self._lines = [octets[taken:]] if self._is_stuck else []
            self._octets = len(octets) - taken

    def _tell_of_loss(self) -> None:
        if self._lost_lines:
            line = self._lost(self._lost_lines)
            self._lines.append(line)
            self._octets += len(line)
            self._lost_lines = 0

    def _timeout(self) -> None:
        self._timer = None
        self.flush()
        if self._is_stuck and self._reactor is not None:
            self._timer = self._reactor.callLater(_AGAIN_SECONDS, self._timeout)
