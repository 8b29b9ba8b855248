"""One connection of a mail host on loopback; see :mod:`smtpgw.testing.receivers`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

if TYPE_CHECKING:
    from smtpgw.testing.receivers import Receiver

_PATH = re.compile(rb"(?:FROM|TO):\s*<([^>]*)>\s*(.*)\Z", re.IGNORECASE | re.DOTALL)
_MAX_BUFFER_OCTETS = 200 << 20


class Received(Struct, frozen=True):
    """
    A message that a receiver took.

    :ivar parameters: of MAIL, upper case.
    :ivar content: without dot-stuffing, lines end in CR LF.
    :ivar tls: the version (``TLSv1.3``), empty in clear text.
    :ivar at: the reactor's seconds when the reply to the end of data was sent.
    :ivar session: number of the connection, from 1.
    """

    reverse_path: str
    recipients: tuple[str, ...]
    parameters: tuple[str, ...]
    content: bytes
    helo: str
    tls: str
    at: float
    session: int


class Session(Protocol):
    """One connection: a line at a time, one reply owed at a time."""

    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._number = 0
        self._buffer = bytearray()
        self._searched = 0
        self._in_content = False
        self._busy = False
        self._lost = False
        self._tls = ""
        self._helo = ""
        self._took = 0
        self._delayed: Any = None
        self._after_reply: Callable[[], None] | None = None
        self._reset()

    def _reset(self) -> None:
        self._reverse_path: bytes | None = None
        self._parameters: tuple[str, ...] = ()
        self._recipients: list[bytes] = []

    # --- Transport ---

    def connectionMade(self) -> None:
        """Greet."""
        receiver = self._receiver
        receiver.sessions += 1
        self._number = receiver.sessions
        receiver.connections.add(self)
        self.transport.setTcpNoDelay(True)  # type: ignore[union-attr]
        limit = receiver.personality.max_connections
        if limit is not None and len(receiver.connections) > limit:
            self._reply("421 4.7.0 Too many connections", closes=True)
        else:
            self._step("connect", f"220 {receiver.name} ESMTP")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Forget it."""
        self._lost = True
        self._receiver.connections.discard(self)
        if self._delayed is not None and self._delayed.active():
            self._delayed.cancel()

    def abort(self) -> None:
        """Drop it."""
        self.transport.abortConnection()  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        """Commands or content."""
        self._buffer += data
        if len(self._buffer) > _MAX_BUFFER_OCTETS:
            self.abort()
            return
        self._run()

    def _run(self) -> None:
        while not self._busy and not self._lost:
            if self._in_content:
                if not self._take_content():
                    return
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                return
            line = bytes(self._buffer[: end + 1])
            del self._buffer[: end + 1]
            if not line.endswith(b"\r\n"):
                self._offend(f"a command line without CR: {line!r}")
            line = line.rstrip(b"\r\n")
            self._receiver.commands.append((self._number, line))
            if self._buffer and not self._receiver.personality.pipelining and not line.upper().startswith(b"BDAT"):
                self._offend(f"pipelined, though it isn't offered, after {line!r}")
            self._command(line)

    def _offend(self, text: str) -> None:
        self._receiver.offences.append(text)

    # --- Replies ---

    def _step(self, stage: str, usual: str, *, closes: bool = False) -> bool:
        """
        Answer at a stage, as the personality wants.

        :returns: whether it was the usual reply.
        """
        personality = self._receiver.personality
        if personality.drop_at == stage:
            self._lost = True
            self.abort()
            return False
        if personality.silent_at == stage:
            self._busy = True
            return False
        answer = personality.answers.get(stage)
        if answer is not None:
            self._after_reply = None
        self._reply(answer or usual, closes=closes or (answer or "").startswith("421"))
        return answer is None

    def _reply(self, text: str, *, closes: bool = False) -> None:
        delay = self._receiver.personality.delay_seconds
        self._busy = True
        if delay:
            self._delayed = self._receiver.reactor.callLater(delay, self._send, text, closes)
        else:
            self._send(text, closes)

    def _send(self, text: str, closes: bool) -> None:
        if self._lost:
            return
        self.transport.write(text.encode("utf-8") + b"\r\n")  # type: ignore[union-attr]
        if closes:
            self._lost = True
            self.transport.loseConnection()  # type: ignore[union-attr]
            return
        self._busy = False
        after, self._after_reply = self._after_reply, None
        if after is not None:
            after()
        if self._receiver.personality.delay_seconds:
            self._run()

    # --- Commands ---

    def _command(self, line: bytes) -> None:
        verb, _, argument = line.partition(b" ")
        command = _COMMANDS.get(verb.upper())
        if command is None:
            self._reply("500 5.5.1 Unknown command")
        else:
            command(self, argument.strip())

    def _ehlo(self, argument: bytes) -> None:
        personality = self._receiver.personality
        if not personality.esmtp:
            self._reply("502 5.5.1 HELO, please")
            return
        self._greeted(argument)
        offers = [
            ("PIPELINING", personality.pipelining),
            ("8BITMIME", personality.eightbitmime),
            ("SMTPUTF8", personality.smtputf8),
            ("STARTTLS", (personality.starttls or personality.broken_tls) and not self._tls),
            (f"SIZE {personality.size_octets}", personality.size_octets is not None),
            ("ENHANCEDSTATUSCODES", True),
        ]
        lines = [self._receiver.name, *(word for word, is_offered in offers if is_offered)]
        text = "\r\n".join(f"250{'-' if number < len(lines) else ' '}{line}" for number, line in enumerate(lines, 1))
        self._step("ehlo", text)

    def _helo_command(self, argument: bytes) -> None:
        self._greeted(argument)
        self._step("ehlo", f"250 {self._receiver.name}")

    def _greeted(self, argument: bytes) -> None:
        self._helo = argument.decode("latin-1")
        self._reset()

    def _starttls(self, argument: bytes) -> None:
        receiver = self._receiver
        if self._tls or not (receiver.personality.starttls or receiver.personality.broken_tls):
            self._reply("503 5.5.1 Not now")
            return
        if self._buffer:
            self._offend("octets behind STARTTLS")
            self._buffer.clear()
        self._after_reply = self._start_tls
        self._step("starttls", "220 2.0.0 Go ahead")

    def _start_tls(self) -> None:
        if self._receiver.personality.broken_tls:
            self.transport.write(b"this is no TLS\r\n")  # type: ignore[union-attr]
            self.transport.loseConnection()  # type: ignore[union-attr]
            return
        self._tls = "?"
        self._reset()
        self.transport.startTLS(self._receiver.tls_options())  # type: ignore[union-attr]

    def _tls_version(self) -> str:
        if self._tls == "?":
            handle: Any = self.transport.getHandle()  # type: ignore[union-attr]
            self._tls = str(handle.get_protocol_version_name())
        return self._tls

    def _mail(self, argument: bytes) -> None:
        match = _PATH.match(argument)
        personality = self._receiver.personality
        if match is None:
            self._reply("501 5.5.4 Syntax")
        elif self._reverse_path is not None:
            self._reply("503 5.5.1 One at a time")
        elif personality.requires_tls and not self._tls:
            self._reply("530 5.7.0 STARTTLS first")
        elif personality.max_messages is not None and self._took >= personality.max_messages:
            self._reply("421 4.7.0 Too many messages in this connection", closes=True)
        else:
            parameters = tuple(match[2].decode("latin-1").upper().split())
            if self._exceeds_size(parameters):
                self._reply("552 5.3.4 Too large")
            elif self._step("mail", "250 2.1.0 Ok"):
                self._reverse_path, self._parameters = match[1], parameters

    def _exceeds_size(self, parameters: tuple[str, ...]) -> bool:
        limit = self._receiver.personality.size_octets
        sizes = [int(text[5:]) for text in parameters if text.startswith("SIZE=") and text[5:].isdigit()]
        return limit is not None and bool(sizes) and sizes[0] > limit

    def _rcpt(self, argument: bytes) -> None:
        match = _PATH.match(argument)
        if match is None:
            self._reply("501 5.5.4 Syntax")
            return
        if self._reverse_path is None:
            self._reply("503 5.5.1 MAIL first")
            return
        path = match[1]
        own_answer = self._receiver.personality.rcpt_answers.get(path.decode("latin-1"))
        if own_answer is not None:
            self._reply(own_answer)
            if own_answer.startswith("2"):
                self._recipients.append(path)
            return
        wait_seconds = self._greylisted_for(path)
        if wait_seconds > 0:
            self._reply(f"451 4.7.1 Greylisted, please try again in {wait_seconds:.0f} seconds")
        elif self._step("rcpt", "250 2.1.5 Ok"):
            self._recipients.append(path)

    def _greylisted_for(self, path: bytes) -> float:
        receiver = self._receiver
        peer: Any = self.transport.getPeer()  # type: ignore[union-attr]
        triplet = (peer.host, self._reverse_path or b"", path)
        first = receiver.first_seen.setdefault(triplet, receiver.reactor.seconds())
        remaining: float = first + receiver.personality.greylist_seconds - receiver.reactor.seconds()
        return remaining

    def _data(self, argument: bytes) -> None:
        if not self._recipients:
            self._reply("503 5.5.1 No valid recipient")
        elif self._step("data", "354 Go ahead"):
            self._in_content = True
            self._searched = 0

    def _take_content(self) -> bool:
        """Content up to its end, if that is there."""
        buffer = self._buffer
        if buffer.startswith(b".\r\n"):
            content, end = b"", 3
        else:
            at = buffer.find(b"\r\n.\r\n", self._searched)
            if at < 0:
                self._searched = max(0, len(buffer) - 4)
                return False
            content, end = bytes(buffer[: at + 2]), at + 5
        del buffer[:end]
        self._in_content = False
        if b"\n" in content.replace(b"\r\n", b"") or b"\r" in content.replace(b"\r\n", b""):
            self._offend("a bare CR or LF in content")
        content = content.removeprefix(b".").replace(b"\r\n.", b"\r\n")
        limit = self._receiver.personality.size_octets
        if limit is not None and len(content) > limit:
            self._reply("552 5.3.4 Too large")
        elif self._step("content", f"250 2.0.0 Ok: queued as {len(self._receiver.messages) + 1:04d}"):
            self._took += 1
            self._receiver.messages.append(self._received(content))
        self._reset()
        return True

    def _received(self, content: bytes) -> Received:
        return Received(
            (self._reverse_path or b"").decode("utf-8", "replace"),
            tuple(path.decode("utf-8", "replace") for path in self._recipients),
            self._parameters,
            content,
            self._helo,
            self._tls_version(),
            self._receiver.reactor.seconds(),
            self._number,
        )

    def _rset(self, argument: bytes) -> None:
        self._reset()
        self._reply("250 2.0.0 Ok")

    def _noop(self, argument: bytes) -> None:
        self._reply("250 2.0.0 Ok")

    def _quit(self, argument: bytes) -> None:
        self._step("quit", "221 2.0.0 Bye", closes=True)


_COMMANDS = {
    b"EHLO": Session._ehlo,
    b"HELO": Session._helo_command,
    b"STARTTLS": Session._starttls,
    b"MAIL": Session._mail,
    b"RCPT": Session._rcpt,
    b"DATA": Session._data,
    b"RSET": Session._rset,
    b"NOOP": Session._noop,
    b"QUIT": Session._quit,
}
