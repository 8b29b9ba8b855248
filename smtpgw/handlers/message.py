"""
The message that a handler gets.

Reading it never blocks the reactor: what may need the disk or much time is awaited and runs in a thread. The header is
in memory already.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message as Mime
from email.policy import Compat32
from typing import BinaryIO

from smtpgw.boundaries.spool import Body
from smtpgw.boundaries.world import Threads
from smtpgw.model.address import path_text
from smtpgw.model.envelope import Recipient, TlsFacts
from smtpgw.model.message import Message
from smtpgw.model.queue_id import queue_id_text

HEAD_OCTETS = 256 * 1024
"""How much of a content's beginning is looked through for its header."""

_MAX_FIELD_OCTETS = 16 * 1024
"""Of one field that is decoded; what is longer is returned undecoded."""

_MAX_WORK = 20_000_000
"""Lines times multiparts that ``parsed`` accepts: the parser asks every open multipart about every line."""

_MAX_DEPTH = 100
"""Of the tree: ``walk`` and the like recurse."""

_MAX_PARAMETERS = 50
"""Of one MIME field: the parser's time grows with their square."""

_MAX_ENCODED_WORDS = 500
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_FOLD = re.compile(r"\r?\n(?=[ \t])")


class UnreadableMessage(ValueError):
    """The content can't be taken apart within bounds. It can still be had as octets."""


class IncomingMessage:
    """
    A message for one or more of our recipients.

    When the handler returns, the gateway's responsibility for it ends: what must last is durable before that.

    :ivar queue_id: its id here, as in the log.
    :ivar reverse_path: where it came from, as SMTP says it; empty for notifications. Not a proof of anything.
    :ivar recipients: those it is for, in this call; addresses may repeat.
    :ivar client_address: IP address of the client; empty if there was none.
    :ivar client_name: confirmed reverse DNS name, if it was looked up.
    :ivar helo: what the client called itself.
    :ivar tls: how the client's connection was protected, ``None`` in the clear.
    :ivar identity: authenticated user name.
    :ivar received_at: when the gateway took responsibility, in UTC.
    :ivar size: octets of the content.
    :ivar trace: the Received field that the gateway adds; it is not part of the content.
    """

    def __init__(
        self, message: Message, recipients: Sequence[Recipient], body: Body, threads: Threads, head: bytes
    ) -> None:
        """:param head: the beginning of the content, at least its header or ``HEAD_OCTETS``."""
        client = message.client
        self.queue_id = queue_id_text(message.queue_id)
        self.reverse_path = path_text(message.envelope.reverse_path)
        self.recipients = tuple(str(recipient.mailbox) for recipient in recipients)
        self.client_address = client.address
        self.client_name = client.name
        self.helo = client.helo
        self.tls: TlsFacts | None = client.tls
        self.identity = client.identity
        self.received_at = datetime.fromtimestamp(message.received_at, UTC)
        self.size = message.size_octets
        self.trace = message.trace
        self._body = body
        self._threads = threads
        self._header = header_section(head)

    def __repr__(self) -> str:
        return f"<IncomingMessage {self.queue_id} for {len(self.recipients)}, {self.size} octets>"

    async def content(self) -> bytes:
        """All of it, as received; lines end in CR LF. It may be as large as ``message_size`` allows."""
        inline = self._body.inline()
        return inline if inline is not None else await self._threads.run(_read_all, self._body)

    def open(self) -> BinaryIO:
        """A stream over the content, for code that runs in a thread: it blocks. The caller closes it."""
        return self._body.open()

    async def parsed(self) -> Mime:
        """
        The content as a tree of MIME parts, made anew in a thread.

        It is the ``compat32`` form of :mod:`email`, not the newer one: on hostile messages that takes up to a hundred
        times as long and raises a hundred times as often. Fields are as written; :meth:`header` decodes.

        :raises UnreadableMessage: for a tree too deep or too wide.
        """
        return await self._threads.run(_parse, self._body)

    @property
    def subject(self) -> str:
        """The Subject, decoded; empty if there is none."""
        return self.header("Subject") or ""

    def header(self, name: str) -> str | None:
        """The first field of that name (in any case), decoded and unfolded; ``None`` if there is none."""
        found = self.header_all(name, 1)
        return found[0] if found else None

    def header_all(self, name: str, limit: int = 1000) -> list[str]:
        """
        The fields of that name, from the top. Octets that are neither ASCII nor UTF-8 are replaced.

        :param limit: stop at so many.
        """
        pattern = re.compile(
            rb"^%b[ \t]*:[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)" % re.escape(name.encode()), re.IGNORECASE | re.MULTILINE
        )
        values = []
        for field in pattern.finditer(self._header):
            values.append(_decoded(field[1]))
            if len(values) == limit:
                break
        return values


def header_section(head: bytes) -> bytes:
    """The header section at the beginning of a content, without the empty line."""
    if head.startswith(b"\r\n"):
        return b""
    end = head.find(b"\r\n\r\n")
    return head if end < 0 else head[: end + 2]


def _decoded(octets: bytes) -> str:
    text = _CONTROL.sub(" ", _FOLD.sub("", octets.decode(errors="replace"))).strip()
    if "=?" not in text or len(text) > _MAX_FIELD_OCTETS or text.count("=?") > _MAX_ENCODED_WORDS:
        return text
    try:
        # Encoded words may hide line ends, which must not get into a field that the handler writes in turn.
        return _CONTROL.sub(" ", str(make_header(decode_header(text))))
    except (HeaderParseError, LookupError, ValueError, AttributeError, TypeError):
        # An unknown charset, broken base64: as it was written.
        return text


def _read_all(body: Body) -> bytes:
    with body.open() as stream:
        return stream.read()


class _Bounded(Compat32):
    """The policy, with an end to its patience."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        """Refuse fields that are made to take long."""
        if sourcelines[0][:8].lower() == "content-" and (
            sum(map(len, sourcelines)) > _MAX_FIELD_OCTETS
            or sum(line.count(";") for line in sourcelines) > _MAX_PARAMETERS
        ):
            raise UnreadableMessage("too many parameters")
        return super().header_source_parse(sourcelines)


_POLICY = _Bounded()


def _parse(body: Body) -> Mime:
    """In a thread."""
    inline = body.inline()
    content = inline if inline is not None else _read_all(body)
    if content.lower().count(b"boundary") * content.count(b"\n") > _MAX_WORK:
        raise UnreadableMessage("too many parts")
    try:
        tree = message_from_bytes(content, policy=_POLICY)
    except UnreadableMessage:
        raise
    except (RecursionError, LookupError, ValueError, AttributeError, TypeError) as trouble:
        raise UnreadableMessage("the MIME structure is broken or too deep") from trouble
    level: list[Mime] = [tree]
    depth = 0
    while level:
        depth += 1
        if depth > _MAX_DEPTH:
            raise UnreadableMessage("the MIME structure is too deep")
        level = [part for parent in level if parent.is_multipart() for part in _parts(parent)]
    return tree


def _parts(parent: Mime) -> list[Mime]:
    payload = parent.get_payload()
    return [part for part in payload if isinstance(part, Mime)] if isinstance(payload, list) else []
