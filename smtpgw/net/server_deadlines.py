"""
When a connection has had its time.

No timer belongs to a connection: it only marks that something happened, and is asked about once a second or so by
whoever sweeps over all of them. So deadlines are kept to the interval of the sweep.
"""

from enum import Enum

from smtpgw.net.server_settings import ServerSettings


class Due(Enum):
    """``LEAVE``: say 421 and close. ``ABORT``: drop it."""

    LEAVE = "leave"
    ABORT = "abort"


class Deadlines:
    """
    Of one connection.

    :ivar has_moved: set by the connection when a command or an answer went through; octets alone are no progress.
    :ivar content_octets: of content that came, added by the connection. They are progress once they are as many as the
        slowest rate asks for in the time that a silent client has; so a client that stops is gone after that time, and
        one that drips is gone as soon as one that says nothing.
    """

    __slots__ = (
        "_closing_at",
        "_handshake_at",
        "_idle_since",
        "_last",
        "_leave_at",
        "_settings",
        "content_octets",
        "has_moved",
    )

    def __init__(self, settings: ServerSettings, now: float) -> None:
        """:param now: of a clock that is only ever compared with itself."""
        self._settings = settings
        self.has_moved = False
        self.content_octets = 0
        self._last = now
        self._idle_since = now
        self._leave_at = now + settings.session_timeout_seconds
        self._handshake_at: float | None = None
        self._closing_at: float | None = None

    def proxy_header(self, now: float) -> None:
        """A proxy has to say for whom it speaks."""
        self._handshake_at = now + self._settings.proxy_timeout_seconds

    def handshake(self, now: float) -> None:
        """A TLS handshake begins."""
        self._handshake_at = now + self._settings.handshake_timeout_seconds

    def handshake_done(self) -> None:
        """It is done, or the proxy's header has come."""
        self._handshake_at = None
        self.has_moved = True

    def closing(self, now: float) -> None:
        """The last octets are on their way."""
        self._closing_at = now + self._settings.closing_seconds

    def due(self, now: float, *, is_ours: bool) -> Due | None:
        """
        What must happen now.

        :param is_ours: the client waits for us; such time counts for nothing.
        """
        elapsed, self._last = now - self._last, now
        if self._closing_at is not None:
            return Due.ABORT if now >= self._closing_at else None
        if self._handshake_at is not None:
            return Due.ABORT if now >= self._handshake_at else None
        settings = self._settings
        if is_ours:
            self._leave_at += elapsed
            self._idle_since = now
            self.content_octets = 0
            return None
        if self.has_moved or (
            self.content_octets
            and self.content_octets >= settings.content_octets_per_second * settings.idle_timeout_seconds
        ):
            self.has_moved = False
            self.content_octets = 0
            self._idle_since = now
        if now >= self._idle_since + settings.idle_timeout_seconds or now >= self._leave_at:
            return Due.LEAVE
        return None
