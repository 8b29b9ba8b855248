"""Programs that read whole messages and may change them."""

from collections.abc import Awaitable
from typing import Protocol

from msgspec import Struct

from smtpgw.model.address import Mailbox, ReversePath
from smtpgw.model.envelope import Client, Envelope, Recipient
from smtpgw.model.verdict import Refuse


class InsertField(Struct, frozen=True, gc=False):
    """
    A new header field.

    :ivar place: how many fields stand before it, our own Received field counted; ``None``: at the end.
    :ivar value: what stands behind the colon, without the last line end. Not checked.
    """

    name: bytes
    value: bytes
    place: int | None = None


class ChangeField(Struct, frozen=True, gc=False):
    """
    Another value for a header field.

    :ivar number: which of those with this name, from 1 on. If there are fewer, the field is added at the end.
    :ivar value: as above; ``None`` takes the field away.
    """

    name: bytes
    number: int
    value: bytes | None


FieldEdit = InsertField | ChangeField


class Edits(Struct, frozen=True):
    """
    What becomes of a message.

    :ivar fields: in the order in which they are to be made.
    :ivar body: takes the place of everything behind the header section; line ends are CR LF.
    :ivar added: new recipients.
    :ivar removed: every recipient with one of these mailboxes.
    :ivar reverse_path: a tuple of the new one; empty when it stays.
    :ivar quarantine: why the message is to be held; printable; ``None``: it is not.
    """

    fields: tuple[FieldEdit, ...] = ()
    body: bytes | None = None
    added: tuple[Recipient, ...] = ()
    removed: tuple[Mailbox, ...] = ()
    reverse_path: tuple[ReversePath, ...] = ()
    quarantine: str | None = None


NO_EDITS = Edits()


class Passed(Struct, frozen=True):
    """The message goes on. :ivar notes: for the log."""

    edits: Edits = NO_EDITS
    notes: tuple[str, ...] = ()


class Discard(Struct, frozen=True, gc=False):
    """
    The client hears 250, and nobody gets the message.

    :ivar check: who said so.
    :ivar cause: which one of that name, or why; for the log.
    """

    check: str
    cause: str = ""


Filtered = Passed | Refuse | Discard


class Unreadable(Exception):
    """Content that was taken can't be read back: the disk fails."""


class Content(Protocol):
    """A message as the filters before this one have left it."""

    @property
    def fields(self) -> tuple[bytes, ...]:
        """The header section: fields as they stand, with their line ends."""

    def read(self, offset: int) -> bytes | Awaitable[bytes]:
        """
        A piece of the body, of some 256 KiB at most.

        :param offset: octets of the body before it.
        :returns: nothing at the end.
        :raises Unreadable: see there.
        """


class ContentFilter(Protocol):
    """One such program."""

    @property
    def name(self) -> str:
        """As in logs."""

    async def filter_content(self, client: Client, envelope: Envelope, queue_id: str, content: Content) -> Filtered:
        """
        What it says about a message that is whole. Cancelling makes it forget the message.

        :param queue_id: as text.
        :raises Unreadable: what ``content`` raised.
        """

    def leave(self, client: Client) -> None:
        """The client's connection is gone; also of a client that it has never heard of."""


class FilterLost(Exception):
    """A filter can't be reached, has hung up, or took too long. The message says which, for the log."""


class FilterLink(Protocol):
    """A connection to a filter."""

    @property
    def is_open(self) -> bool:
        """Whether it still stands, as far as is known."""

    def send(self, octets: bytes) -> Awaitable[None] | None:
        """
        Write.

        :returns: what to wait for before more is written, if so.
        :raises FilterLost: at once, or later from what is waited for.
        """

    async def pause(self) -> None:
        """Let others have a turn."""

    @property
    def has_input(self) -> bool:
        """Whether something has come that was not received yet."""

    def expect(self, seconds: float, most_seconds: float) -> None:
        """From now on an answer is due: in so many seconds, or after ``extend`` in so many again, up to the second."""

    def extend(self) -> None:
        """The filter needs more time for its answer."""

    async def receive(self) -> bytes:
        """
        What came, at least one octet. One at a time may wait.

        :raises FilterLost: nothing came in the time of ``expect``, or nothing will.
        """

    def close(self, farewell: bytes = b"") -> None:
        """Send this, then hang up; whoever waits gets ``FilterLost``. Bounded in time, and may be repeated."""


class OpenLink(Protocol):
    """Connects to one filter."""

    async def __call__(self) -> FilterLink:
        """:raises FilterLost: it can't be reached."""
