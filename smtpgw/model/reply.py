"""Replies (RFC 5321 section 4.2) with their enhanced status (RFC 2034, RFC 3463)."""

from msgspec import Struct


class Reply(Struct, frozen=True, array_like=True, gc=False):
    """
    A reply, ours or a peer's.

    :ivar code: three digits, 200 to 599.
    :ivar status: enhanced status such as ``5.1.1``; empty when there is none (220, 354, the reply to EHLO).
    :ivar lines: the text, at least one line, without code or status. Text of a peer is kept as received, decoded as
        UTF-8 with replacement; whoever shows it escapes it.
    """

    code: int
    status: str
    lines: tuple[str, ...]

    @property
    def is_positive(self) -> bool:
        """2xx."""
        return 200 <= self.code < 300

    @property
    def is_transient(self) -> bool:
        """4xx."""
        return 400 <= self.code < 500

    @property
    def is_permanent(self) -> bool:
        """5xx."""
        return 500 <= self.code < 600

    def __str__(self) -> str:
        """On one line, for logs and notifications; control characters are not escaped."""
        status = f"{self.status} " if self.status else ""
        return f"{self.code} {status}{' / '.join(self.lines)}"


def reply(code: int, status: str, text: str) -> Reply:
    """A reply of one line."""
    return Reply(code, status, (text,))
