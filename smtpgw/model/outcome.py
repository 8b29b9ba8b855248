"""What became of one recipient in one attempt, in the words of RFC 3464 section 2.3.3."""

from enum import Enum

from msgspec import Struct

from smtpgw.model.envelope import TlsFacts
from smtpgw.model.reply import Reply


class Scope(Enum):
    """Whom a failure speaks about. A result touches exactly its scope and nothing wider."""

    RECIPIENT = "recipient"
    MESSAGE = "message"
    HOST = "host"


class Relayed(Struct, frozen=True, tag="relayed", gc=False):
    """The next hop has taken responsibility."""

    reply: Reply
    host: str
    address: str
    tls: TlsFacts | None = None


class Delivered(Struct, frozen=True, tag="delivered", gc=False):
    """
    It has reached its sink here.

    :ivar text: where to, for the log: ``maildir``, ``handler``, ``discard``.
    """

    text: str


class Delayed(Struct, frozen=True, tag="delayed", gc=False):
    """
    Not now.

    :ivar status: enhanced status, ``4.x.x``.
    :ivar reason: one line for people: why.
    :ivar reply: the peer's words, if it spoke.
    :ivar host: name of the host that was tried, empty when none was reached.
    :ivar retry_after_seconds: when to try again, where that was said; ``None`` leaves it to the schedule.
    """

    status: str
    reason: str
    scope: Scope = Scope.MESSAGE
    reply: Reply | None = None
    host: str = ""
    address: str = ""
    retry_after_seconds: float | None = None


class Failed(Struct, frozen=True, tag="failed", gc=False):
    """
    Never.

    :ivar status: enhanced status, ``5.x.x``; an expired message keeps the last ``4.x.x`` (RFC 3464 section 2.3.4).
    :ivar expired: it waited too long, the last trouble was transient.
    """

    status: str
    reason: str
    scope: Scope = Scope.RECIPIENT
    reply: Reply | None = None
    host: str = ""
    address: str = ""
    expired: bool = False


Outcome = Relayed | Delivered | Delayed | Failed
