"""
Notifications to the sender (RFC 3464 in the multipart/report of RFC 6522): a message has failed, is delayed, or has got
where it was to go, for those who asked for that (RFC 3461).

What is told comes from the entry alone; nothing is looked up. Each notification is a new entry with the null reverse
path (RFC 5321 section 6.1), so nothing is ever told about a notification. Nearly all of it may come from strangers, so
every text is escaped, folded and cut: a hostile next hop can make it neither large nor anything but text.

All of it is ASCII unless an address is not: then it takes the forms of RFC 6533, in UTF-8.

A failure brings the header of the message back, or with RET=FULL all of it if it is small; everything else the header
(RFC 3461 section 6.2). A message with REQUIRETLS gives REQUIRETLS to its notifications, and only its header goes back
(RFC 8689 section 5).
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from random import Random

from smtpgw.delivery.notify_original import bounded_header, header_part, message_part
from smtpgw.delivery.notify_report import Report, status_part
from smtpgw.delivery.notify_words import delay_words, failure_words, success_words
from smtpgw.delivery.resolution import to_a_labels
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import (
    NO_PARAMETERS,
    BodyType,
    Client,
    Envelope,
    MailParameters,
    Recipient,
    Returned,
)
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.queue_id import queue_id_text

MOST_RETURNED_OCTETS = 50 * 1024
"""The largest message that comes back as a whole."""

_REQUIRES_TLS = MailParameters(requires_tls=True)

_MESSAGE_ID = re.compile(rb"^message-id:\s{0,4}(<[!-;=?-~]{3,250}>)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


def notice(  # noqa: PLR0913 - all that a notification is made of
    action: str,
    entry: Entry,
    slots: Sequence[int],
    now: float,
    hostname: str,
    queue_id: int,
    header: bytes,
    expires_at: float,
    random: Random,
    whole: bytes | None = None,
) -> tuple[Entry, bytes] | None:
    """
    Tells the sender of some recipients; entry and content are ready for an ``Insert``.

    :param action: ``failed``; ``delayed``: they wait, and it will be tried until the entry expires; or ``delivered``,
        also of those that were relayed to a host that will tell nothing further.
    :param entry: as it is after that happened: the last outcome of each is the reason.
    :param slots: indexes of the recipients.
    :param queue_id: of the notification.
    :param header: the header section of the original as received; any length, only its beginning is returned.
    :param expires_at: of the notification.
    :param random: makes the boundary and the Message-ID.
    :param whole: the whole content of the original, if it is to be returned: see :func:`returns_whole`.
    :returns: ``None`` when there is nobody to tell, because the reverse path is null, or nothing to tell.
    """
    reverse_path = entry.message.envelope.reverse_path
    if reverse_path is None or not slots:
        return None
    report = Report(entry, tuple(slots), now, hostname, action)
    if action == "failed":
        subject, words = "Your message could not be delivered", failure_words(report)
    elif action == "delayed":
        subject, words = "Your message is delayed", delay_words(report)
    else:
        subject = "Your message was passed on" if report.is_some_relayed else "Your message was delivered"
        words = success_words(report)
    to = _to(reverse_path)
    header = bounded_header(header)
    original = None if whole is None else message_part(whole, header, report.is_utf8)
    if original is None:
        original = header_part(header, report.is_utf8)
    parts = (_words_part(report, words), status_part(report), original)
    boundary = f"=_{random.getrandbits(128):032x}"
    while any(boundary.encode() in part for part in parts):
        boundary = f"=_{random.getrandbits(128):032x}"
    content = b"".join(
        (
            _top(report, to, queue_id, subject, header, random).encode(),
            f'Content-Type: multipart/report; report-type=delivery-status;\r\n\tboundary="{boundary}"\r\n\r\n'.encode(),
            b"This is a delivery report in the form of RFC 3464.\r\n",
            *(b"\r\n--%b\r\n%b" % (boundary.encode(), part) for part in parts),
            b"\r\n--%b--\r\n" % boundary.encode(),
        )
    )
    message = Message(
        queue_id=queue_id,
        envelope=Envelope(
            reverse_path=None,
            recipients=(Recipient(reverse_path),),
            body=BodyType.EIGHT_BIT if report.is_utf8 or not original.isascii() else BodyType.SEVEN_BIT,
            # Only the To field has UTF-8 outside a body, so only then is SMTPUTF8 needed (RFC 6531 section 3.4).
            smtputf8=not to.isascii(),
            parameters=_REQUIRES_TLS if report.entry.message.envelope.parameters.requires_tls else NO_PARAMETERS,
        ),
        client=Client("", helo=report.hostname, protocol="LOCAL"),
        received_at=report.now,
        trace=b"",
        size_octets=len(content),
    )
    return Entry(message, (Slot(SlotState.QUEUED, report.now),), expires_at), content


failure_notice = partial(notice, "failed")
delay_notice = partial(notice, "delayed")
success_notice = partial(notice, "delivered")


def returns_whole(message: Message) -> bool:
    """Whether a failure of this message brings all of it back."""
    parameters = message.envelope.parameters
    return (
        parameters.returned is Returned.FULL
        and not parameters.requires_tls
        and message.size_octets <= MOST_RETURNED_OCTETS
    )


def _top(report: Report, to: str, queue_id: int, subject: str, header: bytes, random: Random) -> str:
    """The header fields but for the content type."""
    lines = [
        f"From: Mail Delivery System <MAILER-DAEMON@{report.hostname}>",
        f"To: {to}",
        f"Subject: {subject}",
        f"Date: {format_datetime(datetime.fromtimestamp(report.now, UTC))}",
        f"Message-ID: <{queue_id_text(queue_id)}.{random.getrandbits(64):016x}@{report.hostname}>",
        "Auto-Submitted: auto-replied",
    ]
    found = _MESSAGE_ID.search(header)
    if found:
        lines.append(f"In-Reply-To: {found[1].decode('ascii')}")
    lines += ["MIME-Version: 1.0", ""]
    return "\r\n".join(lines)


def _to(reverse_path: Mailbox) -> str:
    """What stands behind ``To:``; ASCII if the local part is, so that a host without SMTPUTF8 may get it."""
    if reverse_path.local.isascii() and not reverse_path.is_ascii:
        reverse_path = Mailbox(reverse_path.local, to_a_labels(reverse_path.domain) or reverse_path.domain)
    text = str(reverse_path)
    # The grammar lets no other through; a path made elsewhere must not become more header fields.
    return f"<{text}>" if text.isprintable() and len(text) < 900 else "undisclosed-recipients:;"


def _words_part(report: Report, words: str) -> bytes:
    charset, encoding = ("utf-8", "8bit") if report.is_utf8 else ("us-ascii", "7bit")
    return (
        f"Content-Type: text/plain; charset={charset}\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n"
        "Content-Description: What happened\r\n"
        f"\r\n{words}"
    ).encode()
