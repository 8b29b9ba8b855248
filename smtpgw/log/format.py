"""
How a line of the log is written: JSON for machines, ``key=value`` for people.

Whatever a peer has sent may be in a value. In both forms every character that is not printable is escaped: a line
stays one line, and a terminal that shows it gets no commands and no text that runs backwards.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec

from smtpgw.log.lines import LEVEL_NAMES, Fields

Format = Callable[[float, int, str, Fields], bytes]
"""Unix time, level, event and fields become a line with its newline; for people a traceback hangs below it."""

BELOW = "traceback"
"""The field that people read on lines of its own, below."""

_PLAIN = re.compile(r"[!#-<>-\[\]-~]+\Z")
_SHORT_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}

_DIM, _BOLD, _RESET = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_RED, _GREEN, _YELLOW, _CYAN = "\x1b[31m", "\x1b[32m", "\x1b[33m", "\x1b[36m"
_LEVEL_COLOURS = (_DIM, "", _YELLOW, _RED)
_EVENT_COLOURS = {
    "msg.relayed": _GREEN,
    "msg.delivered": _GREEN,
    "msg.deferred": _YELLOW,
    "msg.held": _YELLOW,
    "msg.bounced": _RED,
    "msg.dropped": _RED,
    "smtp.reject": _RED,
}


class Stamp:
    """Writes times as ``2026-11-20T11:37:58.123Z``. The part before the dot is made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def __call__(self, now: float) -> str:
        """:param now: Unix time."""
        milliseconds = int(now * 1000)
        second = milliseconds // 1000
        if second != self._second:
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._second = second
        return f"{self._text}{milliseconds % 1000:03d}Z"


def json_format() -> Format:
    """One JSON object a line."""
    stamp = Stamp()
    encode = msgspec.json.Encoder().encode

    def write(now: float, level: int, event: str, fields: Fields) -> bytes:
        line = {"ts": stamp(now), "level": LEVEL_NAMES[level], "event": event}
        line.update(fields)  # type: ignore[arg-type] # a dict of str at first, for speed
        try:
            octets = encode(line)
        except UnicodeEncodeError:
            # Half a surrogate pair, from a file name perhaps: no UTF-8 has it.
            octets = encode({key: _whole(value) for key, value in line.items()})
        # JSON leaves these characters alone, terminals and line readers don't.
        if not octets.isascii() or b"\x7f" in octets:
            octets = json_escaped(octets.decode()).encode()
        return octets + b"\n"

    return write


def human_format(*, colours: bool) -> Format:
    """:param colours: the line goes to a terminal that shows them."""
    stamp = Stamp()

    def write(now: float, level: int, event: str, fields: Fields) -> bytes:
        time, name, words = stamp(now), LEVEL_NAMES[level], human_words(fields)
        if colours:
            shown = f"{_EVENT_COLOURS.get(event, _CYAN)}{event:<14}{_RESET}"
            text = f"{_DIM}{time}{_RESET} {_LEVEL_COLOURS[level]}{name:<5}{_RESET} {shown} {words}"
        else:
            text = f"{time} {name:<5} {event:<14} {words}"
        below = fields.get(BELOW)
        if isinstance(below, str):
            text += "".join(f"\n    | {escaped(line)}" for line in below.splitlines())
        return text.encode("utf-8") + b"\n"

    return write


def human_words(fields: Fields) -> str:
    """The fields as ``key=value``, but for the empty ones. The null path shows."""
    return " ".join(
        f"{key}={human_value(value) if value != '' else '<>'}"
        for key, value in fields.items()
        if value is not None and (value != "" or key == "from") and key != BELOW
    )


def human_value(value: object) -> str:
    """As in ``key=value``: quoted where it is not one plain word."""
    if isinstance(value, str):
        return value if _PLAIN.match(value) else '"' + escaped(value).replace('"', '\\"') + '"'
    if isinstance(value, list):
        if value and not isinstance(value[0], str):
            return "/".join(map(human_value, value))
        return ",".join(map(human_value, value)) or '""'
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) and value < 1e6 else str(value)


def escaped(text: str) -> str:
    r"""Printable: what is not becomes ``\n``, ``\x1b``, ``\u202e``; a backslash is doubled."""
    if text.isprintable():
        return text.replace("\\", "\\\\")
    return "".join(map(_escape, text))


def _escape(character: str) -> str:
    if character == "\\":
        return "\\\\"
    if character.isprintable():
        return character
    short = _SHORT_ESCAPES.get(character)
    if short is not None:
        return short
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def json_escaped(text: str) -> str:
    """JSON without newlines, printable: only strings can have anything else in them, and there it is escaped."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else _json_escape(ord(character)) for character in text)


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 | code >> 10:04x}\\u{0xDC00 | code & 0x3FF:04x}"


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return value
