"""
A message as a program hands it to sendmail becomes one that can be sent: line ends, and the fields that must be there.

The header is only looked at and added to. What is in it already goes out as it came, but for Bcc.
"""

import re
from collections.abc import Callable
from email.errors import HeaderParseError
from email.header import Header
from email.headerregistry import Address
from email.policy import SMTP
from email.utils import formatdate

_LINE_END = re.compile(rb"\r\n|\r|\n")
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:")
_LONE_DOT = re.compile(rb"(?:\A|(?<=\n))\.\n")
_RECIPIENT_FIELDS = (b"to", b"cc", b"bcc")
_MOST_RECIPIENTS = 10_000

_PARSER_TROUBLE = (HeaderParseError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What Python's parser of addresses raises for input that is none: it trips over its own defects then."""


class NotAMessage(Exception):
    """It can't be sent; the text says why, to whoever handed it in."""


class Submission:
    """
    A message on its way in.

    :ivar recipients: those that the header names, when they were asked for.
    """

    def __init__(self, octets: bytes, *, dot_ends: bool, takes_recipients: bool) -> None:
        """
        :param octets: as read, any line ends.
        :param dot_ends: a line of only a dot ends the message, as in sendmail without ``-i``.
        :param takes_recipients: read them from the header, and take the Bcc fields out.
        :raises NotAMessage: when an address in the header can't be understood.
        """
        # LF inside, CR LF at the end: half the cases.
        text = _LINE_END.sub(b"\n", octets)
        if dot_ends:
            dot = _LONE_DOT.search(text)
            if dot:
                text = text[: dot.start()]
        if text and not text.endswith(b"\n"):
            text += b"\n"
        self._fields, self._body = _split(text)
        self.recipients: list[str] = []
        if takes_recipients:
            for name, field in self._fields:
                if name in _RECIPIENT_FIELDS:
                    self.recipients += _addresses(field)
            if len(self.recipients) > _MOST_RECIPIENTS:
                raise NotAMessage(f"the header names more than {_MOST_RECIPIENTS} recipients")
            self._fields = [(name, field) for name, field in self._fields if name != b"bcc"]

    def complete(self, author: str, full_name: str, now: float, message_id: Callable[[], str]) -> bytes:
        """
        The message as it is sent, lines ending in CR LF.

        :param author: address for a From field if there is none.
        :param full_name: goes before it, as encoded words (RFC 2047) where it is not ASCII; may be empty.
        :param now: Unix time for a Date field if there is none.
        :param message_id: called for a Message-ID if there is none; angle brackets included.
        :raises NotAMessage: when ``author`` or ``full_name`` can't stand in a header.
        """
        if not (author.isprintable() and full_name.isprintable()):
            raise NotAMessage("the sender's address or name has control characters")
        there = {name for name, _ in self._fields}
        added = []
        if b"date" not in there:
            added.append(f"Date: {formatdate(now, localtime=True)}")
        if b"from" not in there:
            added.append(f"From: {_author(author, full_name)}")
        if b"message-id" not in there:
            added.append(f"Message-ID: {message_id()}")
        header = b"".join(field for _, field in self._fields)
        new = "".join(f"{line}\n" for line in added).encode("utf-8")
        return (new + header + b"\n" + self._body).replace(b"\n", b"\r\n")


def _split(text: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """The fields (lower-case name, whole field with its folded lines), and the body."""
    fields: list[tuple[bytes, bytes]] = []
    position = 0
    # A mailbox file's separator, which programs that read one leave in front.
    if text.startswith((b"From ", b">From ")):
        position = text.index(b"\n") + 1
    while position < len(text):
        end = text.index(b"\n", position) + 1
        line = text[position:end]
        match = _FIELD.match(line)
        if line[:1] in {b" ", b"\t"} and line.strip() and fields:
            name, field = fields[-1]
            fields[-1] = (name, field + line)
        elif match:
            fields.append((match[1].lower(), line))
        else:
            # The empty line, or the first line of a body that nobody has set apart.
            return fields, text[end if line == b"\n" else position :]
        position = end
    return fields, b""


def _addresses(field: bytes) -> list[str]:
    """The mailboxes of an address field, groups opened."""
    name, _, value = field.decode("utf-8", "surrogateescape").partition(":")
    unfolded = " ".join(value.split())
    if not unfolded:
        return []
    try:
        parsed = SMTP.header_factory(name.strip(), unfolded)
    except _PARSER_TROUBLE:
        raise NotAMessage(f"the {name.strip()} field can't be understood") from None
    addresses: tuple[Address, ...] = getattr(parsed, "addresses", ())
    if not any(address.addr_spec not in {"", "<>"} for address in addresses) and not _is_empty(parsed):
        raise NotAMessage(f"the {name.strip()} field can't be read")
    found = [address.addr_spec for address in addresses if address.addr_spec not in {"", "<>"}]
    for address in found:
        if "@" not in address or not address.isprintable():
            raise NotAMessage(f"the {name.strip()} field has {address!r}, which is no address")
    return found


def _is_empty(parsed: object) -> bool:
    """Whether a field says that there is nobody: ``undisclosed-recipients:;``."""
    groups = getattr(parsed, "groups", ())
    return bool(groups) and all(group.display_name is not None and not group.addresses for group in groups)


def _author(address: str, full_name: str) -> str:
    if not full_name:
        return address
    if not full_name.isascii():
        # RFC 2047: older hosts on the way take no UTF-8 in a header.
        return f"{Header(full_name, 'utf-8', header_name='From').encode()} <{address}>"
    quoted = full_name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>'
