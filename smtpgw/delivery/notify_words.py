"""The part of a notification that people read."""

import textwrap

from smtpgw.delivery.notify_report import Report, date_text
from smtpgw.model.outcome import Failed
from smtpgw.model.queue_id import queue_id_text

_MAX_TOLD = 100
"""Recipients with their reasons; the others are in the report, and only counted here."""

_MAX_REASON_OCTETS = 500


def failure_words(report: Report) -> str:
    """Lines end in CR LF."""
    text = (
        f"This is the mail gateway {report.hostname}. Your message could not be delivered to everyone. For the "
        "recipients below this is final: it will not be tried again."
    )
    return _words(report, text)


def delay_words(report: Report) -> str:
    """Likewise."""
    text = (
        f"This is the mail gateway {report.hostname}. Your message has not reached the recipients below yet. You need "
        f"not send it again: it will be tried until {date_text(report.entry.expires_at)}, and you will be told if it "
        "fails."
    )
    return _words(report, text)


def success_words(report: Report) -> str:
    """Likewise."""
    text = (
        f"This is the mail gateway {report.hostname}. You asked to be told when your message gets where it is to go. "
        "This is so for the recipients below."
    )
    return _words(report, text)


def _words(report: Report, text: str) -> str:
    lines = textwrap.wrap(text, 72)
    lines.append("")
    for slot in report.slots[:_MAX_TOLD]:
        lines.append(f"<{report.text(str(report.mailbox(slot)))}>")
        lines += textwrap.wrap(
            _reason(report, slot), 72, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
        )
        lines.append("")
    unlisted = report.unlisted + max(0, len(report.slots) - _MAX_TOLD)
    if unlisted:
        lines += [f"and {unlisted} more.", ""]
    message = report.entry.message
    lines.append(f"The message was accepted on {date_text(message.received_at)}.")
    lines += [f"Its number here was {queue_id_text(message.queue_id)}.", ""]
    return "\r\n".join(lines)


def _reason(report: Report, slot: int) -> str:
    trouble = report.trouble(slot)
    if trouble is None:
        if report.action == "delivered":
            return _success(report, slot)
        return "It has not been tried yet."
    if trouble.reply is not None:
        who = report.text(trouble.host or trouble.address or "The next host", 255)
        at = f" [{report.text(trouble.address, 64)}]" if trouble.host and trouble.address else ""
        reason = f"{who}{at} said: {report.text(str(trouble.reply), _MAX_REASON_OCTETS)}"
    else:
        reason = report.text(trouble.reason, _MAX_REASON_OCTETS) or "No reason is known."
    if isinstance(trouble, Failed) and trouble.expired:
        return f"It was tried for too long without success. The last trouble: {reason}"
    return reason


def _success(report: Report, slot: int) -> str:
    relayed = report.relayed(slot)
    if relayed is None:
        return "It was delivered."
    who = report.text(relayed.host or relayed.address or "the next host", 255)
    return (
        f"It was passed on to {who}, which will not tell you of its delivery. It said: "
        f"{report.text(str(relayed.reply), _MAX_REASON_OCTETS)}"
    )
