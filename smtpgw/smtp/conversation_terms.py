"""What a conversation is told at its start, and what it asks of the connection beneath it and of the link above it."""

import re
from typing import Protocol

from msgspec import Struct

from smtpgw.boundaries.relay import Job, LinkFailure
from smtpgw.boundaries.spool import Body
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.outcome import Outcome

_HELO_NAME = re.compile(r"[\x21-\x7e]{1,255}\Z")


class RelaySettings(Struct, frozen=True):
    """
    How we speak to next hops. The times are the least that RFC 5321 section 4.5.3.2 asks for, but for connecting,
    where it says nothing.

    :ivar helo_name: our name in EHLO: a domain name (A-labels) or an address literal.
    :ivar handshake_timeout_seconds: for a TLS handshake.
    :ivar command_timeout_seconds: for the greeting, and each reply to EHLO, STARTTLS, MAIL, RCPT, RSET.
    :ivar data_timeout_seconds: for the reply to DATA.
    :ivar block_timeout_seconds: for a block of content to be taken by the peer.
    :ivar final_timeout_seconds: for the reply to the end of data.
    :ivar quit_timeout_seconds: for taking leave; then the connection is dropped.
    :ivar transaction_timeout_seconds: for a transaction in all, beside what its content takes at 16 KiB a second: a
        host that answers each of a thousand recipients just in time must not hold a link for days.
    :raises ValueError: when the name can't stand in a command.
    """

    helo_name: str
    connect_timeout_seconds: float = 30.0
    handshake_timeout_seconds: float = 60.0
    command_timeout_seconds: float = 300.0
    data_timeout_seconds: float = 120.0
    block_timeout_seconds: float = 180.0
    final_timeout_seconds: float = 600.0
    quit_timeout_seconds: float = 5.0
    transaction_timeout_seconds: float = 1800.0

    def __post_init__(self) -> None:
        """A name with a space or a line end in it would be a command of its own."""
        if not _HELO_NAME.match(self.helo_name):
            raise ValueError(f"not a name for EHLO: {self.helo_name!r}")


class Wire(Protocol):
    """The connection beneath. None of these calls back into the conversation before it returns."""

    def write(self, octets: bytes) -> None:
        """Send octets."""

    def stream(self, trace: bytes, body: Body) -> None:
        """
        Send a trace header and content that isn't in memory, stuffed.

        Ends in one call of ``Conversation.content_sent`` or ``Conversation.content_lost``, unless the connection is
        lost before.
        """

    def start_tls(self) -> None:
        """Begin the handshake. Ends in ``Conversation.secured`` or ``Conversation.lost``."""

    def lose(self) -> None:
        """Close, when what was written is out. Ends in ``Conversation.lost``."""

    def abort(self) -> None:
        """Drop the connection. Ends in ``Conversation.lost``."""

    def soon(self) -> None:
        """Call ``Conversation.resume`` when the present call stack is gone."""


class LinkEvents(Protocol):
    """
    The link above.

    Exactly one of ``failed`` and ``ready`` is called, and after ``ready`` exactly one ``gone``, last of all.
    """

    def ready(self, tls: TlsFacts | None) -> None:
        """A job may be sent."""

    def failed(self, failure: LinkFailure, broken_tls: bool) -> None:
        """:param broken_tls: TLS itself didn't work, so that clear text may."""

    def wants_job(self) -> None:
        """The next job may be sent."""

    def finished(self, job: Job, outcomes: tuple[Outcome, ...]) -> None:
        """One outcome for each slot of the job."""

    def gone(self, failure: LinkFailure | None) -> None:
        """``None``: as we wished."""
