"""
Where the octets of the log go: a file, a pipe, a terminal, a socket. None of them ever keeps us waiting.

A reader of our standard output that stops reading must not stop the gateway, and the flag that would prevent it
(``O_NONBLOCK``) can't be set there: it would hold for everybody who has that terminal or pipe open.
"""

import os
import select
import socket
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_PIPE_ROOM = 4096
"""A pipe that polls as writable takes this much without waiting (PIPE_BUF)."""

_TERMINAL_ROOM = 512
_LOOK_SECONDS = 3.0
"""How often a file is looked for under its name: whoever rotates logs waits longer before compressing one."""


class LogSink(Protocol):
    """Takes octets."""

    is_terminal: bool

    def send(self, octets: bytes) -> int:
        """How many were taken; 0 when it is full or broken. Never waits, never raises."""

    def wait(self, milliseconds: int) -> bool:
        """Whether it takes more within that time."""

    def close(self) -> None:
        """Nothing more will come."""


def open_stream(descriptor: int) -> LogSink:
    """
    A sink over a descriptor that somebody else has opened, such as standard output. It stays open in the end.

    :raises OSError: when there is no such descriptor.
    """
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISSOCK(mode):
        return _SocketSink(descriptor)
    return _StreamSink(descriptor, mode)


class _StreamSink:
    def __init__(self, descriptor: int, mode: int) -> None:
        self._descriptor = descriptor
        self.is_terminal = stat.S_ISCHR(mode) and os.isatty(descriptor)
        self._is_file = stat.S_ISREG(mode)
        self._room = _TERMINAL_ROOM if self.is_terminal else _PIPE_ROOM
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def send(self, octets: bytes) -> int:
        taken = 0
        room = len(octets) if self._is_file else self._room
        try:
            while taken < len(octets) and self.wait(0):
                taken += os.write(self._descriptor, octets[taken : taken + room])
        except OSError:
            pass
        return taken

    def wait(self, milliseconds: int) -> bool:
        return any(events & select.POLLOUT for _, events in self._poll.poll(milliseconds))

    def close(self) -> None:
        pass


class _SocketSink:
    """Standard output under systemd."""

    is_terminal = False

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=os.dup(descriptor))
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLOUT)

    def send(self, octets: bytes) -> int:
        taken = 0
        try:
            while taken < len(octets):
                taken += self._socket.send(octets[taken:], socket.MSG_DONTWAIT)
        except OSError:
            pass
        return taken

    def wait(self, milliseconds: int) -> bool:
        return any(events & select.POLLOUT for _, events in self._poll.poll(milliseconds))

    def close(self) -> None:
        self._socket.close()


class FileSink:
    """
    A file of ours, only ever appended to.

    When it is renamed or removed a new one is begun under its name within some seconds, so that logrotate needs no
    ``postrotate`` and no ``copytruncate``.
    """

    is_terminal = False

    def __init__(self, path: Path, now: Callable[[], float]) -> None:
        """
        :param path: absolute: a daemon changes its folder.
        :param now: any clock.
        :raises OSError: when it can't be opened.
        """
        self._path = path
        self._now = now
        self._descriptor = self._open()
        self._looked_at = now()

    def send(self, octets: bytes) -> int:
        """Appends them; fewer when the disk is full."""
        now = self._now()
        if not 0 <= now - self._looked_at < _LOOK_SECONDS:
            self._looked_at = now
            self._follow_rotation()
        taken = 0
        try:
            while taken < len(octets):
                taken += os.write(self._descriptor, octets[taken:] if taken else octets)
        except OSError:
            pass
        return taken

    def wait(self, milliseconds: int) -> bool:
        """A disk that is full stays so longer than anybody would wait."""
        return False

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)

    def _open(self) -> int:
        # O_NONBLOCK for a named pipe that nobody reads: an error at once, not a start that hangs.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        return os.open(self._path, flags, 0o640)

    def _follow_rotation(self) -> None:
        """Stays with the old file when a new one can't be opened: after a change of user it may not be ours to make."""
        ours = os.fstat(self._descriptor)
        try:
            named = self._path.stat()
            if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino):
                return
        except FileNotFoundError:
            pass
        except OSError:
            return
        try:
            fresh = self._open()
        except OSError:
            return
        os.close(self._descriptor)
        self._descriptor = fresh
