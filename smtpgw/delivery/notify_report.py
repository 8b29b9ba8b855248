"""The parts of a notification that programs read: the fields of RFC 3464 and the header of the original."""

import binascii
import re
from datetime import UTC, datetime
from email.utils import format_datetime

from smtpgw.delivery.escape import printable, printable_ascii
from smtpgw.model.address import Mailbox
from smtpgw.model.message import Entry
from smtpgw.model.outcome import Delayed, Failed
from smtpgw.model.queue_id import queue_id_text

_MAX_RECIPIENTS = 1000
"""Recipients that are listed; more are only counted, in the words for people."""

_MAX_TEXT_OCTETS = 900
"""Of what a host said. Below 998 with the name of its field, so that no folding is needed for a line to be legal."""

_MAX_HEADER_OCTETS = 64 * 1024
"""Of the original's header section."""

_FOLD_AT = 76

_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\Z")
_LONG_LINE = re.compile(rb"[^\r\n]{999}")
_NEWLINE = re.compile(rb"\r\n?|\n")


class Report:
    """
    What a notification is about.

    :ivar slots: indexes of the recipients that it lists; bounded.
    :ivar unlisted: how many more there are.
    :ivar action: ``failed`` or ``delayed`` (RFC 3464 section 2.3.3).
    :ivar is_utf8: an address is not ASCII, so the report takes the forms of RFC 6533.
    """

    def __init__(self, entry: Entry, slots: tuple[int, ...], now: float, hostname: str, action: str) -> None:
        self.entry = entry
        self.slots = slots[:_MAX_RECIPIENTS]
        self.unlisted = len(slots) - len(self.slots)
        self.now = now
        self.hostname = hostname
        self.action = action
        envelope = entry.message.envelope
        reverse_path = envelope.reverse_path
        self.is_utf8 = not (reverse_path is None or reverse_path.is_ascii) or not all(
            envelope.recipients[slot].mailbox.is_ascii for slot in self.slots
        )

    def mailbox(self, slot: int) -> Mailbox:
        """A recipient's address."""
        return self.entry.message.envelope.recipients[slot].mailbox

    def trouble(self, slot: int) -> Failed | Delayed | None:
        """Why it stands where it does; ``None`` when nothing was tried yet."""
        last = self.entry.slots[slot].last
        return last if isinstance(last, (Failed, Delayed)) else None

    def text(self, text: str, limit: int = _MAX_TEXT_OCTETS) -> str:
        """Text from outside on one line, its spaces single, escaped as the report needs it, bounded in octets."""
        return self.exact(" ".join(text.split()), limit)

    def exact(self, text: str, limit: int = _MAX_TEXT_OCTETS) -> str:
        """Likewise, with its spaces as they are."""
        if not self.is_utf8:
            return printable_ascii(text, limit)
        text = printable(text, limit)
        octets = text.encode()
        return text if len(octets) <= limit else octets[:limit].decode(errors="ignore")


def date_text(at: float) -> str:
    """A date as in header fields (RFC 5322 section 3.3), in UTC."""
    return format_datetime(datetime.fromtimestamp(at, UTC))


def folded(name: str, text: str) -> str:
    """
    A field, folded at its spaces (RFC 5322 section 2.2.3), without a line end.

    :param text: no control characters, no two spaces in a row, no word longer than 900 octets.
    """
    lines = []
    line = f"{name}:"
    is_begun = False
    for word in text.split(" "):
        if is_begun and len(line) + len(word) >= _FOLD_AT:
            lines.append(line)
            line = ""
        line += f" {word}"
        is_begun = True
    lines.append(line)
    return "\r\n".join(lines)


def status_part(report: Report) -> bytes:
    """message/delivery-status, or its UTF-8 form (RFC 6533 section 3), with its part's header."""
    kind, encoding = ("global-delivery-status", "8bit") if report.is_utf8 else ("delivery-status", "7bit")
    message = report.entry.message
    lines = [
        f"Content-Type: message/{kind}",
        f"Content-Transfer-Encoding: {encoding}",
        "Content-Description: Delivery report",
        "",
        f"Reporting-MTA: dns; {report.hostname}",
        f"X-Smtpgw-Queue-ID: {queue_id_text(message.queue_id)}",
        f"Arrival-Date: {date_text(message.received_at)}",
        "",
    ]
    for slot in report.slots:
        lines += _recipient_fields(report, slot)
        lines.append("")
    return "\r\n".join(lines).encode()


def _recipient_fields(report: Report, slot: int) -> list[str]:
    mailbox = report.mailbox(slot)
    trouble = report.trouble(slot)
    kind = "rfc822" if mailbox.is_ascii else "utf-8"
    # Not folded: a space in a quoted local part belongs to the address.
    address = report.exact(str(mailbox))
    fields = [
        f"Final-Recipient: {kind}; {address}",
        f"Action: {report.action}",
        f"Status: {_status(trouble, report.action)}",
    ]
    if trouble is not None:
        if trouble.host:
            fields.append(f"Remote-MTA: dns; {report.text(trouble.host, 255)}")
        if trouble.reply is not None:
            fields.append(folded("Diagnostic-Code", f"smtp; {report.text(str(trouble.reply))}".rstrip()))
        else:
            fields.append(folded("Diagnostic-Code", f"X-Smtpgw; {report.text(trouble.reason)}".rstrip()))
    if report.action == "delayed":
        fields.append(f"Will-Retry-Until: {date_text(report.entry.expires_at)}")
    return fields


def _status(trouble: Failed | Delayed | None, action: str) -> str:
    if trouble is not None and _STATUS.match(trouble.status):
        return trouble.status
    return "5.0.0" if action == "failed" else "4.0.0"


def bounded_header(header: bytes) -> bytes:
    """The beginning of a header section, whole lines, every line ended by CR LF."""
    if len(header) > _MAX_HEADER_OCTETS:
        header = header[:_MAX_HEADER_OCTETS]
        header = header[: header.rfind(b"\n") + 1]
    header = _NEWLINE.sub(b"\r\n", header)
    return header if header.endswith(b"\r\n") or not header else header + b"\r\n"


def header_part(header: bytes, is_utf8: bool) -> bytes:
    """
    text/rfc822-headers, or message/global-headers (RFC 6533 section 5), with its part's header.

    :param header: from :func:`bounded_header`.
    :param is_utf8: the report may contain UTF-8.
    """
    kind = "text/rfc822-headers"
    encoding = "7bit"
    if not header.isascii() or b"\0" in header or _LONG_LINE.search(header):
        if is_utf8 and _is_clean_utf8(header):
            kind = "message/global-headers"
            encoding = "8bit"
        else:
            # RFC 6522 section 4 lets broken or extended header sections be encoded, so that the report stays 7 bit.
            encoding = "quoted-printable"
            lines = header.replace(b"\r\n", b"\n")
            header = binascii.b2a_qp(lines, istext=True).replace(b"\n", b"\r\n")
    return (
        f"Content-Type: {kind}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
        "Content-Description: Header of the message\r\n"
        "\r\n"
    ).encode() + header


def _is_clean_utf8(header: bytes) -> bool:
    if b"\0" in header or _LONG_LINE.search(header):
        return False
    try:
        header.decode()
    except UnicodeDecodeError:
        return False
    return True
