"""What a milter says: rulings about a step, and changes at the end of a message. Read here, and bounded."""

import re
from enum import Enum

from msgspec import Struct

from smtpgw.boundaries.filters import ChangeField, FieldEdit, InsertField
from smtpgw.milter import codec
from smtpgw.milter.codec import Action, Wish
from smtpgw.model.reply import Reply, reply


class Ruling(Enum):
    """A plain answer to a step."""

    CONTINUE = codec.CONTINUE
    ACCEPT = codec.ACCEPT
    DISCARD = codec.DISCARD
    SKIP = codec.SKIP


class Refused(Struct, frozen=True, gc=False):
    """:ivar reply: what the client hears."""

    reply: Reply


class Broken(Struct, frozen=True, gc=False):
    """It does not speak the protocol; the connection is of no more use. :ivar cause: for the log."""

    cause: str


Answer = Ruling | Refused | Broken

REJECTED = Refused(reply(550, "5.7.1", "Refused by policy"))
DELAYED = Refused(reply(451, "4.7.1", "Not now, try again later"))
SHUT_DOWN = Refused(reply(421, "4.7.1", "Not now, try again later"))

_RULINGS: dict[bytes, Answer] = {
    **{ruling.value: ruling for ruling in Ruling},
    codec.REJECT: REJECTED,
    codec.TEMPORARY_FAILURE: DELAYED,
    codec.SHUTDOWN: SHUT_DOWN,
    codec.CONNECTION_FAILED: Broken("it says that its own connection has failed"),
}

_LINE = re.compile(r"([45][0-9]{2})(?:[ -]([45]\.[0-9]{1,3}\.[0-9]{1,3})(?=[ ]|\Z))?[ -]?(.*)", re.DOTALL)
_UNPRINTABLE = re.compile(r"[^ -~]")
_MOST_LINES = 20
_MOST_LINE_OCTETS = 400


def read_ruling(command: bytes, data: bytes) -> Answer | None:
    """An answer to a step; ``None`` when it is none."""
    if command == codec.REPLY_CODE:
        return _read_reply(data)
    return _RULINGS.get(command)


def _read_reply(data: bytes) -> Answer:
    """A reply of the milter's own: code, enhanced status, text; several lines are written as in SMTP."""
    lines: list[str] = []
    code = status = ""
    words = data.partition(b"\0")[0][: _MOST_LINES * 1000].decode("utf-8", "replace")
    for line in words.split("\n")[:_MOST_LINES]:
        match = _LINE.match(line.removesuffix("\r"))
        if match is None or (code and match[1] != code):
            return Broken("its reply code is none of 4xx and 5xx")
        code = match[1]
        status = status or match[2] or ""
        # sendmail has a milter write %% for %, and turns that back.
        lines.append(_UNPRINTABLE.sub("?", match[3].replace("%%", "%"))[:_MOST_LINE_OCTETS])
    if not status or status[0] != code[0]:
        status = f"{code[0]}.7.1"
    if not any(lines):
        lines = ["Refused by policy" if code[0] == "5" else "Not now, try again later"]
    return Refused(Reply(int(code), status, tuple(line or "-" for line in lines)))


class PathEdit(Struct, frozen=True, gc=False):
    """
    A change of the envelope, not yet read.

    :ivar path: with or without angle brackets.
    :ivar parameters: as behind a path in SMTP.
    """

    command: bytes
    path: bytes
    parameters: bytes = b""


class QuarantineEdit(Struct, frozen=True, gc=False):
    """Hold the message. :ivar reason: printable."""

    reason: str


class BodyEdit(Struct, frozen=True, gc=False):
    """A piece of the new body."""

    octets: bytes


Edit = FieldEdit | PathEdit | QuarantineEdit | BodyEdit

_NEEDED = {
    codec.ADD_FIELD: Action.ADD_FIELDS,
    codec.INSERT_FIELD: Action.ADD_FIELDS,
    codec.CHANGE_FIELD: Action.CHANGE_FIELDS,
    codec.REPLACE_BODY: Action.CHANGE_BODY,
    codec.ADD_RECIPIENT: Action.ADD_RECIPIENTS,
    codec.ADD_RECIPIENT_WITH_PARAMETERS: Action.ADD_RECIPIENTS_WITH_PARAMETERS,
    codec.REMOVE_RECIPIENT: Action.REMOVE_RECIPIENTS,
    codec.CHANGE_SENDER: Action.CHANGE_SENDER,
    codec.QUARANTINE: Action.QUARANTINE,
}


def read_edit(command: bytes, data: bytes, actions: Action, wishes: Wish) -> Edit | Broken | None:  # noqa: PLR0911 one for each kind
    """
    A change at the end of a message; ``None`` when it is none.

    :param actions: those that were agreed on; any other is ``Broken``.
    """
    needed = _NEEDED.get(command)
    if needed is None:
        return None
    if not actions & needed:
        return Broken("it makes a change that was not agreed on")
    if command == codec.REPLACE_BODY:
        return BodyEdit(data)
    if command in (codec.INSERT_FIELD, codec.CHANGE_FIELD):
        place, data = int.from_bytes(data[:4], "big"), data[4:]
    else:
        place = 0
    words = data.split(b"\0")
    # Each string has its end, so that the last piece is nothing.
    if len(words) < 2 or words.pop():
        return Broken("a change that it makes is cut off")
    if command == codec.QUARANTINE:
        return QuarantineEdit(_UNPRINTABLE.sub("?", words[0].decode("utf-8", "replace"))[:_MOST_LINE_OCTETS])
    if command in (codec.ADD_FIELD, codec.INSERT_FIELD, codec.CHANGE_FIELD):
        if len(words) < 2:
            return Broken("a field that it changes has no value")
        name, value = words[0], words[1]
        if command == codec.CHANGE_FIELD and not value:
            return ChangeField(name, place, None)
        if not wishes & Wish.LEADING_SPACE:
            value = b" " + value
        if command == codec.CHANGE_FIELD:
            return ChangeField(name, place, value)
        return InsertField(name, value, place if command == codec.INSERT_FIELD else None)
    return PathEdit(command, words[0], words[1] if len(words) > 1 else b"")
