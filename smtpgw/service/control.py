"""
The control socket: the command ``smtpgw`` asks, the running gateway answers.

Whoever can open the socket controls the gateway, so the socket is the owner's alone (0600, in a folder that is 0700).
That is no reason to trust the other end to be well: lines, content, connections and silence are bounded.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec import ValidationError
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress, IListeningPort, IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from smtpgw.service.control_protocol import (
    MAX_LINE_OCTETS,
    ControlTrouble,
    Request,
    read_request,
    socket_path,
    write_result,
    write_trouble,
)

__all__ = ["ControlServer", "ControlTrouble", "Verb"]

_MOST_CONNECTIONS = 32
_SILENCE_SECONDS = 60.0
_MOST_CONTENT_OCTETS = 128 * 2**20

Verb = Callable[[dict[str, Any]], Awaitable[Any] | Any]
"""
Does what a verb says: gets its arguments, gives what can be written as JSON, now or later.

Says no with :class:`~smtpgw.service.control_protocol.ControlTrouble`; msgspec's ``ValidationError`` means that the
arguments are wrong. The argument ``content``, if there is one, is base64, not checked.
"""


class ControlServer(Factory):
    """Answers requests."""

    noisy = False
    log = Logger("smtpgw.control")

    def __init__(self, verbs: Mapping[str, Verb], max_content_octets: int = _MOST_CONTENT_OCTETS) -> None:
        """:param max_content_octets: most that may come in pieces ahead of a request, before base64."""
        self.verbs = dict(verbs)
        self.max_content_octets = max_content_octets
        self._reactor: IReactorTime | None = None
        self._connections: set[ControlConnection] = set()
        self._port: IListeningPort | None = None
        self._folder_descriptor: int | None = None

    def listen(self, reactor: Any, folder: Path) -> None:
        """
        Bind the socket in a folder. A socket that a dead gateway has left is taken away.

        :param reactor: IReactorUNIX and IReactorTime.
        :param folder: the spool's; whoever calls holds its lock.
        :raises OSError: when it can't be bound, or a gateway answers there already.
        :raises ValueError: when the path is too long, with a text for the user.
        """
        self._reactor = reactor
        folder = folder.absolute()
        self._folder_descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            path = socket_path(folder, self._folder_descriptor)
            _remove_stale(path)
            # Twisted sets the mode before it listens, so nobody else gets in between.
            self._port = reactor.listenUNIX(path, self, mode=0o600)
        except CannotListenError as error:
            self._close_folder()
            raise OSError(f"the control socket in {folder} can't be bound: {error.socketError}") from error
        except BaseException:
            self._close_folder()
            raise

    async def stop(self) -> None:
        """Close the socket and every connection; requests under way run on without anybody to hear their result."""
        port, self._port = self._port, None
        if port is not None:
            stopped = port.stopListening()
            if isinstance(stopped, Deferred):
                await stopped
        for connection in tuple(self._connections):
            connection.drop()
        self._close_folder()

    def buildProtocol(self, addr: IAddress | None) -> "ControlConnection | None":
        """At most some dozens at a time; more are hung up on."""
        if len(self._connections) >= _MOST_CONNECTIONS or self._reactor is None:
            return None
        connection = ControlConnection(self, self._reactor)
        connection.factory = self
        return connection

    def opened(self, connection: "ControlConnection") -> None:
        """Told by a connection."""
        self._connections.add(connection)

    def closed(self, connection: "ControlConnection") -> None:
        """Told by a connection."""
        self._connections.discard(connection)

    def _close_folder(self) -> None:
        if self._folder_descriptor is not None:
            os.close(self._folder_descriptor)
            self._folder_descriptor = None


class ControlConnection(Protocol, TimeoutMixin):
    """One command at the other end: one request at a time, the next is read when the last is answered."""

    def __init__(self, server: ControlServer, reactor: IReactorTime) -> None:
        self._server = server
        self._reactor = reactor
        self._input = b""
        self._content: list[str] | None = None
        self._content_characters = 0
        self._is_too_large = False
        self._is_busy = False
        self._is_open = False

    def callLater(self, period: float, function: Callable[[], None]) -> Any:
        """The clock of TimeoutMixin."""
        return self._reactor.callLater(period, function)

    def connectionMade(self) -> None:
        """Somebody is there."""
        self._is_open = True
        self._server.opened(self)
        self.setTimeout(_SILENCE_SECONDS)

    def connectionLost(self, reason: Failure | None = None) -> None:
        """Nobody is there any more."""
        self._is_open = False
        self.setTimeout(None)
        self._server.closed(self)
        self._input = b""
        self._content = None

    def dataReceived(self, data: bytes) -> None:
        """Lines, cut anywhere."""
        self._input += data
        self._read_lines()

    def drop(self) -> None:
        """Hang up, after what was written."""
        if self.transport is not None:
            self.transport.loseConnection()

    def timeoutConnection(self) -> None:
        """Nothing came for long."""
        self.drop()

    def _read_lines(self) -> None:
        while self._is_open and not self._is_busy:
            line, newline, rest = self._input.partition(b"\n")
            if len(line) > MAX_LINE_OCTETS:
                self._input = b""
                self._write(write_trouble(ControlTrouble("the line is too long", "too_large")))
                self.drop()
                self._is_open = False
                return
            if not newline:
                self.setTimeout(_SILENCE_SECONDS)
                return
            self._input = rest
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            request = read_request(line)
        except ControlTrouble as trouble:
            self._content, self._is_too_large = None, False
            self._write(write_trouble(trouble))
            return
        if request.piece is not None:
            self._keep(request.piece)
        else:
            self._run(request)

    def _keep(self, piece: str) -> None:
        if self._content is None:
            self._content = []
            self._content_characters = 0
        self._content_characters += len(piece)
        if self._content_characters > 4 * (self._server.max_content_octets // 3 + 1):
            # Told with the request: pieces are not answered.
            self._is_too_large = True
            self._content.clear()
        else:
            self._content.append(piece)

    def _run(self, request: Request) -> None:
        content, too_large = self._content, self._is_too_large
        self._content, self._is_too_large = None, False
        verb = self._server.verbs.get(request.verb or "")
        arguments = dict(request.arguments)
        if content is not None:
            arguments["content"] = "".join(content)
        if verb is None:
            self._write(write_trouble(ControlTrouble(f"unknown verb {request.verb!r}", "unknown_verb")))
        elif too_large:
            text = f"larger than {self._server.max_content_octets} octets"
            self._write(write_trouble(ControlTrouble(text, "too_large")))
        else:
            self._is_busy = True
            self.setTimeout(None)
            if self.transport is not None:
                self.transport.pauseProducing()  # type: ignore[attr-defined] # a Unix server transport has it
            maybeDeferred(verb, arguments).addCallback(write_result).addErrback(self._refused).addCallback(self._done)

    def _refused(self, failure: Failure) -> bytes:
        error = failure.value
        if isinstance(error, ControlTrouble):
            return write_trouble(error)
        if isinstance(error, ValidationError):
            return write_trouble(ControlTrouble(str(error), "usage"))
        self._server.log.failure("A verb of the control socket failed", failure)
        return write_trouble(ControlTrouble("the gateway failed to do it; its log says why", "internal"))

    def _done(self, answer: bytes) -> None:
        self._is_busy = False
        if not self._is_open:
            return
        self._write(answer)
        self.setTimeout(_SILENCE_SECONDS)
        if self.transport is not None:
            self.transport.resumeProducing()  # type: ignore[attr-defined] # likewise
        self._read_lines()

    def _write(self, octets: bytes) -> None:
        if self.transport is not None:
            self.transport.write(octets)


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "is in the way and is not a socket", path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            with contextlib.suppress(FileNotFoundError):
                Path(path).unlink()
        except FileNotFoundError:
            return
        else:
            raise OSError(errno.EADDRINUSE, "another gateway answers there", path)
