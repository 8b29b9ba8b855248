"""
What the command and the running gateway say to each other over the socket in the spool's folder.

One JSON object a line, in UTF-8. A request names a verb and its arguments::

    {"verb": "queue.list", "arguments": {"limit": 100}}

and is answered by one line, either of::

    {"ok": true, "result": ...}
    {"ok": false, "error": "no recipient", "code": "usage"}

Requests on a connection are answered in order, one at a time. A line has at most a mebibyte. What is longer, the
content of a message, goes ahead of its request in pieces, each a line of its own that is not answered::

    {"piece": "<base64>"}

The pieces, put together, become the argument ``content`` of the next request; every piece but the last has a multiple
of three octets. The verbs stand in docs/manual/command.rst.
"""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

SOCKET_NAME = "control.sock"
MAX_LINE_OCTETS = 1024 * 1024
"""Of a request. Answers may be longer."""

_PIECE_OCTETS = 3 * 128 * 1024
"""A multiple of three, so that base64 is padded only at the end."""

_LONGEST_PATH = 100
"""Of a Unix socket: 108 on Linux with the final zero, 104 elsewhere."""


class Request(msgspec.Struct, frozen=True):
    """
    One line of the command: a request, or a piece of content that goes ahead of one.

    :ivar piece: base64.
    """

    verb: str | None = None
    arguments: dict[str, Any] = {}
    piece: str | None = None


class Response(msgspec.Struct, frozen=True):
    """One line of the gateway. ``result`` when ok, ``error`` and ``code`` when not."""

    ok: bool
    result: Any = None
    error: str = ""
    code: str = ""


class ControlTrouble(Exception):
    """
    A verb does not do what it was asked.

    :ivar text: for the person at the terminal.
    :ivar code: ``usage`` (the request or its arguments are wrong), ``unknown_verb``, ``not_found``, ``refused``,
        ``temporary`` (the same later may do), ``too_large``, ``internal`` (our fault; the log has more).
    """

    def __init__(self, text: str, code: str = "refused") -> None:
        super().__init__(text)
        self.text = text
        self.code = code


def read_request(line: bytes) -> Request:
    """:raises ControlTrouble: when it is none."""
    try:
        request = msgspec.json.decode(line, type=Request)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ControlTrouble(f"not a request: {error}", "usage") from None
    except RecursionError:
        raise ControlTrouble("not a request: nested too deeply", "usage") from None
    if (request.verb is None) == (request.piece is None):
        raise ControlTrouble("a request has either a verb or a piece", "usage")
    return request


def write_request(verb: str, arguments: dict[str, Any], content: bytes | None = None) -> Iterator[bytes]:
    """
    The lines of a request.

    :param content: becomes the argument ``content``.
    """
    if content is not None:
        # At least one piece, so that an empty content is there, too.
        for start in range(0, len(content) or 1, _PIECE_OCTETS):
            piece = base64.b64encode(content[start : start + _PIECE_OCTETS])
            yield b'{"piece":"' + piece + b'"}\n'
    yield msgspec.json.encode({"verb": verb, "arguments": arguments}) + b"\n"


def write_result(result: Any) -> bytes:
    """
    The line of a success.

    :raises TypeError: when the result can't be JSON.
    """
    return msgspec.json.encode({"ok": True, "result": result}) + b"\n"


def write_trouble(trouble: ControlTrouble) -> bytes:
    """The line of a failure."""
    return msgspec.json.encode({"ok": False, "error": trouble.text, "code": trouble.code}) + b"\n"


def read_response(line: bytes) -> Response:
    """:raises ValueError: when it is none."""
    return msgspec.json.decode(line, type=Response)


def socket_path(folder: Path, folder_descriptor: int | None) -> str:
    """
    The path under which to bind or connect the socket of a folder.

    :param folder: absolute.
    :param folder_descriptor: of the folder, open; used where the real path is too long for a Unix socket.
    :raises ValueError: when it is too long and there is no way around, with a text for the user.
    """
    path = str(folder / SOCKET_NAME)
    if len(path.encode("utf-8", "surrogateescape")) <= _LONGEST_PATH:
        return path
    if folder_descriptor is not None and Path(f"/proc/self/fd/{folder_descriptor}").exists():
        return f"/proc/self/fd/{folder_descriptor}/{SOCKET_NAME}"
    raise ValueError(f"{folder}: the path is too long for the control socket; at most {_LONGEST_PATH} octets")
