"""What a next hop offers in its reply to EHLO (RFC 5321 section 4.1.1.1)."""

import re

from msgspec import Struct

from smtpgw.model.reply import Reply

_SIZE = re.compile(r"[0-9]{1,20}\Z", re.ASCII)


class Offer(Struct, frozen=True):
    """
    The extensions that we make use of.

    :ivar size_octets: the largest message it takes (RFC 1870); ``None`` when it names none.
    :ivar size: the SIZE parameter of MAIL may be given.
    """

    pipelining: bool = False
    starttls: bool = False
    eightbitmime: bool = False
    smtputf8: bool = False
    size: bool = False
    size_octets: int | None = None


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
    return Offer(
        pipelining="PIPELINING" in keywords,
        starttls="STARTTLS" in keywords,
        eightbitmime="8BITMIME" in keywords,
        smtputf8="SMTPUTF8" in keywords,
        size=size is not None,
        size_octets=limit or None,
    )
