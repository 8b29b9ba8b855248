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
from smtpgw.smtp.framing import MAX_COMMAND_OCTETS, ChunkReader, CommandReader, ContentReader
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
    :ivar lock: what every command gets but those that can change it; ``None``: nothing is locked.
    :ivar content: reads the content, or the chunk, that comes now.
    :ivar content_refusal: what will be said at its end; none of it is given out any more.
    :ivar chunks: reads the message of this transaction, from its first BDAT on.
    :ivar has_failed_chunks: a chunk was refused, and others of its message may still come.
    :ivar refused: RCPT that the driver refused with 5xx.
    :ivar has_said_all: nothing has come behind QUIT.
    """

    # More attributes than an instance's dictionary can hold in its compact form: slots are faster, and smaller.
    __slots__ = (
        "buffer",
        "chunks",
        "commands",
        "content",
        "content_refusal",
        "errors",
        "facts",
        "has_failed_chunks",
        "has_said_all",
        "has_tried",
        "helo",
        "is_extended",
        "is_first_line",
        "is_full",
        "is_over",
        "is_owing",
        "is_shutting_down",
        "lock",
        "mail",
        "messages",
        "output",
        "phase",
        "phase_behind",
        "position",
        "recipient",
        "recipients",
        "refused",
        "rejected",
        "rules",
        "tables",
        "waiting",
        "waiting_size",
    )

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
        self.content: ContentReader | ChunkReader | None = None
        self.content_refusal: Reply | None = None
        self.buffer = b""
        self.position = 0
        self.waiting: list[bytes] = []
        self.waiting_size = 0
        self.lock: Reply | None = None
        self.chunks: ChunkReader | None = None
        self.has_failed_chunks = False
        self.phase_behind = Phase.START
        self.refused = 0
        self.is_shutting_down = False
        self.is_first_line = True
        self.is_over = False
        self.has_said_all = False
        self.errors = 0
        self.messages = 0
        self.mail: MailFrom | None = None
        self.recipients: list[Recipient] = []
        self.recipient: Recipient | None = None
        self.has_tried = False
        self.is_full = False
        facts.messages = rules.messages
        facts.recipients = rules.recipients
        facts.deliver_by = rules.deliver_by_seconds if rules.deliver_by else None
        facts.future_release_seconds = rules.future_release_seconds
        facts.now = rules.now
        self.set_lock()

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
        self.chunks = None
        self.has_failed_chunks = False

    def set_lock(self) -> None:
        """What has to come first: TLS, then AUTH."""
        if self.rules.requires_tls and not self.facts.tls_active:
            self.lock = replies.TLS_NEEDED
        elif self.rules.requires_auth and not self.facts.is_authenticated:
            self.lock = replies.AUTH_NEEDED
        else:
            self.lock = None

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
