"""What every source of recipients is asked."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from smtpgw.model.address import Mailbox

NAMES = ("local", "domain", "address")
"""Of what a query, a URL or a filter may hold."""

_MAX_OCTETS = 256
"""Of a path (RFC 5321 section 4.5.3.1.3). Longer ones are no recipients, whatever a source would say."""


class Question(Struct, frozen=True):
    """
    An address that may be a recipient.

    :ivar local: as in :class:`~smtpgw.model.address.Mailbox`, canonical: any character that a quoted string may hold.
    :ivar domain: A-labels, lower case.
    """

    local: str
    domain: str

    @property
    def address(self) -> str:
        """As in SMTP: the local part is quoted where it must be."""
        return str(Mailbox(self.local, self.domain))

    def values(self) -> dict[str, str]:
        """By name."""
        return {"local": self.local, "domain": self.domain, "address": self.address}


Source = Callable[[Question], Awaitable[bool]]
"""Whether it is a recipient. Raises :exc:`~smtpgw.model.domains.LookupTrouble` or OSError when it can't know now."""


def is_askable(local: str) -> bool:
    """
    Whether a local part can be one of a recipient at all, so that a source need not be asked.

    Control characters are none: no mail system has such a recipient, databases and directories stumble over NUL, and
    line ends would begin a new command or header field. Neither is what can't be written in UTF-8.
    """
    if not local or len(local) > _MAX_OCTETS or any(character < " " or character == "\x7f" for character in local):
        return False
    try:
        return len(local.encode("utf-8")) <= _MAX_OCTETS
    except UnicodeEncodeError:
        return False
