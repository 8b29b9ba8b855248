"""Certificates that are read again when their files change."""

from collections.abc import Callable
from pathlib import Path

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from smtpgw.net.server_tls import ServerTls, TlsFiles
from smtpgw.net.tls import TlsTrouble

_LOOK_SECONDS = 5.0
"""Looking costs some microseconds for each file; whoever has replaced one does not wait longer than this."""

_Mark = tuple[tuple[int, int, int] | None, ...]
"""Of each file: time of the last change in nanoseconds, size, inode. What a link points to counts, not the link."""


@implementer(IOpenSSLServerConnectionCreator)
class ReloadingTls:
    """
    :class:`~smtpgw.net.server_tls.ServerTls` that follows its files.

    It looks when a handshake begins, at most every few seconds, and when it is told to; reading takes a few
    milliseconds. What can't be used is told once, and what was in force stays in force, all of it: a certificate is
    never used with the other files of another time.
    """

    def __init__(
        self,
        files: TlsFiles,
        seconds: Callable[[], float],
        log: Callable[[str], None],
        warn: Callable[[str], None],
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        """
        :param seconds: of a clock that is only ever compared with itself.
        :param log: gets a line for the operator when all is well.
        :param warn: gets one when the new files can't be used.
        :raises TlsTrouble: the files can't be used now, at the start.
        """
        self._files = files
        self._seconds = seconds
        self._log = log
        self._warn = warn
        self._look_seconds = look_seconds
        self._mark = _mark(files)
        self._current = ServerTls(files)
        self._looked_at = seconds()

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802 (Twisted's)
        """With what is in force now."""
        now = self._seconds()
        if now >= self._looked_at + self._look_seconds:
            self._looked_at = now
            self.look()
        return self._current.serverConnectionForTLS(protocol)

    def look(self) -> None:
        """Read the files again if one of them has changed."""
        # Taken before they are read: what changes while they are read is seen the next time.
        mark = _mark(self._files)
        if mark == self._mark:
            return
        self._mark = mark
        try:
            self._current = ServerTls(self._files)
        except TlsTrouble as trouble:
            self._warn(f"{trouble}; the certificate that was read before stays in force")
        else:
            self._log(f"{self._files.certificate}: read again")


def _mark(files: TlsFiles) -> _Mark:
    marks: list[tuple[int, int, int] | None] = []
    for path in files.paths:
        try:
            found = Path(path).stat()
        except OSError:
            marks.append(None)
        else:
            marks.append((found.st_mtime_ns, found.st_size, found.st_ino))
    return tuple(marks)
