"""
What a submitted message's header lacks (RFC 6409 sections 8.2 and 8.3): Date and Message-ID.

Nothing else is put in or changed, and nothing that is missing is refused. From and Sender are the author's: what we
guessed would stand there as if the author had said it.
"""

import re
from base64 import b32encode
from collections.abc import Callable
from email.utils import formatdate

# A field begins at the beginning of a line, so what lies in another field's folded lines is none. Blanks before the
# colon are obsolete (RFC 5322 section 4.5), and read all the same; possessive, so each octet is looked at once.
_DATE = re.compile(rb"(?:\A|\r\n)date[ \t]*+:", re.IGNORECASE)
_MESSAGE_ID = re.compile(rb"(?:\A|\r\n)message-id[ \t]*+:", re.IGNORECASE)

_RANDOM_OCTETS = 15


def missing_fields(header: bytes, now: float, hostname: str, random_octets: Callable[[int], bytes]) -> bytes:
    """
    The fields to put before the header, each with its CR LF; empty when there is nothing to add.

    :param header: the header section, CR LF line ends, with or without the empty line.
    :param now: Unix time.
    :param hostname: ours, A-labels: the right side of the Message-ID.
    :param random_octets: as ``os.urandom``.
    """
    fields = b""
    if _DATE.search(header) is None:
        fields += b"Date: " + formatdate(int(now), usegmt=False).replace("-0000", "+0000").encode("ascii") + b"\r\n"
    if _MESSAGE_ID.search(header) is None:
        unique = b32encode(random_octets(_RANDOM_OCTETS)).lower()
        fields += b"Message-ID: <%d.%s@%s>\r\n" % (int(now), unique, hostname.encode("ascii"))
    return fields
