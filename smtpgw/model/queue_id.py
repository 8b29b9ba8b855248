"""
Queue ids: time-ordered numbers of 63 bits, written in 13 characters.

41 bits of milliseconds since 2020, 10 bits of node, 12 bits of sequence. Unique without asking anybody, ordered by time
(the spool only appends), and readable on the telephone: Crockford's base32 has no I, L, O or U.
"""

_EPOCH_MILLISECONDS = 1_577_836_800_000
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_VALUES.update({"O": 0, "I": 1, "L": 1})
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_LENGTH = 13


def queue_id_text(queue_id: int) -> str:
    """The id in 13 characters, as in the reply, the log and the command."""
    pairs = _PAIRS
    return (
        _ALPHABET[queue_id >> 60]
        + pairs[queue_id >> 50 & 1023]
        + pairs[queue_id >> 40 & 1023]
        + pairs[queue_id >> 30 & 1023]
        + pairs[queue_id >> 20 & 1023]
        + pairs[queue_id >> 10 & 1023]
        + pairs[queue_id & 1023]
    )


def parse_queue_id(text: str) -> int:
    """
    The id that was written.

    Lower case and the letters O, I and L are understood.

    :raises ValueError: when it can't be an id.
    """
    if len(text) != _LENGTH:
        raise ValueError("a queue id has 13 characters")
    number = 0
    for character in text.upper():
        try:
            number = number << 5 | _VALUES[character]
        except KeyError:
            raise ValueError("a queue id has only digits and letters") from None
    if number >= 1 << 63:
        raise ValueError("too large for a queue id")
    return number


class QueueIds:
    """
    Makes ids for one node.

    Never repeats one and never goes back, also when the clock does: the sequence then runs on.
    """

    def __init__(self, node: int = 0, last: int = 0) -> None:
        """
        :param node: 0 to 1023.
        :param last: an id that the next ones must exceed: the highest in the spool.
        """
        self._node = (node & 1023) << 12
        self._tick = last >> 22
        self._sequence = 4095 if last else 0

    def next(self, now: float) -> int:
        """:param now: Unix time."""
        tick = int(now * 1000) - _EPOCH_MILLISECONDS
        if tick > self._tick:
            self._tick = tick
            self._sequence = 0
        elif self._sequence < 4095:
            self._sequence += 1
        else:
            self._tick += 1
            self._sequence = 0
        return self._tick << 22 | self._node | self._sequence
