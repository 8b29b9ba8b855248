"""What the agenda holds of a message, and what it asks to be done."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from msgspec import Struct

from smtpgw.model.outcome import Delayed, Failed
from smtpgw.model.route import Hop

if TYPE_CHECKING:
    from smtpgw.delivery.destinations import Destination
    from smtpgw.delivery.sites import Site


class ItemState(Enum):
    """
    Where an item is.

    PARKED: until its own due time, in its destination's heap. UNRESOLVED: due, its destination's hosts aren't known.
    READY: in its site's line. WAITING: its site is down. ASSIGNED: on a link or in a sink. GONE: not here any more.
    """

    PARKED = 0
    UNRESOLVED = 1
    READY = 2
    WAITING = 3
    ASSIGNED = 4
    GONE = 5


class Item:
    """
    The recipients of one message that go to one destination at one time.

    Small, since there may be a million: the entry itself is read from the spool when the item is assigned.

    :ivar slots: indexes of the recipients.
    :ivar returns: how often it came back from a link whose host failed it.
    :ivar attention_at: Unix time when the sender should be told, or the message expires, though nothing was tried.
    """

    __slots__ = ("attention_at", "destination", "due_at", "queue_id", "returns", "site", "slots", "state")

    def __init__(
        self, queue_id: int, slots: tuple[int, ...], due_at: float, attention_at: float, destination: Destination
    ) -> None:
        self.queue_id = queue_id
        self.slots = slots
        self.due_at = due_at
        self.attention_at = attention_at
        self.destination = destination
        self.site: Site | None = None
        self.returns = 0
        self.state = ItemState.PARKED

    def __lt__(self, other: Item) -> bool:
        """Older first, where a heap finds two equal times."""
        return self.queue_id < other.queue_id


class Resolve(Struct, frozen=True, eq=False):
    """Find the hosts of a destination; answer with ``Agenda.resolved``."""

    destination: Destination


class Open(Struct, frozen=True, eq=False):
    """Open a link; answer with ``Agenda.link_ready`` or ``Agenda.link_failed``."""

    link_id: int
    site: Site
    hop: Hop


class Assign(Struct, frozen=True, eq=False):
    """Send an item on a link; answer with ``Agenda.job_done``."""

    link_id: int
    item: Item


class Close(Struct, frozen=True, eq=False):
    """Close a link that has nothing to do; answer with ``Agenda.link_gone``."""

    link_id: int


class Deliver(Struct, frozen=True, eq=False):
    """Hand an item to its sink; answer with ``Agenda.sink_done``."""

    item: Item


class Conclude(Struct, frozen=True, eq=False):
    """The item is not the agenda's any more: no host will ever take it."""

    item: Item
    outcome: Failed


class Attend(Struct, frozen=True, eq=False):
    """
    The item is not the agenda's any more: it waited until its ``attention_at`` without an attempt.

    :ivar trouble: why it waited; ``None`` when that is not known.
    """

    item: Item
    trouble: Delayed | None


class Report(Struct, frozen=True, eq=False):
    """
    Tell the operator that a host or a domain's names can't be reached.

    :ivar hop: ``None`` when it is about names.
    :ivar next_probe_at: ``None`` while another host is tried.
    """

    site: str
    hop: Hop | None
    stage: str
    trouble: Delayed
    waiting: int
    next_probe_at: float | None


Action = Resolve | Open | Assign | Close | Deliver | Conclude | Attend | Report
