"""Finding the end of a header section in content that streams by (RFC 5322 section 2.1)."""

import re

# The beginning of a line, up to where it is certain: a name and no colon behind it, or no name at all. Possessive: each
# octet is looked at once.
_NO_FIELD = rb"(?:[!-9;-~]++[\t ]*+[^:]|[^!-9;-~\t ])"
_FIRST_LINE = re.compile(_NO_FIELD)
_NEXT_LINE = re.compile(rb"\r\n" + _NO_FIELD)


class HeaderScan:
    """
    Collects the header section of one message, bounded.

    Content goes in as it comes, cut anywhere, line ends CR LF. Costs one search in each piece until the empty line is
    found, nothing after it.

    Content need not have an empty line, nor a header at all. Where the section would be too large, it ends before the
    first line that is neither a field (name, blanks, colon) nor a continuation, if there is one in the limit; lines are
    looked at in no other case. What is found depends on the content alone, not on its cuts.

    :ivar done: the section is complete, or too large.
    :ivar too_large: it is longer than the limit; ``header`` is then its beginning, whole lines only.
    """

    def __init__(self, limit_octets: int) -> None:
        """:param limit_octets: most octets of the header section, its last CR LF counted, the empty line not."""
        self.done = False
        self.too_large = False
        self._limit = limit_octets
        self._pieces: list[bytes] = []
        self._size = 0
        # The last octets before the next piece: the empty line may lie across a cut. Content may start with it.
        self._tail = b"\r\n"

    def feed(self, piece: bytes) -> None:
        """Take the next piece of the content."""
        if self.done or not piece:
            return
        at = (self._tail + piece[:3]).find(b"\r\n\r\n")
        if at >= 0:
            self._end(piece, at + 2 - len(self._tail))
            return
        at = piece.find(b"\r\n\r\n")
        if at >= 0:
            self._end(piece, at + 2)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        self._tail = (self._tail + piece[-3:])[-3:]
        # Three octets more may turn out to be the empty line and half of it.
        if self._size > self._limit + 3:
            self._overflow()

    def close(self) -> None:
        """The content is over: without an empty line all of it is header."""
        if not self.done:
            self.done = True
            if self._size > self._limit:
                self._overflow()

    @property
    def header(self) -> bytes:
        """What was found so far: CR LF at the end of each line, without the empty line."""
        return self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)

    def _end(self, piece: bytes, end: int) -> None:
        """:param end: index in the piece behind the last header line's CR LF; negative: it lies in pieces before."""
        self.done = True
        self._pieces.append(piece[:end] if end > 0 else b"")
        if end < 0:
            whole = b"".join(self._pieces)
            self._pieces = [whole[:end] if len(whole) > -end else b""]
        self._size = sum(map(len, self._pieces))
        if self._size > self._limit:
            self._overflow()

    def _overflow(self) -> None:
        self.done = True
        # In all cases there is this much of it.
        kept = b"".join(self._pieces)[: self._limit + 1]
        if _FIRST_LINE.match(kept):
            self._pieces = [b""]
            return
        line = _NEXT_LINE.search(kept)
        if line is not None:
            self._pieces = [kept[: line.start() + 2]]
            return
        self.too_large = True
        kept = kept[: self._limit]
        self._pieces = [kept[: kept.rfind(b"\r\n") + 2] if b"\r\n" in kept else b""]
