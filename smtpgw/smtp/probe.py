"""
A dialogue that asks a host for its recipients, one after the other, and never sends mail.

Greeting, EHLO (HELO where that is not known), then for each recipient MAIL FROM:<>, RCPT TO, RSET. The null path, so
that a host that asks back asks nobody.

Only a reply that speaks of the recipient is an answer. A refusal for another reason, such as a block of ours (5.7.1)
or a mailbox that is full (5.2.2), is trouble: who takes it for "unknown" bounces mail because of a passing mistake.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from smtpgw.model.address import Mailbox
from smtpgw.model.reply import Reply
from smtpgw.smtp.reply_reader import BadReply, ReplyReader

_UNKNOWN_STATUSES = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.0", "5.2.1", "5.4.1"})
"""About the address, or a mailbox that is disabled (RFC 3463); 5.4.1 is what some large hosts say for unknown ones."""

_UNKNOWN_CODES = frozenset({550, 551, 553})
"""Without an enhanced status (RFC 5321 section 4.3.2). 552 is a full mailbox, 554 says nothing at all."""

_LEAVING = 421
_LONGEST_CAUSE = 200


class ProbeOwner(Protocol):
    """Hears of a probe. Nothing is called after ``probe_broken``."""

    def probe_ready(self) -> None:
        """It takes a question."""

    def probe_answered(self, answer: bool | str) -> None:
        """Whether the recipient is known, or why that can't be said. ``probe_ready`` or ``probe_broken`` follows."""

    def probe_broken(self, reason: str) -> None:
        """The dialogue can't go on, and a question that is not answered never will be."""


class _Phase(Enum):
    GREETING = "greeting"
    EHLO = "EHLO"
    HELO = "HELO"
    READY = "ready"
    MAIL = "MAIL"
    RCPT = "RCPT"
    RSET = "RSET"
    OVER = "over"


class Probe:
    """The dialogue, sans I/O."""

    def __init__(self, helo_name: str, send: Callable[[bytes], None], owner: ProbeOwner) -> None:
        """
        Waits for the greeting.

        :param helo_name: ours.
        """
        self._helo_name = helo_name.encode("ascii")
        self._send = send
        self._owner = owner
        self._reader = ReplyReader()
        self._phase = _Phase.GREETING
        self._has_smtputf8 = False
        self._mailbox: Mailbox | None = None

    @property
    def is_ready(self) -> bool:
        """Whether it takes a question."""
        return self._phase is _Phase.READY

    def ask(self, mailbox: Mailbox) -> None:
        """
        Only when it is ready.

        :raises ValueError: when the mailbox can't stand in a command; nothing has been sent.
        """
        if self._phase is not _Phase.READY:
            raise RuntimeError(f"a question in the phase {self._phase.value}")
        if any(character < " " or character == "\x7f" for character in str(mailbox)):
            raise ValueError("a control character in a mailbox")
        if not mailbox.is_ascii and not self._has_smtputf8:
            # It can have no such recipient, for no client could name it (RFC 6531 section 3.1).
            self._owner.probe_answered(False)
            self._owner.probe_ready()
            return
        self._mailbox = mailbox
        self._go(_Phase.MAIL, b"MAIL FROM:<>" if mailbox.is_ascii else b"MAIL FROM:<> SMTPUTF8")

    def leave(self) -> None:
        """Say QUIT. The owner hears nothing any more; closing the connection is its affair."""
        if self._phase is not _Phase.OVER:
            self._phase = _Phase.OVER
            self._send(b"QUIT\r\n")

    def feed(self, octets: bytes) -> None:
        """Octets as they came."""
        if self._phase is _Phase.OVER:
            return
        self._reader.feed(octets)
        try:
            self._read()
        except BadReply as trouble:
            self._break(str(trouble))

    def _read(self) -> None:
        while self._phase is not _Phase.OVER and (reply := self._reader.next()) is not None:
            if reply.code != _LEAVING and (self._reader.is_pending or self._phase is _Phase.READY):
                # Commands go one at a time, so what is too many belongs to nothing, and would be taken for the answer
                # about the next recipient.
                self._break("more replies than commands")
                return
            self._take(reply)

    def _go(self, phase: _Phase, command: bytes) -> None:
        self._phase = phase
        self._send(command + b"\r\n")

    def _take(self, reply: Reply) -> None:
        if reply.code == _LEAVING:
            self._break(f"{self._phase.value}: {_shown(reply)}")
            return
        match self._phase:
            case _Phase.GREETING if reply.code == 220:
                self._go(_Phase.EHLO, b"EHLO " + self._helo_name)
            case _Phase.EHLO if reply.is_positive:
                self._has_smtputf8 = any(line.split(" ")[0].upper() == "SMTPUTF8" for line in reply.lines[1:])
                self._ready()
            case _Phase.EHLO if reply.is_permanent:
                self._go(_Phase.HELO, b"HELO " + self._helo_name)
            case _Phase.HELO if reply.is_positive:
                self._ready()
            case _Phase.MAIL if reply.is_positive and self._mailbox is not None:
                self._go(_Phase.RCPT, b"RCPT TO:<" + str(self._mailbox).encode("utf-8") + b">")
            case _Phase.RCPT:
                self._mailbox = None
                self._go(_Phase.RSET, b"RSET")
                self._owner.probe_answered(_meaning(reply))
            case _Phase.RSET if reply.is_positive:
                self._ready()
            case _:
                self._break(f"{self._phase.value}: {_shown(reply)}")

    def _ready(self) -> None:
        self._phase = _Phase.READY
        self._owner.probe_ready()

    def _break(self, reason: str) -> None:
        self._phase = _Phase.OVER
        self._owner.probe_broken(reason)


def _meaning(reply: Reply) -> bool | str:
    """What a reply to RCPT says."""
    if reply.is_positive:
        return True
    if reply.is_permanent and (reply.status in _UNKNOWN_STATUSES if reply.status else reply.code in _UNKNOWN_CODES):
        return False
    return f"RCPT: {_shown(reply)}"


def _shown(reply: Reply) -> str:
    return ascii(str(reply))[1:-1][:_LONGEST_CAUSE]
