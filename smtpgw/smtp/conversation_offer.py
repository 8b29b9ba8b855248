"""What a next hop offers in its reply to EHLO (RFC 5321 section 4.1.1.1)."""

import re

from msgspec import Struct

from smtpgw.model.reply import Reply

_SIZE = re.compile(r"[0-9]{1,20}\Z", re.ASCII)
_LIMIT = re.compile(r"[1-9][0-9]{0,5}\Z", re.ASCII)


class Offer(Struct, frozen=True):
    """
    The extensions that we make use of.

    :ivar size_octets: the largest message it takes (RFC 1870); ``None`` when it names none.
    :ivar size: the SIZE parameter of MAIL may be given.
    :ivar dsn: it takes over who is told what (RFC 3461).
    :ivar deliver_by: it takes over by when (RFC 2852); ``least_seconds``: it promises to return nothing earlier.
    :ivar max_mails: messages on one connection (RFC 9422), likewise recipients of a transaction, and their domains;
        0 when it names no limit.
    """

    pipelining: bool = False
    starttls: bool = False
    eightbitmime: bool = False
    smtputf8: bool = False
    size: bool = False
    size_octets: int | None = None
    dsn: bool = False
    requiretls: bool = False
    deliver_by: bool = False
    least_seconds: int = 0
    max_mails: int = 0
    max_recipients: int = 0
    max_domains: int = 0


NOTHING = Offer()
"""Of a host that only knows HELO."""


def read_offer(reply: Reply) -> Offer:
    """
    Keywords in any case and order; what isn't understood is passed over.

    The first line is the host's name. A SIZE of 0, of none or of no number sets no limit.
    """
    keywords: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword, _, parameter = line.strip().partition(" ")
        keywords.setdefault(keyword.upper(), parameter.strip())
    size = keywords.get("SIZE")
    limit = int(size) if size is not None and _SIZE.match(size) else 0
    limits = _limits(keywords.get("LIMITS", ""))
    least = keywords.get("DELIVERBY", "")
    return Offer(
        pipelining="PIPELINING" in keywords,
        starttls="STARTTLS" in keywords,
        eightbitmime="8BITMIME" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        size=size is not None,
        size_octets=limit or None,
        dsn="DSN" in keywords,
        requiretls="REQUIRETLS" in keywords,
        deliver_by="DELIVERBY" in keywords,
        least_seconds=int(least) if _LIMIT.match(least) else 0,
        max_mails=limits.get("MAILMAX", 0),
        max_recipients=limits.get("RCPTMAX", 0),
        max_domains=limits.get("RCPTDOMAINMAX", 0),
    )


def _limits(parameter: str) -> dict[str, int]:
    """The limits that it names (RFC 9422 section 3); what is no number, or 0, sets none."""
    limits: dict[str, int] = {}
    for one in parameter.upper().split():
        name, _, value = one.partition("=")
        if _LIMIT.match(value):
            limits.setdefault(name, int(value))
    return limits
