"""How a receiver behaves, as plain values."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

STAGES = ("connect", "ehlo", "starttls", "mail", "rcpt", "data", "content", "quit")
"""The steps of a session, as in ``Personality.answers`` and ``drop_at``. ``content`` is the end of data."""


class Personality(Struct, frozen=True):
    """
    How a receiver behaves. Without arguments: takes everything, offers what a good server offers.

    :ivar label: for people: a few words.
    :ivar starttls: offers it.
    :ivar requires_tls: MAIL before STARTTLS is answered 530 5.7.0.
    :ivar broken_tls: offers STARTTLS, answers 220, then talks no TLS.
    :ivar esmtp: False: knows no EHLO, only HELO.
    :ivar size_octets: the SIZE it offers; larger messages get 552 5.3.4. ``None``: offers none, takes all.
    :ivar greylist_seconds: 451 4.7.1 to a triplet (client, reverse-path, recipient) until it is that old.
    :ivar delay_seconds: before each reply.
    :ivar answers: replies other than the usual ones, by stage: ``{"rcpt": "550 5.1.1 No such user"}``.
    :ivar rcpt_answers: replies to RCPT by address, before ``answers``.
    :ivar drop_at: closes the connection instead of answering at that stage.
    :ivar silent_at: never answers at that stage, and keeps the connection.
    :ivar max_connections: at a time; others are greeted with 421 4.7.0.
    :ivar max_messages: in one connection; the next MAIL is answered 421 4.7.0, and the connection is closed.
    """

    label: str = "takes everything"
    starttls: bool = True
    requires_tls: bool = False
    broken_tls: bool = False
    esmtp: bool = True
    pipelining: bool = True
    eightbitmime: bool = True
    smtputf8: bool = True
    size_octets: int | None = 52_428_800
    greylist_seconds: float = 0.0
    delay_seconds: float = 0.0
    answers: Mapping[str, str] = field(default_factory=dict)
    rcpt_answers: Mapping[str, str] = field(default_factory=dict)
    drop_at: str = ""
    silent_at: str = ""
    max_connections: int | None = None
    max_messages: int | None = None


GOOD = Personality(label="takes mail over STARTTLS")
CLEAR_TEXT = Personality(label="has no TLS", starttls=False)
REFUSES = Personality(label="refuses every recipient", answers={"rcpt": "550 5.1.1 No such user here"})
SLOW = Personality(label="slow: a second for each reply", delay_seconds=1.0)
OVERLOADED = Personality(label="too busy", answers={"connect": "421 4.3.2 Too busy, try again later"})
OLD = Personality(
    label="speaks the SMTP of 1982",
    starttls=False,
    esmtp=False,
    pipelining=False,
    eightbitmime=False,
    smtputf8=False,
    size_octets=None,
)


def greylisting(seconds: float) -> Personality:
    """Takes a triplet that it has known for that long."""
    return Personality(label=f"greylists for {seconds:g} seconds", greylist_seconds=seconds)
