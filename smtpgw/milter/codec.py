"""
Packets of the milter protocol, version 6: four octets of length, one of command, data.

A milter may be broken or somebody else's: what it sends is bounded here, and whatever can't be read is a value, not an
exception.
"""

from collections.abc import Iterable
from enum import IntFlag

from msgspec import Struct

VERSION = 6
_OLDEST_VERSION = 2

MOST_DATA_OCTETS = 65535
"""Of one packet to a milter; libmilter takes no more."""

_MOST_PACKET_OCTETS = 65536 + 1024
"""Of one packet from a milter. Larger ones are for those who have agreed on them (``SMFIP_MDS_*``), which we don't."""

_MOST_WAITING = 20_000
"""Packets from a milter that came at once."""

# From us.
OPTNEG = b"O"
CONNECT = b"C"
HELO = b"H"
MAIL = b"M"
RCPT = b"R"
DATA = b"T"
HEADER = b"L"
END_OF_HEADER = b"N"
BODY = b"B"
END_OF_MESSAGE = b"E"
MACRO = b"D"
ABORT = b"A"
QUIT = b"Q"

# From the milter.
ADD_RECIPIENT = b"+"
ADD_RECIPIENT_WITH_PARAMETERS = b"2"
REMOVE_RECIPIENT = b"-"
SHUTDOWN = b"4"
ACCEPT = b"a"
REPLACE_BODY = b"b"
CONTINUE = b"c"
DISCARD = b"d"
CHANGE_SENDER = b"e"
CONNECTION_FAILED = b"f"
ADD_FIELD = b"h"
INSERT_FIELD = b"i"
CHANGE_FIELD = b"m"
PROGRESS = b"p"
QUARANTINE = b"q"
REJECT = b"r"
SKIP = b"s"
TEMPORARY_FAILURE = b"t"
REPLY_CODE = b"y"


class Action(IntFlag):
    """What a milter may do at the end of a message (``SMFIF_*``)."""

    ADD_FIELDS = 0x1
    CHANGE_BODY = 0x2
    ADD_RECIPIENTS = 0x4
    REMOVE_RECIPIENTS = 0x8
    CHANGE_FIELDS = 0x10
    QUARANTINE = 0x20
    CHANGE_SENDER = 0x40
    ADD_RECIPIENTS_WITH_PARAMETERS = 0x80
    CHOOSE_MACROS = 0x100


class Wish(IntFlag):
    """What a milter wants left out, or done differently (``SMFIP_*``)."""

    NO_CONNECT = 0x1
    NO_HELO = 0x2
    NO_MAIL = 0x4
    NO_RCPT = 0x8
    NO_BODY = 0x10
    NO_HEADER = 0x20
    NO_END_OF_HEADER = 0x40
    SILENT_HEADER = 0x80
    NO_UNKNOWN = 0x100
    NO_DATA = 0x200
    SKIP = 0x400
    SILENT_CONNECT = 0x1000
    SILENT_HELO = 0x2000
    SILENT_MAIL = 0x4000
    SILENT_RCPT = 0x8000
    SILENT_DATA = 0x10000
    SILENT_UNKNOWN = 0x20000
    SILENT_END_OF_HEADER = 0x40000
    SILENT_BODY = 0x80000
    LEADING_SPACE = 0x100000


# Members only: an IntFlag that is built from an unknown bit would keep it.
_ALL_ACTIONS = sum(Action)
_ALL_WISHES = sum(Wish)

MACRO_STAGES = {CONNECT: 0, HELO: 1, MAIL: 2, RCPT: 3, DATA: 4, END_OF_MESSAGE: 5, END_OF_HEADER: 6}
"""Numbers of the stages whose macros a milter may choose (``SMFIM_*``)."""


class Negotiated(Struct, frozen=True):
    """
    What was agreed on.

    :ivar macros: names by the number of the stage, where the milter has chosen; braces as written.
    """

    version: int
    actions: Action
    wishes: Wish
    macros: dict[int, frozenset[bytes]]


def packet(command: bytes, data: bytes = b"") -> bytes:
    """One packet. ``data`` is not longer than ``MOST_DATA_OCTETS``."""
    return (len(data) + 1).to_bytes(4, "big") + command + data


def text(value: str | bytes, most: int = 4096) -> bytes:
    """A string with its NUL, which stands nowhere else in it; cut off after so many octets."""
    octets = value if isinstance(value, bytes) else value.encode("utf-8", "replace")
    return octets[:most].replace(b"\0", b"") + b"\0"


def offer() -> bytes:
    """The first packet: our version, and all that we can do."""
    return packet(OPTNEG, b"".join(number.to_bytes(4, "big") for number in (VERSION, _ALL_ACTIONS, _ALL_WISHES)))


def read_negotiated(data: bytes) -> Negotiated | str:
    """The answer to the offer; or why it is none. Whatever we have not offered is left out."""
    if len(data) < 12:
        return "the answer to the negotiation is too short"
    version, actions, wishes = (int.from_bytes(data[at : at + 4], "big") for at in (0, 4, 8))
    if not _OLDEST_VERSION <= version <= VERSION:
        return f"it speaks version {version} of the protocol"
    macros: dict[int, frozenset[bytes]] = {}
    at = 12
    while at + 4 < len(data):
        end = data.find(b"\0", at + 4)
        if end < 0:
            return "its choice of macros has no end"
        macros[int.from_bytes(data[at : at + 4], "big")] = frozenset(data[at + 4 : end].replace(b",", b" ").split())
        at = end + 1
    return Negotiated(version, Action(actions & _ALL_ACTIONS), Wish(wishes & _ALL_WISHES), macros)


def macros(command: bytes, values: Iterable[tuple[bytes, str]], chosen: frozenset[bytes] | None = None) -> bytes:
    """
    The packet of macros that goes before a command; nothing when there are none.

    :param chosen: only these, if the milter has said so.
    """
    data = b""
    for name, value in values:
        if chosen is not None and name not in chosen and name.strip(b"{}") not in chosen:
            continue
        pair = text(name) + text(value, 1024)
        if len(data) + len(pair) < MOST_DATA_OCTETS:
            data += pair
    return packet(MACRO, command + data) if data else b""


class PacketReader:
    """
    Cuts what a milter sends into packets.

    :ivar broken: why no more can be read; empty while all is well. Then nothing is kept.
    """

    __slots__ = ("_input", "broken")

    def __init__(self) -> None:
        self.broken = ""
        self._input = bytearray()

    def feed(self, octets: bytes) -> list[tuple[bytes, bytes]]:
        """Commands and data that are complete now."""
        if self.broken:
            return []
        waiting = self._input
        waiting += octets
        found: list[tuple[bytes, bytes]] = []
        at = 0
        while len(waiting) - at >= 5:
            size = int.from_bytes(waiting[at : at + 4], "big")
            if not 0 < size <= _MOST_PACKET_OCTETS:
                self._break(f"it has announced a packet of {size} octets")
                return found
            if len(waiting) - at < size + 4:
                break
            found.append((bytes(waiting[at + 4 : at + 5]), bytes(waiting[at + 5 : at + 4 + size])))
            at += size + 4
            if len(found) > _MOST_WAITING:
                self._break("it sends packets without end")
                return []
        del waiting[:at]
        return found

    def _break(self, why: str) -> None:
        self.broken = why
        self._input.clear()
