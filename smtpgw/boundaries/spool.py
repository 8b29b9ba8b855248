"""Content, and where messages are until they are done."""

from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Protocol

from msgspec import Struct

from smtpgw.model.message import Entry, Slot, SlotState


class Body(Protocol):
    """The content of a message that is kept: as received, lines end in CR LF, no dot-stuffing, no trace header."""

    @property
    def size_octets(self) -> int:
        """Its length."""

    def inline(self) -> bytes | None:
        """The whole of it if it is in memory already, which only small ones are."""

    def open(self) -> BinaryIO:
        """A stream over it, at its start. Opening and reading block: for threads. The caller closes it."""


class SpoolTrouble(Struct, frozen=True):
    """
    Why the spool did not do it. Nothing of the refused operation is kept.

    :ivar full: there is no space, or the queue has as many messages as it may (452); otherwise it failed (451).
    :ivar cause: for the log.
    """

    full: bool
    cause: str


class Draft(Protocol):
    """Content on its way in. One for each transaction, never one for each recipient."""

    @property
    def size_octets(self) -> int:
        """Octets written so far."""

    def write(self, data: bytes) -> bool:
        """
        Take a piece. Never raises: a failing disk is reported by ``Spool.add``.

        :returns: False when the writer should wait until ``resume`` (see ``Spool.open_draft``) is called.
        """

    def read(self, offset: int, most: int, done: Callable[[bytes | SpoolTrouble], None]) -> None:
        """
        Read back what was written, to the end of it or so many octets.

        :param offset: of the first octet.
        :param done: gets nothing at the end of the content, and trouble when the draft is over.
        """

    def rewrite(self, head: bytes, cut: int, body: bytes | None = None) -> None:
        """
        Replace the beginning. What is read from now on is new. Never raises: see ``write``.

        :param head: takes the place of the first ``cut`` octets.
        :param body: takes the place of all that follows them; ``None`` leaves it.
        """

    def discard(self) -> None:
        """Forget it. Nothing of it stays on disk. Also after ``Spool.add``, when it has no effect."""


class Insert(Struct, frozen=True):
    """A new message of our own (a notification), small enough for memory."""

    entry: Entry
    content: bytes


class Update(Struct, frozen=True):
    """
    Some recipients of an entry stand elsewhere now.

    :ivar slots: index and new slot.
    :ivar warned: the new value; ``None`` leaves it.
    """

    queue_id: int
    slots: tuple[tuple[int, Slot], ...]
    warned: bool | None = None


class Remove(Struct, frozen=True):
    """The message leaves the spool: every recipient is done."""

    queue_id: int


Change = Insert | Update | Remove


class Stored(Struct, frozen=True):
    """An entry and its content."""

    entry: Entry
    body: Body


class Waiting(Struct, frozen=True, gc=False):
    """One recipient that is not done: what the agenda keeps in memory of it."""

    queue_id: int
    slot: int
    domain: str
    reverse_domain: str
    state: SlotState
    due_at: float
    attempts: int
    expires_at: float
    warned: bool


class Spool(Protocol):
    """
    Where messages are until they are done.

    Responsibility for a message is ours from the moment that ``add`` reports its body, until a ``Remove`` is settled.
    All methods are called in the reactor's thread, and all callbacks are, but for ``recover``, which blocks.
    """

    def trouble(self) -> SpoolTrouble | None:
        """Why no new message can be taken now; cheap, for MAIL."""

    def open_draft(self, resume: Callable[[], None]) -> Draft:
        """:param resume: called when a draft that returned False can take more."""

    def add(self, entry: Entry, draft: Draft, done: Callable[[Body | SpoolTrouble], None]) -> None:
        """
        Keep a message. ``done`` gets its body once entry and content would survive a crash of the machine.

        The draft must not be written any more. After trouble nothing of the message is kept.
        """

    def settle(self, changes: Sequence[Change], done: Callable[[SpoolTrouble | None], None]) -> None:
        """
        Make changes durable, all of them or none.

        An ``Update`` or ``Remove`` of a message that is not there changes nothing and is no trouble.
        """

    def fetch(self, queue_id: int, done: Callable[[Stored | SpoolTrouble | None], None]) -> None:
        """An entry and its body; ``None`` if it isn't there."""

    def recover(self) -> Iterator[Waiting]:
        """Everyone who waits, in order of the queue id; for the start. Blocks."""

    def last_queue_id(self) -> int:
        """The highest id in the spool, 0 when it is empty."""

    def close(self, done: Callable[[], None]) -> None:
        """Finish what was asked for, then close."""
