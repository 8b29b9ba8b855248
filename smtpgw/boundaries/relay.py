"""One outgoing connection."""

from typing import Protocol

from msgspec import Struct

from smtpgw.boundaries.spool import Body
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.message import Message
from smtpgw.model.outcome import Outcome
from smtpgw.model.reply import Reply
from smtpgw.model.route import Hop, TlsNeed


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
