"""What holds for every session of a listener, and the tables that are made from it once."""

from collections.abc import Callable
from enum import Enum
from typing import TypeVar

from msgspec import Struct

from smtpgw.smtp.extension import Extension
from smtpgw.smtp.extensions.catalogue import EXTENSIONS

_Key = TypeVar("_Key", str, bytes)


class Phase(Enum):
    """
    Where a session stands.

    ``START``: nobody has said HELO or EHLO. ``READY``: between transactions. ``MAIL``: inside one. ``CONTENT``: behind
    the 354, or inside of a chunk, also of one that is only read to be dropped. ``CHUNKS``: between two chunks of a
    message. ``EXCHANGE``: behind a 334. ``CLOSED``: input is no longer read.
    """

    START = "start"
    READY = "ready"
    MAIL = "mail"
    CONTENT = "content"
    CHUNKS = "chunks"
    EXCHANGE = "exchange"
    CLOSED = "closed"


class SessionRules(Struct, frozen=True, kw_only=True):
    """
    The limits of a session.

    :ivar banner: text of the 220, the host name first (RFC 5321 section 4.3.1).
    :ivar message_size: octets of content; 0 is no limit.
    :ivar recipients: of one transaction; more get 452 4.5.3.
    :ivar messages: on one connection; 0 is no limit.
    :ivar errors: bad commands before 421 4.7.0.
    :ivar normalizes: bare CR and LF become CR LF; otherwise content with them is refused.
    :ivar requires_tls: nothing but the greeting before STARTTLS.
    :ivar requires_auth: nothing but the greeting before AUTH.
    :ivar refused_recipients: RCPT that the driver refused with 5xx, on one connection, before 421 4.7.0; 0 is no limit.
    :ivar deliver_by: DELIVERBY is offered.
    :ivar deliver_by_seconds: the shortest time that it may ask for with mode R; 0: any.
    :ivar future_release_seconds: FUTURERELEASE is offered, for so long; 0: it is not.
    :ivar now: Unix time; FUTURERELEASE must name a date, so without it that is not offered.
    :ivar extensions: offered when they can be.
    """

    hostname: str
    banner: str
    message_size: int = 0
    recipients: int = 1000
    messages: int = 0
    errors: int = 20
    normalizes: bool = False
    requires_tls: bool = False
    requires_auth: bool = False
    refused_recipients: int = 0
    deliver_by: bool = False
    deliver_by_seconds: int = 0
    future_release_seconds: int = 0
    now: Callable[[], float] | None = None
    extensions: tuple[Extension, ...] = EXTENSIONS


class ExtensionTables:
    """
    Who answers for which keyword.

    :raises ValueError: when two extensions claim the same one.
    """

    def __init__(self, extensions: tuple[Extension, ...]) -> None:
        self.mail: dict[str, Extension] = {}
        self.rcpt: dict[str, Extension] = {}
        self.verbs: dict[bytes, Extension] = {}
        for extension in extensions:
            for keyword in extension.mail_parameters:
                _claim(self.mail, keyword, extension)
            for keyword in extension.rcpt_parameters:
                _claim(self.rcpt, keyword, extension)
            for verb in extension.verbs:
                _claim(self.verbs, verb.encode("ascii"), extension)


def _claim(table: dict[_Key, Extension], keyword: _Key, extension: Extension) -> None:
    if keyword in table:
        raise ValueError(f"two extensions claim {keyword!r}")
    table[keyword] = extension
