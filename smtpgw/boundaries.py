"""
What the rooms ask of each other and of the world: Protocols, no logic.

Two shapes of waiting. Where every message passes (spool, reception, links) the answer comes by a callback, called
exactly once, in the reactor's thread, maybe before the call returns. Where it is rare (names, sinks, hooks) it is
awaitable.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, BinaryIO, Protocol, TypeVar

from msgspec import Struct

from smtpgw.model.dns import Answer, RecordType
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient, TlsFacts
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.notice import Notice
from smtpgw.model.outcome import Outcome
from smtpgw.model.reply import Reply
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.model.verdict import Refuse, Verdict

T = TypeVar("T")

Publish = Callable[[Notice], None]
"""Tells whoever listens that something happened. Never raises, never waits."""


class Clock(Protocol):
    """Time, from outside."""

    def time(self) -> float:
        """Unix time, seconds."""


class Threads(Protocol):
    """Where blocking work goes."""

    def run(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """The function's result, from another thread. Cancelling leaves the function running."""


# --- Content and spool ---


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


# --- Reception: what the server side asks ---


class Intake(Protocol):
    """One message's content on its way in, between 354 and the reply to the end of data."""

    def write(self, data: bytes) -> bool:
        """
        Content with dot-stuffing taken off, cut anywhere; line ends are CR LF, checked.

        :returns: False: pause reading until ``resume`` (see ``Reception.begin``) is called.
        """

    def finish(self, done: Callable[[Reply], None]) -> None:
        """The end of data was seen, and nothing was wrong with the framing. ``done`` gets the reply to it."""

    def abandon(self) -> None:
        """The content was refused, or the connection is gone: forget everything."""


class Reception(Protocol):
    """Decides about a transaction and takes the message. Whatever raises here is answered 451 4.3.0."""

    def mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """MAIL, syntax and parameters already checked."""

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """RCPT, likewise."""

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Intake | Refuse:
        """DATA with at least one accepted recipient, before the 354."""


# --- Names ---


class Resolver(Protocol):
    """Asks the name server. Never raises: trouble is an answer of status TEMPORARY."""

    async def lookup(self, name: str, record_type: RecordType) -> Answer:
        """:param name: A-labels; for PTR the name under in-addr.arpa or ip6.arpa."""


# --- Relay: one outgoing connection ---


class Job(Struct, frozen=True, eq=False):
    """
    One transaction to run on a link.

    :ivar message: its envelope's recipients are not those of the job.
    :ivar slots: indexes of the recipients to send it to, at least one.
    """

    message: Message
    slots: tuple[int, ...]
    body: Body


class LinkFacts(Struct, frozen=True):
    """
    What is known of a link that stands.

    :ivar seconds: from opening to ready.
    """

    hop: Hop
    tls: TlsFacts | None
    seconds: float


class LinkFailure(Struct, frozen=True):
    """
    Why a link never became ready, or went away.

    :ivar stage: connect, greeting, ehlo, tls, idle; transaction when jobs were under way.
    :ivar reason: one line for people.
    :ivar reply: the peer's words, if it spoke.
    :ivar permanent: the peer said 5xx; about this host, not about any message.
    """

    stage: str
    reason: str
    reply: Reply | None = None
    permanent: bool = False


class Link(Protocol):
    """An SMTP connection to a next hop."""

    def send(self, job: Job) -> None:
        """Only after ``link_ready`` or ``link_wants_job``, once for each."""

    def close(self) -> None:
        """Take leave with QUIT, when nothing is under way; bounded in time."""

    def abort(self) -> None:
        """Drop the connection now. Jobs under way are reported first, as delayed."""


class LinkOwner(Protocol):
    """Hears of a link. Nothing is called after ``link_failed`` or ``link_gone``."""

    def link_ready(self, link: Link, facts: LinkFacts) -> None:
        """Greeted, EHLO and TLS done as needed: it takes a job."""

    def link_failed(self, link: Link, failure: LinkFailure) -> None:
        """It never became ready."""

    def link_wants_job(self, link: Link) -> None:
        """The last octet of the job is out; another may follow at once, before its result is known (RFC 2920)."""

    def link_finished(self, link: Link, job: Job, outcomes: tuple[Outcome, ...]) -> None:
        """One outcome for each slot of the job, in its order. Every job that was sent gets here exactly once."""

    def link_gone(self, link: Link, failure: LinkFailure | None) -> None:
        """It was ready, and is closed now; ``None`` when that was our wish."""


class Dialer(Protocol):
    """Opens links."""

    def open(self, hop: Hop, tls: TlsNeed, source: str | None, owner: LinkOwner) -> Link:
        """
        Start connecting. Never raises, never calls the owner before it returns.

        With ``OPPORTUNISTIC`` a broken handshake is followed by a new connection in clear text.
        """


# --- Sinks and checks ---


class Sink(Protocol):
    """Where mail of our own domains ends."""

    async def deliver(self, message: Message, recipients: tuple[Recipient, ...], body: Body) -> tuple[Outcome, ...]:
        """
        One outcome for each recipient, in order. Delivered means durable. What it raises is a delay of all.

        :param recipients: some or all of the message's.
        """


class MailCheck(Protocol):
    """A rule about MAIL."""

    @property
    def name(self) -> str:
        """As in logs."""

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """Answers without a coroutine where it can."""


class RcptCheck(Protocol):
    """A rule about RCPT."""

    @property
    def name(self) -> str:
        """As in logs."""

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """Answers without a coroutine where it can."""


class ContentCheck(Protocol):
    """A rule about the header of a message, at the end of data."""

    @property
    def name(self) -> str:
        """As in logs."""

    def check_content(self, client: Client, envelope: Envelope, header: bytes) -> Verdict | Awaitable[Verdict]:
        """:param header: the header section, CR LF line ends, without the empty line."""
