"""Messages and queue entries."""

from enum import IntEnum

from msgspec import Struct

from smtpgw.model.envelope import Client, Envelope
from smtpgw.model.outcome import Outcome


class Message(Struct, frozen=True, array_like=True):
    """
    A message that we are responsible for. The content is elsewhere: see ``Body`` in :mod:`smtpgw.boundaries.spool`.

    :ivar queue_id: see :mod:`smtpgw.model.queue_id`.
    :ivar received_at: Unix time of the end of data.
    :ivar trace: our Received header and what else we have added, CR LF at its end; it goes before the content.
    :ivar size_octets: of the content alone.
    """

    queue_id: int
    envelope: Envelope
    client: Client
    received_at: float
    trace: bytes
    size_octets: int


class SlotState(IntEnum):
    """Where one recipient stands. The numbers are those of the spool."""

    QUEUED = 0
    HELD = 1
    DONE = 2


class Slot(Struct, frozen=True, array_like=True):
    """
    One recipient's place in an entry.

    :ivar attempts: delivery attempts so far that were about this recipient; a failure to connect is none.
    :ivar due_at: Unix time of the next attempt; of no meaning when done.
    :ivar last: the outcome of the last attempt; of the final one when done; ``None`` before the first.
    """

    state: SlotState
    due_at: float
    attempts: int = 0
    last: Outcome | None = None


class Entry(Struct, frozen=True, array_like=True):
    """
    A message and where each of its recipients stands.

    :ivar slots: one for each recipient of the envelope, in its order.
    :ivar expires_at: Unix time from which a transient trouble is final.
    :ivar warned: the sender has been told of the delay.
    """

    message: Message
    slots: tuple[Slot, ...]
    expires_at: float
    warned: bool = False
