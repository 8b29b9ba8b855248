"""
What a sender may ask for, and what it means here: of whom it hears (RFC 3461), by when a message must be there
(RFC 2852), and when it may go out at the earliest (RFC 4865).

Known: mode N of BY replaces the configured time of the delay notice, which is sent once a message; after a restart it
may come late, when no attempt was made since, because who waits in memory has only its expiry. The T of BY, and mode N
towards a host that does not know BY, get a "relayed" notification, unless NOTIFY says NEVER.
"""

from msgspec import Struct

from smtpgw.model.envelope import NO_PARAMETERS, Envelope, Recipient
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.outcome import Delivered, Failed, Outcome, Relayed, Scope


class NextHop(Struct, frozen=True, gc=False):
    """
    What the host that took a message does for its sender from then on.

    :ivar dsn: it tells of failures, delays and success (RFC 3461).
    :ivar deliver_by: it keeps BY (RFC 2852).
    """

    dsn: bool = True
    deliver_by: bool = True


TAKES_OVER = NextHop()
"""Everything that was asked for."""


TOO_LATE = Failed("5.4.7", "delivery time expired", Scope.MESSAGE, expired=True)
"""The outcome of a recipient whose sender wants the message back by now (BY, mode R)."""

_UNTRUSTED = Failed(
    "5.7.10",
    "the sender requires TLS with a host known for certain; this domain's hosts come from DNS without validation",
    Scope.MESSAGE,
)


def refusal(message: Message, is_trusted: bool) -> Failed | None:
    """
    Why a message must not be relayed, whatever the host offers; ``None`` when it may.

    :param is_trusted: the name of the next hop is known for certain. Where only DNS without validation gave it, it may
        be anybody's, and a certificate with that name shows nothing (RFC 8689 section 4.2.1). Notifications are sent
        nevertheless (section 5).
    """
    envelope = message.envelope
    if envelope.parameters.requires_tls and envelope.reverse_path is not None and not is_trusted:
        return _UNTRUSTED
    return None


# --- Time ---


def queued_entry(message: Message, expire_seconds: float) -> Entry:
    """
    The entry of a message that has just been received.

    :param expire_seconds: how long transient trouble is borne (``[delivery] expire``), from the release on.
    """
    if message.envelope.parameters is NO_PARAMETERS:
        # Nearly every message.
        due_at = message.received_at
        expires_at = due_at + expire_seconds
    else:
        expires_at = first_expiry(message, expire_seconds)
        due_at = min(release_at(message), expires_at)
    return Entry(message, (Slot(SlotState.QUEUED, due_at),) * len(message.envelope.recipients), expires_at)


def release_at(message: Message) -> float:
    """Unix time before which it is not sent (HOLDFOR, HOLDUNTIL); its receipt when it was not to be held."""
    parameters = message.envelope.parameters
    return max(message.received_at + parameters.hold_seconds, parameters.hold_until)


def first_expiry(message: Message, expire_seconds: float) -> float:
    """Unix time from which transient trouble is final: the usual one, or that of BY in mode R if it is earlier."""
    expires_at = release_at(message) + expire_seconds
    return_at = returns_at(message)
    return expires_at if return_at is None else min(expires_at, return_at)


def returns_at(message: Message) -> float | None:
    """Unix time from which it must not be delivered any more (BY, mode R)."""
    deliver_by = message.envelope.parameters.deliver_by
    if deliver_by is None or not deliver_by.returns:
        return None
    return message.received_at + deliver_by.seconds


def is_late(message: Message, now: float) -> bool:
    """Whether it must not be delivered any more."""
    return_at = returns_at(message)
    return return_at is not None and now >= return_at


def deliver_by_at(message: Message) -> float | None:
    """Unix time by which it should be there (BY, any mode)."""
    deliver_by = message.envelope.parameters.deliver_by
    return None if deliver_by is None else message.received_at + deliver_by.seconds


def warns_at(message: Message, warn_seconds: float | None) -> float | None:
    """
    Unix time from which its sender is told of a delay, once.

    :param warn_seconds: as configured (``[delivery] warn``), from the release on; ``None`` for never.
    """
    deliver_by = message.envelope.parameters.deliver_by
    # A time that was over already when it came: whoever had it then has told of that (RFC 2852 section 4).
    if deliver_by is not None and not deliver_by.returns and deliver_by.seconds > 0:
        return message.received_at + deliver_by.seconds
    return None if warn_seconds is None else release_at(message) + warn_seconds


# --- Who hears what ---


def hears_failure(recipient: Recipient) -> bool:
    """Whether the sender wants to be told that it failed (RFC 3461 section 5.2.6)."""
    return recipient.notify is None or recipient.notify.failure


def hears_delay(recipient: Recipient) -> bool:
    """Whether the sender wants to be told that it is delayed (RFC 3461 section 5.2.5)."""
    return recipient.notify is None or recipient.notify.delay


def hears_success(envelope: Envelope, index: int, outcome: Outcome, next_hop: NextHop) -> bool:
    """
    Whether the sender must be told of a success.

    Delivered: if it asked for that. Relayed: if it asked for it and nobody further on will tell (RFC 3461 section
    5.2.2); or if BY is not kept from here on, or is traced (RFC 2852 section 4.1).
    """
    notify = envelope.recipients[index].notify
    if isinstance(outcome, Delivered):
        return notify is not None and notify.success
    if not isinstance(outcome, Relayed):
        return False
    if notify is not None and notify.success and not next_hop.dsn:
        return True
    deliver_by = envelope.parameters.deliver_by
    if deliver_by is None or (notify is not None and not (notify.success or notify.failure or notify.delay)):
        return False
    return deliver_by.traces or not next_hop.deliver_by
