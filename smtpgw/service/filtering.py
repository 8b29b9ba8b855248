"""One message on its way through the filters: each reads what those before it have left; it is written once."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Sequence

from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from smtpgw.boundaries.filters import ContentFilter, Discard, Edits, Unreadable
from smtpgw.boundaries.spool import Draft, SpoolTrouble
from smtpgw.milter.fields import apply_edits, split_header
from smtpgw.model.envelope import BodyType, Client, Envelope
from smtpgw.model.verdict import Refuse

_PIECE_OCTETS = 4 * 65535
"""Four of the packets that milters take."""

_MOST_TRACE_OCTETS = 16 * 1024
"""Of new fields at the top, which then need no second copy of the message: they are kept beside our Received field."""

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Revision(Struct, frozen=True):
    """
    What the filters have made of a message.

    :ivar fields: of its header.
    :ivar body: ``None`` when it is as it came.
    :ivar quarantine: why it is held; ``None``: it is not.
    """

    envelope: Envelope
    fields: tuple[bytes, ...]
    body: bytes | None = None
    quarantine: str | None = None
    notes: tuple[str, ...] = ()


class Passage:
    """The way of one message through the filters."""

    def __init__(self, draft: Draft, header: bytes, added: bytes) -> None:
        """
        :param header: the header section of the draft's content.
        :param added: fields that we put before it.
        """
        self._draft = draft
        self._own, self._end = split_header(header)
        self._added = split_header(added)[0]

    async def run(
        self, filters: Sequence[ContentFilter], client: Client, envelope: Envelope, queue_id: str
    ) -> Revision | Refuse | Discard:
        """
        Ask the filters in their order, up to the first that refuses or discards.

        :raises Unreadable: the draft can't be read back.
        """
        # What is no field, and no empty line, begins the body: as all readers see it, whoever forgot the empty line.
        line_end = await _ready(read_draft(self._draft, self._end, 2))
        self._end += 2 if line_end == b"\r\n" else 0
        revision = Revision(envelope, self._added + self._own)
        for one in filters:
            content = _Content(self._draft, self._end, revision)
            filtered = await one.filter_content(client, revision.envelope, queue_id, content)
            if isinstance(filtered, (Refuse, Discard)):
                return filtered
            revision = _revised(revision, filtered.edits, filtered.notes)
            if not revision.envelope.recipients:
                return Discard(one.name, "it has taken away every recipient")
        return revision

    def write(self, revision: Revision) -> bytes:
        """
        Make the draft what the filters want.

        :returns: fields that go before it instead, since they are all that has changed.
        """
        fields, own = revision.fields, self._own
        new = len(fields) - len(own)
        if revision.body is None and new >= 0 and fields[new:] == own and (own or fields == self._added):
            top = b"".join(fields[:new])
            if len(top) <= _MOST_TRACE_OCTETS:
                return top
        self._draft.rewrite(b"".join(fields) + b"\r\n", self._end, revision.body)
        return b""


class _Content:
    """``Content`` in :mod:`smtpgw.boundaries.filters`: a draft, or the body that a filter has made."""

    def __init__(self, draft: Draft, body_at: int, revision: Revision) -> None:
        self._draft = draft
        self._body_at = body_at
        self._body = revision.body
        self.fields = revision.fields

    def read(self, offset: int) -> bytes | Awaitable[bytes]:
        """See ``Content.read``."""
        if self._body is not None:
            return self._body[offset : offset + _PIECE_OCTETS]
        return read_draft(self._draft, self._body_at + offset, _PIECE_OCTETS)


def read_draft(draft: Draft, offset: int, most: int) -> bytes | Awaitable[bytes]:
    """``Draft.read``, to be awaited if it must. :raises Unreadable: also later."""
    waiting: Deferred[bytes] | None = None
    found: list[bytes | SpoolTrouble] = []

    def done(answer: bytes | SpoolTrouble) -> None:
        if waiting is None:
            found.append(answer)
        elif waiting.called:
            pass  # Cancelled meanwhile.
        elif isinstance(answer, SpoolTrouble):
            waiting.errback(Unreadable(answer.cause))
        else:
            waiting.callback(answer)

    draft.read(offset, most, done)
    if not found:
        waiting = Deferred()
        return waiting
    if isinstance(found[0], SpoolTrouble):
        raise Unreadable(found[0].cause)
    return found[0]


async def _ready(answer: bytes | Awaitable[bytes]) -> bytes:
    return answer if isinstance(answer, bytes) else await answer


def _revised(revision: Revision, edits: Edits, notes: tuple[str, ...]) -> Revision:
    envelope = revision.envelope
    if edits.reverse_path:
        envelope = replace(envelope, reverse_path=edits.reverse_path[0])
    if edits.added or edits.removed:
        left = tuple(recipient for recipient in envelope.recipients if recipient.mailbox not in edits.removed)
        envelope = replace(envelope, recipients=left + edits.added)
    body = revision.body if edits.body is None else _clean(edits.body)
    if body is not None and not body.isascii() and envelope.body is BodyType.SEVEN_BIT:
        envelope = replace(envelope, body=BodyType.EIGHT_BIT)
    fields = apply_edits(revision.fields, edits.fields) if edits.fields else revision.fields
    quarantine = edits.quarantine if edits.quarantine is not None else revision.quarantine
    return Revision(envelope, fields, body, quarantine, revision.notes + notes)


def _clean(body: bytes) -> bytes:
    """A body from outside, held to the rules that a client's is held to: no bare CR or LF, no NUL, whole lines."""
    if b"\0" in body:
        body = body.replace(b"\0", b"")
    pairs = body.count(b"\r\n")
    if body.count(b"\n") != pairs or body.count(b"\r") != pairs:
        body = _BARE.sub(b"\r\n", body)
    return body if not body or body.endswith(b"\r\n") else body + b"\r\n"
