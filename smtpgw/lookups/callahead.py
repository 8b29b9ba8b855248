"""
Recipients that the next host knows: ``smtp:host:port``, asked by an SMTP dialogue that ends before DATA.

What its reply to RCPT says about the recipient, and when it says nothing about it, is decided in
:mod:`smtpgw.smtp.probe`.
"""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from smtpgw.lookups.question import Question
from smtpgw.model.address import Mailbox

Probe = Callable[[Mailbox], Awaitable[bool]]
"""Whether the host takes a recipient. Raises LookupTrouble."""


class CallAheadPlace(Struct, frozen=True, tag="callahead"):
    """:ivar host: name (A-labels) or address."""

    host: str
    port: int


class NextHost:
    """A source."""

    def __init__(self, probe: Probe) -> None:
        self._probe = probe

    async def __call__(self, question: Question) -> bool:
        """See :data:`~smtpgw.lookups.question.Source`."""
        return await self._probe(Mailbox(question.local, question.domain))
