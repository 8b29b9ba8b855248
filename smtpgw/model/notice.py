"""What happens, told as it happens: one notice, one line of the log, one count."""

from msgspec import Struct

from smtpgw.model.envelope import Client
from smtpgw.model.message import Entry
from smtpgw.model.outcome import Outcome
from smtpgw.model.verdict import Refuse


class Connected(Struct, frozen=True, gc=False):
    """smtp.connect: a client was greeted."""

    client: Client


class Rejected(Struct, frozen=True, gc=False):
    """
    smtp.reject: a command or content was refused.

    :ivar stage: connect, helo, auth, mail, rcpt, data, content.
    :ivar subject: what it was about: the address of a RCPT, the path of a MAIL. Not escaped.
    """

    client: Client
    stage: str
    refuse: Refuse
    subject: str = ""


class Queued(Struct, frozen=True, gc=False):
    """
    msg.queued: a message is on disk and ours.

    :ivar notes: what the rules of MAIL and RCPT have remarked on it.
    """

    entry: Entry
    notes: tuple[str, ...] = ()


class Attempted(Struct, frozen=True, gc=False):
    """
    attempt.result: one recipient's result of one attempt, and what it means (msg.relayed, msg.delivered, msg.deferred,
    msg.bounced) with it.

    :ivar slot: index of the recipient.
    :ivar site: name of the site.
    :ivar delays: seconds before the queue, in the queue, connecting, transmitting.
    """

    entry: Entry
    slot: int
    outcome: Outcome
    site: str
    delays: tuple[float, float, float, float]


class Held(Struct, frozen=True, gc=False):
    """
    msg.held: an operator or a filter put it aside.

    :ivar reason: who, and why. Not escaped.
    """

    entry: Entry
    slots: tuple[int, ...]
    reason: str


class Dropped(Struct, frozen=True, gc=False):
    """
    msg.dropped: an operator removed it, or a filter discarded it before it was kept.

    :ivar check: the filter's name; empty when it was an operator.
    :ivar cause: which of those with that name, or why.
    """

    entry: Entry
    check: str = ""
    cause: str = ""


class HostTrouble(Struct, frozen=True, gc=False):
    """
    host.trouble: a next hop, or the names of a domain, could not be reached. A fact about it, not an attempt.

    :ivar site: name of the site; the domain when its names could not be found.
    :ivar host: empty when it is about names; likewise the address.
    :ivar stage: names, connect, greeting, ehlo, tls, idle, transaction.
    :ivar waiting: recipients' items that wait because of it; 0 while another host of the site is tried.
    :ivar next_probe_at: Unix time of the next try, ``None`` while another host of the site is tried.
    """

    site: str
    host: str
    address: str
    stage: str
    reason: str
    waiting: int
    next_probe_at: float | None


Notice = Connected | Rejected | Queued | Attempted | Held | Dropped | HostTrouble
