"""The part of a notification that programs read: the fields of RFC 3464."""

import re
from datetime import UTC, datetime
from email.utils import format_datetime
from ipaddress import ip_address

from smtpgw.delivery.escape import printable, printable_ascii
from smtpgw.delivery.promises import deliver_by_at
from smtpgw.model.address import Mailbox
from smtpgw.model.message import Entry
from smtpgw.model.outcome import Delayed, Failed, Relayed
from smtpgw.model.queue_id import queue_id_text

_MAX_RECIPIENTS = 1000
"""Recipients that are listed; more are only counted, in the words for people."""

_MAX_TEXT_OCTETS = 900
"""Of what a host said. Below 998 with the name of its field, so that no folding is needed for a line to be legal."""

_FOLD_AT = 76

_UNSPECIFIC = {"failed": "5.0.0", "delayed": "4.0.0", "delivered": "2.0.0"}
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}\Z")


class Report:
    """
    What a notification is about.

    :ivar slots: indexes of the recipients that it lists; bounded.
    :ivar unlisted: how many more there are.
    :ivar action: ``failed``, ``delayed`` or ``delivered`` (RFC 3464 section 2.3.3); of a recipient that was relayed
        ``delivered`` becomes ``relayed``.
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
            envelope.recipients[slot].mailbox.is_ascii and envelope.recipients[slot].original.isascii()
            for slot in self.slots
        )

    def mailbox(self, slot: int) -> Mailbox:
        """A recipient's address."""
        return self.entry.message.envelope.recipients[slot].mailbox

    def trouble(self, slot: int) -> Failed | Delayed | None:
        """Why it stands where it does; ``None`` when nothing was tried yet."""
        last = self.entry.slots[slot].last
        return last if isinstance(last, (Failed, Delayed)) else None

    def relayed(self, slot: int) -> Relayed | None:
        """Who has taken it, if somebody has."""
        last = self.entry.slots[slot].last
        return last if isinstance(last, Relayed) else None

    @property
    def is_some_relayed(self) -> bool:
        """Whether a recipient was relayed."""
        return any(self.relayed(slot) is not None for slot in self.slots)

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
    envelope_id = message.envelope.parameters.envelope_id
    deliver_at = deliver_by_at(message)
    lines = [
        f"Content-Type: message/{kind}",
        f"Content-Transfer-Encoding: {encoding}",
        "Content-Description: Delivery report",
        "",
        # Not folded: a space in it is part of it.
        *([f"Original-Envelope-Id: {report.exact(envelope_id)}"] if envelope_id else []),
        f"Reporting-MTA: dns; {report.hostname}",
        f"X-Smtpgw-Queue-ID: {queue_id_text(message.queue_id)}",
        f"Arrival-Date: {date_text(message.received_at)}",
        *([f"Deliver-By-Date: {date_text(deliver_at)}"] if deliver_at is not None else []),
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
    original = report.entry.message.envelope.recipients[slot].original
    relayed = report.relayed(slot)
    fields = [
        *([f"Original-Recipient: {report.exact(original)}"] if original else []),
        f"Final-Recipient: {kind}; {address}",
        f"Action: {report.action if relayed is None else 'relayed'}",
        f"Status: {_status(trouble or relayed, report.action)}",
    ]
    if relayed is not None:
        if relayed.host:
            fields.append(f"Remote-MTA: dns; {report.text(_mta_name(relayed.host), 255)}")
        fields.append(folded("Diagnostic-Code", f"smtp; {report.text(str(relayed.reply))}".rstrip()))
    elif trouble is not None:
        if trouble.host:
            fields.append(f"Remote-MTA: dns; {report.text(_mta_name(trouble.host), 255)}")
        if trouble.reply is not None:
            fields.append(folded("Diagnostic-Code", f"smtp; {report.text(str(trouble.reply))}".rstrip()))
        else:
            fields.append(folded("Diagnostic-Code", f"X-Smtpgw; {report.text(trouble.reason)}".rstrip()))
    if report.action == "delayed":
        fields.append(f"Will-Retry-Until: {date_text(report.entry.expires_at)}")
    return fields


def _mta_name(host: str) -> str:
    """As RFC 3464 section 2.1.2 has it: a smarthost that is named by its address is a domain literal."""
    try:
        return f"[IPv6:{host}]" if ip_address(host).version == 6 else f"[{host}]"
    except ValueError:
        return host


def _status(outcome: Failed | Delayed | Relayed | None, action: str) -> str:
    status = "" if outcome is None else outcome.reply.status if isinstance(outcome, Relayed) else outcome.status
    return status if _STATUS.match(status) else _UNSPECIFIC[action]
