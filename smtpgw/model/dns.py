"""Answers of the name server."""

from enum import Enum

from msgspec import Struct


class RecordType(Enum):
    """The types that we ask for."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    TXT = "TXT"
    PTR = "PTR"
    TLSA = "TLSA"


class AnswerStatus(Enum):
    """
    What kind of answer it is.

    ``TEMPORARY`` is SERVFAIL, REFUSED, silence, garbage: nothing is known. It is never cached and never final.
    """

    FOUND = "found"
    NO_DATA = "no data"
    NO_NAME = "no such name"
    TEMPORARY = "temporary failure"


class MxRecord(Struct, frozen=True, order=True, gc=False):
    """:ivar host: A-labels, lower case, no trailing dot; empty for the root (RFC 7505)."""

    preference: int
    host: str


class TlsaRecord(Struct, frozen=True, gc=False):
    """RFC 6698 section 2.1."""

    usage: int
    selector: int
    matching: int
    data: bytes


Record = str | bytes | MxRecord | TlsaRecord
"""A, AAAA and PTR are ``str``; a TXT record is ``bytes``, its strings joined."""


class Answer(Struct, frozen=True):
    """
    One answer.

    :ivar records: of the type asked for, CNAME already followed; bounded.
    :ivar expires_at: Unix time until which it may be used.
    :ivar authenticated: the AD bit, believed only from a resolver on loopback.
    :ivar detail: for the log, when temporary.
    """

    status: AnswerStatus
    records: tuple[Record, ...] = ()
    expires_at: float = 0.0
    authenticated: bool = False
    detail: str = ""
