"""Header sections as milters see and change them (RFC 5322 section 2.2)."""

import re
from collections.abc import Iterable, Sequence

from smtpgw.boundaries.filters import ChangeField, FieldEdit, InsertField

_FIELD = re.compile(rb"[!-9;-~]++[ \t]*+:[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_NAME = re.compile(rb"[!-9;-~]{1,200}\Z")
_LINE_ENDS = re.compile(rb"\r\n|\r|\n")

_MOST_LINE_OCTETS = 998
"""RFC 5322 section 2.1.1."""

_FOLD_OCTETS = 900


def split_header(header: bytes) -> tuple[tuple[bytes, ...], int]:
    """
    The fields of a header section, as they stand.

    :param header: line ends CR LF; the last may be missing.
    :returns: the fields, and how many octets they are: what follows is no field, and belongs to the body.
    """
    fields = []
    at = 0
    while match := _FIELD.match(header, at):
        fields.append(match[0])
        at = match.end()
    return tuple(fields), at


def name_and_value(field: bytes) -> tuple[bytes, bytes]:
    """Name, without blanks, and what stands behind the colon, without the last line end."""
    name, _, value = field.partition(b":")
    return name.rstrip(b" \t"), value.removesuffix(b"\n").removesuffix(b"\r")


def make_field(name: bytes, value: bytes) -> bytes | None:
    """
    A field from what a milter has said, or ``None`` when its name is none.

    Nothing in the value can end the field: each line but the first begins with a blank, empty lines are left out. Lines
    that are too long are folded.
    """
    if not _NAME.match(name):
        return None
    lines = [line for line in _LINE_ENDS.split(value.replace(b"\0", b"")) if line.strip(b" \t")] or [b""]
    # A field whose first line is empty begins on the next one; to keep that would gain nothing.
    first, *others = lines
    folded = _fold(name + b":" + first)
    for line in others:
        folded += _fold(line if line[:1] in (b" ", b"\t") else b"\t" + line)
    return b"\r\n".join(folded) + b"\r\n"


def _fold(line: bytes) -> list[bytes]:
    folded = []
    while len(line) > _MOST_LINE_OCTETS:
        at = max(line.rfind(b" ", 1, _FOLD_OCTETS), line.rfind(b"\t", 1, _FOLD_OCTETS))
        # A line of blanks alone would end the header for some readers.
        if at <= 0 or not line[:at].strip(b" \t") or line[:at].rstrip(b" \t").endswith(b":"):
            folded.append(line[:_FOLD_OCTETS])
            line = b"\t" + line[_FOLD_OCTETS:].lstrip(b" \t")
        else:
            folded.append(line[:at])
            line = line[at:]
    if line.strip(b" \t") or not folded:
        folded.append(line)
    return folded


def apply_edits(fields: Sequence[bytes], edits: Iterable[FieldEdit]) -> tuple[bytes, ...]:
    """The header section that comes out. What makes no sense changes nothing."""
    section = _Section(fields)
    for edit in edits:
        section.apply(edit)
    return tuple(section.fields)


class _Section:
    """Fields, and their names beside them: a list of names is searched much faster than the fields."""

    def __init__(self, fields: Sequence[bytes]) -> None:
        self.fields = list(fields)
        self._names = [name_and_value(field)[0].lower() for field in fields]

    def apply(self, edit: FieldEdit) -> None:
        if isinstance(edit, ChangeField) and edit.value is None:
            at = self._find(edit)
            if at is not None:
                del self.fields[at], self._names[at]
            return
        field = make_field(edit.name, edit.value or b"")
        if field is None:
            return
        last = len(self.fields)
        if isinstance(edit, InsertField):
            # Our Received field is the first of all, and not among these.
            at = last if edit.place is None else min(max(edit.place - 1, 0), last)
        else:
            at = self._find(edit)
            if at is not None:
                self.fields[at] = field
                return
            at = last
        if self.fields and not self.fields[-1].endswith(b"\r\n"):
            # Content in chunks may end in the middle of a line, and so may a header without a body.
            self.fields[-1] = self.fields[-1].rstrip(b"\r\n") + b"\r\n"
        self.fields.insert(at, field)
        self._names.insert(at, edit.name.lower())

    def _find(self, edit: ChangeField) -> int | None:
        name, at = edit.name.lower(), -1
        try:
            for _ in range(max(edit.number, 1)):
                at = self._names.index(name, at + 1)
        except ValueError:
            return None
        return at
