"""
What a session remembers, and the ways to change it that its parts share: saying something, counting bad commands,
forgetting a transaction, ending.
"""

from collections.abc import Callable

from smtpgw.model.envelope import MailFrom, Recipient
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import Event
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.framing import MAX_COMMAND_OCTETS, CommandReader, ContentReader
from smtpgw.smtp.session_rules import ExtensionTables, Phase, SessionRules

Rejected = Callable[[str, Reply, str], None]
"""Hears of what the session refused by a rule of its own: stage, reply, subject (as in ``notice.Rejected``)."""


class SessionState:
    """
    One connection's state.

    :ivar output: replies to write, in order; the driver clears it.
    :ivar helo: argument of the last HELO or EHLO, empty before.
    :ivar is_extended: it was EHLO.
    :ivar phase: nothing but the methods here and those of ``Session`` change it.
    :ivar is_owing: an answer is owed, and no input is read.
    :ivar mail: the MAIL command of the transaction, also while its answer is owed.
    :ivar recipient: of the RCPT whose answer is owed.
    :ivar has_tried: there was a RCPT in this transaction.
    :ivar is_full: a recipient too many was refused in this transaction.
    """

    def __init__(self, rules: SessionRules, tables: ExtensionTables, facts: Facts, rejected: Rejected) -> None:
        """:param facts: of this session alone; it keeps them up to date."""
        self.output: list[bytes] = []
        self.helo = ""
        self.is_extended = False
        self.phase = Phase.START
        self.is_owing = False
        self.facts = facts
        self.rules = rules
        self.tables = tables
        self.rejected = rejected
        self.commands = CommandReader()
        self.content: ContentReader | None = None
        self.content_refusal: Reply | None = None
        self.buffer = b""
        self.position = 0
        self.waiting: list[bytes] = []
        self.waiting_size = 0
        self.is_locked = rules.requires_tls and not facts.tls_active
        self.is_shutting_down = False
        self.is_first_line = True
        self.is_over = False
        self.errors = 0
        self.messages = 0
        self.mail: MailFrom | None = None
        self.recipients: list[Recipient] = []
        self.recipient: Recipient | None = None
        self.has_tried = False
        self.is_full = False

    @property
    def buffered_octets(self) -> int:
        """Input that was received and not read."""
        return self.waiting_size + len(self.buffer) - self.position

    def say(self, answer: Reply) -> None:
        """Reply."""
        self.output.append(replies.encode(answer))

    def bad(self, answer: Reply) -> Event | None:
        """Refuse a command that a proper client would not have sent; too many of them end the session."""
        self.errors += 1
        if self.errors > self.rules.errors:
            self.rejected("connect", replies.TOO_MANY_ERRORS, "")
            self.turn_away(replies.TOO_MANY_ERRORS)
        else:
            self.say(answer)
        return None

    def turn_away(self, answer: Reply) -> None:
        """Say this, and nothing more ever: instead of the banner, or at a time limit. ``Session.step`` then ends it."""
        self.say(answer)
        self.close()

    def reset(self) -> None:
        """No transaction."""
        self.phase = Phase.READY if self.helo else Phase.START
        self.facts.in_transaction = False
        self.mail = None
        self.recipients = []
        self.recipient = None
        self.has_tried = False
        self.is_full = False

    def end_exchange(self) -> None:
        """AUTH is over, with whatever result."""
        self.phase = Phase.READY if self.helo else Phase.START
        self.commands.limit_octets = MAX_COMMAND_OCTETS

    def close(self) -> None:
        """Read nothing more."""
        self.phase = Phase.CLOSED
        self.is_owing = False
        self.content = None
        self.drop_input()

    def drop_input(self) -> None:
        """Forget what was received and not read."""
        self.buffer = b""
        self.position = 0
        self.waiting = []
        self.waiting_size = 0
