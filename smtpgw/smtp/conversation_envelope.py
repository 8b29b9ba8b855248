"""
A job's envelope as commands, for one next hop and what it offers.

Whatever can't be said to it is decided here, before anything goes out. Content of 8 bits for a host without 8BITMIME
goes out as it is: we convert nothing, returning it would fail mail that nearly every host takes, and hosts that don't
are the ones that say so.

What the sender asked for goes on to hosts that know it: ENVID, RET, NOTIFY and ORCPT as they came (RFC 3461 section
5.2.1), REQUIRETLS, and BY with the time that is left. An ORCPT that was not given is not made up: the address is not
changed on its way here, so the next host sees the original anyway. Recipients with NOTIFY=NEVER keep the reverse-path
towards a host without DSN, although RFC 3461 section 5.2.2 would allow the null path: hosts take such mail for
notifications, and refuse it for several recipients or because of SPF.

What can't be kept is not tried: a message with REQUIRETLS needs a verified host that offers it, and fails only when its
domain has none (RFC 8689 section 4.2.1); one to be returned when it is late (BY, mode R) needs a host that offers
DELIVERBY and can be quick enough (RFC 2852 section 4.1). Notifications (null reverse-path) are sent without REQUIRETLS
where it isn't offered (RFC 8689 section 5).
"""

import re
from functools import lru_cache

import idna

from smtpgw.boundaries.relay import Job
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import NO_PARAMETERS, BodyType, DeliverBy, Envelope, Recipient, TlsFacts
from smtpgw.smtp.conversation_offer import Offer
from smtpgw.smtp.xtext import encode_original, encode_xtext

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_DOMAIN = re.compile(r"(?:\[[0-9A-Za-z:.-]+\]|[^\s\x00-\x20\x7f-\x9f<>()\[\]\\\",;:@]+)\Z")
_VALUE = re.compile(rb"[!-~]{1,1000}\Z")
_MAX_PATH_OCTETS = 900
"""RFC 5321 section 4.5.3.1.3 says 256; this only keeps the command line below what hosts read."""


class Unsendable(Exception):
    """
    Why it can't be sent to this host.

    :ivar status: enhanced status, ``5.x.x``.
    :ivar is_of_host: another host of the same domain may well take it.
    """

    def __init__(self, status: str, reason: str, *, is_of_host: bool = False) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.is_of_host = is_of_host


def mail_command(job: Job, offer: Offer, tls: TlsFacts | None) -> bytes:
    """
    MAIL with the parameters that the host knows.

    :raises Unsendable: the message is too large for it, its reverse-path or header can't be written to it, or what the
        sender asked for can't be kept with it.
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
    if offer.smtputf8:
        if _is_international(job):
            command += b" SMTPUTF8"
    elif envelope.smtputf8:
        raise Unsendable("5.6.7", "the header is not ASCII, and the host has no SMTPUTF8", is_of_host=True)
    if envelope.parameters is not NO_PARAMETERS:
        command += _asked_for(envelope, offer, tls)
    return command + b"\r\n"


def rcpt_command(recipient: Recipient, offer: Offer) -> bytes:
    """
    RCPT with the parameters that the host knows.

    :raises Unsendable: the address can't be written to this host.
    """
    path = _on_wire(recipient.mailbox, offer.smtputf8)
    notify, original = recipient.notify, recipient.original
    if (notify is None and not original) or not offer.dsn:
        return b"RCPT TO:<%b>\r\n" % path
    command = b"RCPT TO:<%b>" % path
    if notify is not None:
        command += b" NOTIFY=%b" % notify.words.encode()
    # The form in ASCII (RFC 6533 section 3) is right with and without SMTPUTF8.
    if original and _VALUE.match(value := encode_original(original)):
        command += b" ORCPT=%b" % value
    return command + b"\r\n"


def _asked_for(envelope: Envelope, offer: Offer, tls: TlsFacts | None) -> bytes:
    """The parameters of MAIL with which the host takes over what the sender asked for."""
    parameters = envelope.parameters
    text = b""
    if parameters.requires_tls:
        if envelope.reverse_path is not None:
            _check_tls(offer, tls)
        if offer.requiretls and tls is not None:
            text += b" REQUIRETLS"
    if offer.dsn:
        if parameters.returned is not None:
            text += b" RET=%b" % parameters.returned.value.encode()
        if parameters.envelope_id and _VALUE.match(value := encode_xtext(parameters.envelope_id)):
            text += b" ENVID=%b" % value
    if parameters.deliver_by is not None:
        text += _by(parameters.deliver_by, offer)
    return text


def _check_tls(offer: Offer, tls: TlsFacts | None) -> None:
    status = "5.7.10"
    if tls is None:
        reason = "the sender requires TLS, and there is none with this host"
    elif not tls.verified:
        reason = "the sender requires TLS with a certificate that can be verified, the host has none"
    elif not offer.requiretls:
        status = "5.7.30"
        reason = "the sender requires TLS all the way, and the host does not offer REQUIRETLS"
    else:
        return
    raise Unsendable(status, reason, is_of_host=True)


def _by(deliver_by: DeliverBy, offer: Offer) -> bytes:
    seconds = deliver_by.seconds
    if deliver_by.returns:
        if seconds <= 0:
            raise Unsendable("5.4.7", "delivery time expired")
        if not offer.deliver_by:
            raise Unsendable("5.4.7", "the sender wants it back when it is late, and the host does not offer DELIVERBY")
        if seconds < offer.least_seconds:
            raise Unsendable(
                "5.4.7", f"the host needs {offer.least_seconds} seconds, the sender wants it back after {seconds}"
            )
    if not offer.deliver_by:
        return b""
    return b" BY=%b" % deliver_by.text.encode()


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
