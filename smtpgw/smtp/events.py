"""
What a session tells the one that drives it.

Those marked "asks" wait for exactly one answer through the session's methods named there; until it is given, no more
input is read. The others need none.
"""

from enum import Enum

from msgspec import Struct

from smtpgw.model.envelope import Envelope, MailFrom, Recipient


class MailAsked(Struct, frozen=True, gc=False):
    """Asks: ``accept`` or ``refuse``."""

    mail: MailFrom


class RcptAsked(Struct, frozen=True, gc=False):
    """Asks: ``accept`` or ``refuse``."""

    mail: MailFrom
    recipient: Recipient


class DataAsked(Struct, frozen=True, gc=False):
    """Asks: ``accept`` or ``refuse``, before the 354 of DATA, or before the first octet behind the first BDAT."""

    envelope: Envelope


class ContentRead(Struct, frozen=True, gc=False):
    """
    A piece of the content.

    :ivar octets: without dot-stuffing; not empty unless it is the last.
    :ivar is_last: asks: ``conclude``, with the reply to the end of data, or to the last BDAT.
    """

    octets: bytes
    is_last: bool


class Signal(Enum):
    """
    Events that carry nothing.

    ``GREETED``: HELO or EHLO was taken; the session knows the client's name. ``CONTENT_DROPPED``: the content that is
    being read, by DATA or in chunks, is refused or given up, forget it; comes at most once, and no more of it follows.
    ``TLS_ASKED``: write the
    output, begin the handshake, and call ``tls_started``. ``OUTPUT_FULL``: write the output now. ``CLOSED``: write the
    output and close the connection.
    """

    GREETED = "greeted"
    CONTENT_DROPPED = "content dropped"
    TLS_ASKED = "tls asked"
    OUTPUT_FULL = "output full"
    CLOSED = "closed"


class AuthAsked(Struct, frozen=True, gc=False):
    """
    Asks: ``challenge``, ``authenticated`` or ``refuse`` (RFC 4954 section 4).

    :ivar mechanism: in upper case, one of those offered.
    :ivar initial: the initial response, decoded; ``None`` when there was none.
    """

    mechanism: str
    initial: bytes | None


class AuthResponse(Struct, frozen=True, gc=False):
    """
    The answer to a challenge. Asks like ``AuthAsked``.

    :ivar response: decoded.
    """

    response: bytes


class AuthAborted(Struct, frozen=True, gc=False):
    """The exchange is over without a result; the session has answered."""


class XclientAsked(Struct, frozen=True, gc=False):
    """
    The client says for whom it speaks. Asks: ``xclient_done`` or ``refuse``.

    :ivar attributes: by their names in upper case, decoded and checked. One that is not there stays what it was; an
        empty one is known not to be available.
    """

    attributes: dict[str, str]


Event = MailAsked | RcptAsked | DataAsked | ContentRead | Signal | AuthAsked | AuthResponse | AuthAborted | XclientAsked
