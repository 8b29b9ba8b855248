"""
The server's side of an SMTP session (RFC 5321), without input or output.

The one that drives it gives octets to ``receive``, calls ``step`` until that returns ``None``, does what each event
says, and writes what stands in ``output``. Invariants:

1. At most one answer is owed at a time. While it is owed, input waits; that alone keeps replies in order however slow
   an answer is.
2. Every command line gets exactly one reply, content behind a 354 one more.
3. Behind a 354 nothing but CR LF . CR LF ends content, behind BDAT nothing but the number of octets that it has
   announced, whatever is wrong with it. Content never becomes commands; where its end can't be known the session ends.
4. Nothing from before a TLS handshake is left after it.

Who may send what to whom is not decided here, only what the protocol and the limits say.
"""

from binascii import b2a_base64

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import AuthAborted, AuthResponse, Event, Signal
from smtpgw.smtp.framing import ContentReader
from smtpgw.smtp.grammar import read_base64
from smtpgw.smtp.session_commands import foreign_protocol, is_foreign, run_command
from smtpgw.smtp.session_content import accept_chunk, read_content, refuse_chunk
from smtpgw.smtp.session_rules import Phase
from smtpgw.smtp.session_state import SessionState

MAX_REPLIES = 256
"""As many may wait to be written before the driver is told to; events that it hears of anyway are no such moment."""

_MAX_PIECES = 128
"""Pieces of waiting input; then they are joined, because many small ones take many times their size."""

_BINARY = (b"\x16\x03", b"\x80\x2e\x01", b"\x03\x00", b"\x04\x01", b"\x05")
"""First octets of TLS, SSL 2, RDP and SOCKS, which may never send CR LF."""

_BETWEEN = (Phase.START, Phase.READY)
"""No transaction and no exchange is under way."""

_MAIL = Phase.MAIL
_CONTENT = Phase.CONTENT
_EXCHANGE = Phase.EXCHANGE
_CLOSED = Phase.CLOSED


class Session(SessionState):
    """One connection's session. Each answer is given once, while it is owed."""

    __slots__ = ()

    def greet(self) -> None:
        """The banner."""
        self.say(reply(220, "", self.rules.banner))

    def shut_down(self) -> None:
        """
        Take no more commands but QUIT: the next one is answered 421 4.3.2.

        Outside of a transaction, now or as soon as it is over, ``step`` says so without being asked.
        """
        self.is_shutting_down = True

    def receive(self, octets: bytes) -> None:
        """Take input; it is read by ``step``."""
        if self.phase is _CLOSED:
            return
        if self.position == len(self.buffer) and not self.waiting:
            # Nothing stands before it.
            self.buffer = octets
            self.position = 0
            return
        self.waiting.append(octets)
        self.waiting_size += len(octets)
        if len(self.waiting) > _MAX_PIECES:
            self.waiting = [b"".join(self.waiting)]

    def step(self) -> Event | None:
        """Read on to the next event. ``None``: more input is needed, or an answer."""
        if self.waiting and not self.is_owing:
            self._take_waiting()
        while not self.is_owing:
            content = self.content
            if content is not None:
                event = read_content(self, content)
                if event is not None or self.content is content:
                    return event
                continue
            if self.phase is _CLOSED:
                return self._end()
            start = self.position
            if self.is_first_line and self.buffer.startswith(_BINARY, start):
                foreign_protocol(self)
                continue
            line, self.position = self.commands.read(self.buffer, start)
            if line is not None:
                event = self._response(line) if self.phase is _EXCHANGE else run_command(self, line)
            elif self.position > start and not self.commands.is_skipping:
                event = self._overlong()
            elif self.is_shutting_down and self.phase in _BETWEEN:
                self.turn_away(replies.SHUTTING_DOWN)
                continue
            else:
                return None
            if event is not None:
                return event
            if len(self.output) > MAX_REPLIES:
                return Signal.OUTPUT_FULL
        return None

    def accept(self) -> None:
        """Yes, to MAIL, RCPT, DATA or the first BDAT."""
        self.is_owing = False
        if self.recipient is not None:
            self.recipients.append(self.recipient)
            self.recipient = None
            self.output.append(replies.RCPT_OK)
        elif self.phase is _MAIL:
            if self.chunks is not None:
                accept_chunk(self, self.chunks)
                return
            self.phase = _CONTENT
            self.content = ContentReader(normalize=self.rules.normalizes)
            self.content_refusal = None
            self.output.append(replies.START_CONTENT)
        else:
            self.phase = _MAIL
            self.facts.in_transaction = True
            self.output.append(replies.MAIL_OK)

    def refuse(self, answer: Reply) -> None:
        """No, to what was asked. After MAIL, DATA and BDAT there is no transaction; 421 ends the session."""
        self.is_owing = False
        if self.recipient is not None:
            self.recipient = None
            if answer.is_permanent and self._refuses_too_often():
                return
        elif self.phase is _EXCHANGE:
            self.end_exchange()
            if answer.is_permanent:
                self.bad(answer)
                return
        elif self.chunks is not None:
            refuse_chunk(self, self.chunks, answer)
            return
        else:
            self.reset()
        self.say(answer)
        if answer.code == 421:
            self.close()

    def conclude(self, answer: Reply) -> None:
        """
        The reply to the end of data, or to the last BDAT.

        A positive one is a new start for the count of bad commands.
        """
        self.is_owing = False
        if answer.is_positive:
            self.errors = 0
        self.reset()
        self.say(answer)
        if answer.code == 421:
            self.close()

    def drop_content(self, answer: Reply) -> None:
        """Give out no more of the content, or of the chunk, that is being read, and reply this at its end."""
        self.content_refusal = answer

    def challenge(self, octets: bytes) -> None:
        """A 334 in an AUTH exchange."""
        self.is_owing = False
        self.output.append(b"334 " + b2a_base64(octets, newline=False) + b"\r\n")

    def authenticated(self) -> None:
        """AUTH succeeded."""
        self.is_owing = False
        self.facts.is_authenticated = True
        self.end_exchange()
        self.set_lock()
        self.say(replies.AUTHENTICATED)

    def xclient_done(self, *, is_authenticated: bool = False) -> None:
        """
        XCLIENT was taken: everything starts anew, with the banner, but for TLS.

        :param is_authenticated: it named a login that counts.
        """
        self.is_owing = False
        self.helo = ""
        self.is_extended = False
        self.facts.is_authenticated = is_authenticated
        self.reset()
        self.set_lock()
        self.greet()

    def tls_started(self) -> None:
        """The handshake begins: forget everything (RFC 3207 section 4.2)."""
        self.is_owing = False
        self.drop_input()
        self.helo = ""
        self.is_extended = False
        self.facts.tls_active = True
        self.facts.is_authenticated = False
        self.is_first_line = True
        self.reset()
        self.set_lock()

    def _end(self) -> Event | None:
        """Told once."""
        if self.is_over:
            return None
        self.is_over = True
        return Signal.CLOSED

    def _refuses_too_often(self) -> bool:
        """The brake on guessing recipients."""
        self.refused += 1
        limit = self.rules.refused_recipients
        if not limit or self.refused <= limit:
            return False
        self.rejected("rcpt", replies.TOO_MANY_REFUSED, "")
        self.turn_away(replies.TOO_MANY_REFUSED)
        return True

    # --- Input ---

    def _take_waiting(self) -> None:
        rest = self.buffer[self.position :] if self.position < len(self.buffer) else b""
        waiting = self.waiting
        self.buffer = waiting[0] if not rest and len(waiting) == 1 else rest + b"".join(waiting)
        self.position = 0
        self.waiting = []
        self.waiting_size = 0

    def _response(self, line: bytes) -> Event:
        """A line of an AUTH exchange."""
        response = read_base64(line)
        if response is None:
            self.end_exchange()
            self.bad(replies.AUTH_ABORTED if line == b"*" else replies.BAD_BASE64)
            return AuthAborted()
        self.is_owing = True
        return AuthResponse(response)

    def _overlong(self) -> Event | None:
        aborts = self.phase is _EXCHANGE
        beginning = self.commands.beginning
        if aborts:
            self.end_exchange()
        elif is_foreign(beginning):
            return foreign_protocol(self)
        elif beginning[:4].upper() == b"BDAT":
            # It has announced content, nobody knows how much.
            self.turn_away(replies.LINE_TOO_LONG)
            return None
        self.is_first_line = False
        self.bad(replies.LINE_TOO_LONG)
        return AuthAborted() if aborts else None
