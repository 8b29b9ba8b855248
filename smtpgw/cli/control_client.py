"""The command's end of the control socket: plain and blocking, with a limit on how long."""

import os
import socket
from pathlib import Path
from typing import Any

from smtpgw.cli.exits import CommandTrouble, Exit
from smtpgw.service.control_protocol import read_response, socket_path, write_request

_CONNECT_SECONDS = 10.0
_READ_OCTETS = 256 * 1024
_MOST_OCTETS = 256 * 1024 * 1024
"""Of an answer. A gateway sends no such thing; somebody else at that socket might."""

_STATUSES = {
    "usage": Exit.USAGE,
    "unknown_verb": Exit.UNAVAILABLE,
    "not_found": Exit.NO_INPUT,
    "refused": Exit.DATA,
    "too_large": Exit.DATA,
    "temporary": Exit.TEMPORARY,
    "internal": Exit.SOFTWARE,
}


class NoGateway(CommandTrouble):
    """Nobody answers at the socket."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"no gateway runs with the spool {folder}", Exit.UNAVAILABLE)


class ControlClient:
    """A connection to the gateway of a spool folder; to be closed."""

    def __init__(self, folder: Path, wait_seconds: float) -> None:
        """
        :param folder: absolute.
        :param wait_seconds: for each answer, or part of it.
        :raises NoGateway: when none runs.
        :raises CommandTrouble: when it can't be asked.
        """
        self._folder = folder
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_CONNECT_SECONDS)
            self._connect()
            self._socket.settimeout(wait_seconds)
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> "ControlClient":
        """Closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, verb: str, arguments: dict[str, Any], content: bytes | None = None) -> Any:
        """
        The result of a verb.

        :param content: becomes the argument ``content``, however long.
        :raises CommandTrouble: when the gateway says no, or nothing that can be understood.
        """
        try:
            for line in write_request(verb, arguments, content):
                self._socket.sendall(line)
            response = read_response(self._read_line())
        except TimeoutError:
            raise CommandTrouble("the gateway does not answer in time", Exit.TEMPORARY) from None
        except (OSError, ValueError) as error:
            raise CommandTrouble(f"the gateway's answer was lost: {error}", Exit.TEMPORARY) from None
        if not response.ok:
            raise CommandTrouble(response.error, _STATUSES.get(response.code, Exit.SOFTWARE))
        return response.result

    def _connect(self) -> None:
        descriptor = None
        try:
            descriptor = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            self._socket.connect(socket_path(self._folder, descriptor))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            raise NoGateway(self._folder) from None
        except PermissionError:
            text = f"the gateway of {self._folder} belongs to another user"
            raise CommandTrouble(text, Exit.NO_PERMISSION) from None
        except ValueError as error:
            raise CommandTrouble(str(error), Exit.UNAVAILABLE) from None
        except OSError as error:
            text = f"the gateway of {self._folder} can't be asked: {error.strerror or error}"
            raise CommandTrouble(text, Exit.TEMPORARY) from None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def _read_line(self) -> bytes:
        pieces: list[bytes] = []
        octets = 0
        while not pieces or not pieces[-1].endswith(b"\n"):
            piece = self._socket.recv(_READ_OCTETS)
            octets += len(piece)
            if not piece or octets > _MOST_OCTETS:
                raise ValueError("it ended early" if not piece else "it is too long")
            pieces.append(piece)
        return b"".join(pieces)
