"""Hands a message in over SMTP, as a plain client would: without TLS, AUTH or extensions, one command at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure


class SubmissionRefused(Exception):
    """
    The server said no.

    :ivar command: what it said no to.
    :ivar reply: its last line.
    """

    def __init__(self, command: str, reply: str) -> None:
        super().__init__(f"{command}: {reply}")
        self.command = command
        self.reply = reply


class _Submission(LineReceiver):
    """Sends the next command at each positive reply."""

    MAX_LENGTH = 4096

    def __init__(self, steps: Iterator[tuple[str, bytes]]) -> None:
        self.done: Deferred[str] = Deferred()
        self._steps = steps
        self._command = "connection"

    def lineReceived(self, line: bytes) -> None:
        """A line of a reply."""
        if line[3:4] == b"-" or self.done.called:
            return
        text = line.decode("utf-8", "replace")
        if not text.startswith(("2", "3")):
            self.transport.loseConnection()  # type: ignore[union-attr]
            self.done.errback(SubmissionRefused(self._command, text))
            return
        was_content = self._command == "content"
        step = next(self._steps, None)
        if step is not None:
            self._command, octets = step
            self.transport.write(octets)  # type: ignore[union-attr]
        if was_content:
            self.done.callback(text)

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008 - Twisted's signature
        """The server has closed."""
        if not self.done.called:
            self.done.errback(reason)


async def submit(
    reactor: Any, host: str, port: int, reverse_path: str, recipients: Sequence[str], content: bytes
) -> str:
    """
    Hand a message in.

    :param host: IPv4 address.
    :param reverse_path: without angle brackets; empty for the null path.
    :param content: lines end in CR LF; dots are stuffed here.
    :returns: the line of the reply to the end of data.
    :raises SubmissionRefused: at the first reply that is not positive.
    """
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    steps = [
        ("HELO", b"HELO client.example\r\n"),
        ("MAIL", f"MAIL FROM:<{reverse_path}>\r\n".encode()),
        *(("RCPT", f"RCPT TO:<{recipient}>\r\n".encode()) for recipient in recipients),
        ("DATA", b"DATA\r\n"),
        ("content", stuffed + b".\r\n"),
        ("QUIT", b"QUIT\r\n"),
    ]
    protocol = await connectProtocol(TCP4ClientEndpoint(reactor, host, port, timeout=10), _Submission(iter(steps)))
    reply: str = await protocol.done
    return reply
