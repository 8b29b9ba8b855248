"""Mailboxes and paths (RFC 5321 section 4.1.2). Parsing stands in :mod:`smtpgw.smtp.grammar`."""

import re

from msgspec import Struct

_DOT_STRING = re.compile(r"[^\x00-\x20\x7f()<>@,;:\\\"\[\].]+(\.[^\x00-\x20\x7f()<>@,;:\\\"\[\].]+)*\Z")


class Mailbox(Struct, frozen=True, array_like=True, gc=False):
    """
    A mailbox: local part and domain.

    :ivar local: the local part in its meaning, without quotes or backslashes; case is kept.
    :ivar domain: lower case, as U- or A-label as the peer wrote it; an address literal stands in its brackets
        (``[192.0.2.1]``, ``[IPv6:2001:db8::1]``).
    """

    local: str
    domain: str

    @property
    def is_ascii(self) -> bool:
        """Whether it can travel without SMTPUTF8."""
        return self.local.isascii() and self.domain.isascii()

    def __str__(self) -> str:
        """As in a path without the angle brackets; the local part is quoted where it must be."""
        local = self.local
        if not _DOT_STRING.match(local):
            local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{local}@{self.domain}"


ReversePath = Mailbox | None
"""``None`` is the null path ``<>``, of notifications."""


def path_text(path: ReversePath) -> str:
    """The path as it stands between angle brackets; empty for the null path."""
    return "" if path is None else str(path)
