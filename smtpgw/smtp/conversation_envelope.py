"""
A job's envelope as commands, for one next hop and what it offers.

Whatever can't be said to it is decided here, before anything goes out. Content of 8 bits for a host without 8BITMIME
goes out as it is: we convert nothing, returning it would fail mail that nearly every host takes, and hosts that don't
are the ones that say so.
"""

import re
from functools import lru_cache

import idna

from smtpgw.boundaries.relay import Job
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType
from smtpgw.smtp.conversation_offer import Offer

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DOMAIN = re.compile(r"(?:\[[0-9A-Za-z:.-]+\]|[^\s\x00-\x20\x7f-\x9f<>()\[\]\\\",;:@]+)\Z")
_MAX_PATH_OCTETS = 900
"""RFC 5321 section 4.5.3.1.3 says 256; this only keeps the command line below what hosts read."""


class Unsendable(Exception):
    """
    Why it can't be sent to this host.

    :ivar status: enhanced status, ``5.x.x``.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


def mail_command(job: Job, offer: Offer) -> bytes:
    """
    MAIL with the parameters that the host knows.

    :raises Unsendable: the message is too large for it, or its reverse-path can't be written to it.
    """
    message = job.message
    envelope = message.envelope
    size = len(message.trace) + message.size_octets
    if offer.size_octets is not None and size > offer.size_octets:
        raise Unsendable("5.3.4", f"the message has {size} octets, the host takes {offer.size_octets}")
    path = envelope.reverse_path
    command = b"MAIL FROM:<%b>" % (b"" if path is None else _on_wire(path, offer.smtputf8))
    if offer.size:
        command += b" SIZE=%d" % size
    if offer.eightbitmime and envelope.body is BodyType.EIGHT_BIT:
        command += b" BODY=8BITMIME"
    if offer.smtputf8 and _is_international(job):
        command += b" SMTPUTF8"
    return command + b"\r\n"


def rcpt_command(mailbox: Mailbox, offer: Offer) -> bytes:
    """
    RCPT.

    :raises Unsendable: the address can't be written to this host.
    """
    return b"RCPT TO:<%b>\r\n" % _on_wire(mailbox, offer.smtputf8)


def _is_international(job: Job) -> bool:
    """Whether the SMTPUTF8 parameter must stand in MAIL (RFC 6531 section 3.4)."""
    envelope = job.message.envelope
    if envelope.smtputf8:
        return True
    path = envelope.reverse_path
    if path is not None and not path.is_ascii:
        return True
    recipients = envelope.recipients
    return any(not recipients[slot].mailbox.is_ascii for slot in job.slots)


@lru_cache(maxsize=1024)
def _on_wire(mailbox: Mailbox, utf8: bool) -> bytes:
    """What stands between the angle brackets. Nothing in it can end the path, let alone the line."""
    if _CONTROL.search(mailbox.local) or not mailbox.local or not _DOMAIN.match(mailbox.domain):
        raise Unsendable("5.1.3", "the address can't stand in a command")
    if not mailbox.is_ascii and not utf8:
        if not mailbox.local.isascii():
            raise Unsendable("5.6.7", "the address is not ASCII, and the host has no SMTPUTF8")
        mailbox = Mailbox(mailbox.local, _a_labels(mailbox.domain))
    try:
        octets = str(mailbox).encode()
    except UnicodeEncodeError:
        raise Unsendable("5.1.3", "the address is not text") from None
    if len(octets) > _MAX_PATH_OCTETS:
        raise Unsendable("5.1.3", "the address is too long")
    return octets


def _a_labels(domain: str) -> str:
    try:
        return idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        raise Unsendable("5.1.3", "the domain can't be written in ASCII, and the host has no SMTPUTF8") from None
