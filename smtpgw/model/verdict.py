"""What a check or a policy says about a step of a transaction."""

from msgspec import Struct

from smtpgw.model.reply import Reply


class Accept(Struct, frozen=True, gc=False):
    """
    Go on.

    :ivar notes: remarks for the log and for ``explain``: which rule accepted, and why.
    """

    notes: tuple[str, ...] = ()


class Refuse(Struct, frozen=True, gc=False):
    """
    Answer with this reply instead.

    :ivar reply: 4xx or 5xx. Its text goes to the peer: no path, setting, host of ours or exception in it.
    :ivar check: name of the check.
    :ivar cause: for the log only.
    """

    reply: Reply
    check: str
    cause: str = ""


Verdict = Accept | Refuse

ACCEPT = Accept()
"""Accepted without remarks."""
