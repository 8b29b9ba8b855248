"""
What reading an answer would cost, found out before it is read. Pure.

dnspython spends a microsecond on each label of each name, and a name of 120 labels is written again with a pointer of
two octets: 64 KiB over TCP from a zone that is made for it would stop the reactor for half a second, once for each of
its names that somebody writes mail to. This walks over the records without decoding them, a millisecond for 1,500, and
counts a name's labels once.
"""

import struct

MAX_ANSWER_RECORDS = 2_000
"""In all sections. No domain that means well has as many."""

MAX_ANSWER_LABELS = 20_000
"""Of all names of all records: 1,500 MX records with usual names have 10,000."""

_HEADER_OCTETS = 12
_MAX_JUMPS = 128

# Octets before the name in the data of the types whose data begin with one, or nearly.
_NAME_AT = {2: 0, 5: 0, 6: 0, 12: 0, 15: 2, 39: 0}  # NS CNAME SOA PTR MX DNAME


def is_affordable(wire: bytes) -> bool:
    """Whether an answer may be read. One that is cut off or loops is cheap: reading ends there."""
    if len(wire) < _HEADER_OCTETS:
        return True
    questions, *sections = struct.unpack_from("!4H", wire, 4)
    if questions > 1 or sum(sections) > MAX_ANSWER_RECORDS:
        return False
    known: dict[int, int] = {}
    work = 0
    at = _HEADER_OCTETS
    try:
        for _ in range(questions):
            _, at = _name(wire, at, known)
            at += 4
        for _ in range(sum(sections)):
            labels, at = _name(wire, at, known)
            work += labels
            record_type, length = struct.unpack_from("!H6xH", wire, at)
            at += 10
            name_at = _NAME_AT.get(record_type)
            if name_at is not None:
                work += _name(wire, at + name_at, known)[0]
            at += length
            if work > MAX_ANSWER_LABELS:
                return False
    except (IndexError, struct.error, RecursionError):
        return True
    return True


def _name(wire: bytes, at: int, known: dict[int, int]) -> tuple[int, int]:
    """The labels of a name, and where it ends. :raises IndexError: it is cut off, or no name."""
    start, labels, jumps, end = at, 0, 0, -1
    while True:
        length = wire[at]
        if length >= 0xC0:
            if end < 0:
                end = at + 2
            at = (length & 0x3F) << 8 | wire[at + 1]
            jumps += 1
            count = known.get(at)
            if count is not None:
                labels += count
                break
            if jumps > _MAX_JUMPS:
                raise IndexError
        elif length == 0:
            if end < 0:
                end = at + 1
            break
        else:
            labels += 1
            at += length + 1
    known[start] = labels
    if jumps:
        # Where the first pointer leads is asked for again by every record that has the same owner.
        target = (wire[end - 2] & 0x3F) << 8 | wire[end - 1]
        known.setdefault(target, labels)
    return labels, end
