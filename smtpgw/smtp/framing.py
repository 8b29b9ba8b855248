"""
Cutting the input into command lines and content (RFC 5321 sections 2.3.8 and 4.1.1.4, RFC 3030 section 2).

Only CR LF ends a line, and only CR LF . CR LF ends content, or the number of octets that was
announced. Whatever the cuts of the network are, the result is the same. Content is searched in bulk, never by lines;
every reader holds back a few octets at most.
"""

import re
from enum import Enum

MAX_COMMAND_OCTETS = 2048
"""With CR LF. RFC 5321 section 4.5.3.1.4 asks for 512 and what the parameters of the extensions add."""


MAX_RESPONSE_OCTETS = 12288
"""Of a line in an AUTH exchange (RFC 4954 section 4), and of AUTH itself: clients send long tokens with it."""

_MAX_BEGINNING = 64


class Flaw(Enum):
    """What content may not have."""

    BARE_NEWLINE = "bare CR or LF"
    NUL = "NUL"


class CommandReader:
    """
    Takes lines from the front of a buffer.

    A line that is too long is dropped as it comes, and reported once, at its end.

    :ivar limit_octets: of a line, with CR LF. A line that starts with AUTH may always have ``MAX_RESPONSE_OCTETS``.
    :ivar beginning: some octets of the last line that was too long.
    """

    __slots__ = ("_skipping", "beginning", "limit_octets")

    def __init__(self) -> None:
        self.limit_octets = MAX_COMMAND_OCTETS
        self.beginning = b""
        self._skipping = False

    def read(self, octets: bytes, start: int) -> tuple[bytes | None, int]:
        """
        The next line without its CR LF, and where the rest starts.

        :returns: an empty line is ``b""``. ``None`` and an index greater than the one given, with CR LF right before
            it: a line was too long. ``None`` otherwise: no whole line is there; what is before the index is used up.
        """
        if not self._skipping:
            limit = start + self.limit_octets
            end = octets.find(b"\r\n", start, limit)
            if end >= 0:
                return octets[start:end], end + 2
            if len(octets) < limit:
                return None, start
            if octets[start : start + 5].upper() == b"AUTH ":
                limit = start + MAX_RESPONSE_OCTETS
                end = octets.find(b"\r\n", start, limit)
                if end >= 0:
                    return octets[start:end], end + 2
                if len(octets) < limit:
                    return None, start
            self.beginning = octets[start : start + _MAX_BEGINNING]
            self._skipping = True
        end = octets.find(b"\r\n", start)
        if end >= 0:
            self._skipping = False
            return None, end + 2
        # A CR at the end may be half of the line end.
        return None, len(octets) - 1 if octets.endswith(b"\r", start) else len(octets)

    @property
    def is_skipping(self) -> bool:
        """Whether it is inside a line that is too long."""
        return self._skipping


# Every CR that is not simply a line end: bare, or with a dot behind it.
_REMARKABLE = re.compile(rb"\r(?!\n(?!\.))")
_NEWLINE = re.compile(rb"\r\n|\r|\n")
_NOT_NEWLINE = bytes(octet for octet in range(256) if octet not in b"\r\n")
_END = b"\r\n.\r\n"


class ContentReader:
    """
    Reads the content of one message up to its end, takes off the dot-stuffing, and finds flaws.

    Invariants, at each call: the octets held back are empty or the longest end of the input so far that may be the
    beginning of CR LF . CR LF; they start with CR LF for the very first line, which the output then leaves out. No
    pattern that is searched for crosses from what was given out into what is held back.

    :ivar flaw: the first one found; nothing more is given out then.
    :ivar ended: the end was seen.
    :ivar size_octets: of the content so far, also what is not given out; line ends as received.
    """

    __slots__ = ("_held", "_leave_out", "_normalize", "ended", "flaw", "size_octets")

    def __init__(self, *, normalize: bool = False) -> None:
        """:param normalize: make bare CR and LF into CR LF and leave NUL out, instead of taking them for flaws."""
        self.flaw: Flaw | None = None
        self.ended = False
        self.size_octets = 0
        self._normalize = normalize
        self._held = b"\r\n"
        self._leave_out = 2

    def read(self, octets: bytes, start: int) -> tuple[bytes, int]:
        """
        Take input from an index on.

        :returns: content, and the index behind the end of content; the length of the input when it goes on.
        """
        held = self._held
        text = held + octets[start:]
        cut = _cut(text)
        pieces: list[bytes] = []
        begin = self._leave_out
        bare = False
        end = -1
        position = 0
        if self.flaw is not None:
            end = text.find(_END)
        else:
            # Nothing behind the cut decides about a CR before it, but for the CR LF that may end the content.
            while (match := _REMARKABLE.search(text, position, cut)) is not None:
                at = match.start()
                if text[at + 1 : at + 3] != b"\n.":
                    bare = True
                    position = at + 1
                    if self._normalize:
                        continue
                    end = text.find(_END, at)
                    break
                if text[at + 3 : at + 5] == b"\r\n":
                    end = at
                    break
                pieces.append(text[begin : at + 2])
                begin = position = at + 3
        if end >= 0:
            self.ended = True
            self._held = b""
            stop = end + 2
            next_index = start + end + 5 - len(held)
        else:
            stop = cut
            self._held = text[cut:]
            if cut:
                self._leave_out = 0
            next_index = len(octets)
        return self._checked(text, pieces, begin, stop, bare), next_index

    def _checked(self, text: bytes, pieces: list[bytes], begin: int, stop: int, bare: bool) -> bytes:
        """The content in ``pieces`` and from ``begin`` to ``stop``, if it has no flaw."""
        if self.flaw is None and not bare:
            # With no bare CR, every CR has its LF behind it: any other LF breaks the alternation.
            newlines = text[:stop].translate(None, _NOT_NEWLINE)
            bare = newlines != b"\r\n" * (len(newlines) >> 1)
        if self.flaw is not None or (bare and not self._normalize):
            self.flaw = self.flaw or Flaw.BARE_NEWLINE
            self.size_octets += max(0, stop - begin)
            return b""
        content = text[begin:stop]
        if pieces:
            pieces.append(content)
            content = b"".join(pieces)
        self.size_octets += len(content)
        if bare:
            content = _NEWLINE.sub(b"\r\n", content)
        if b"\0" in content:
            if not self._normalize:
                self.flaw = Flaw.NUL
                return b""
            content = content.replace(b"\0", b"")
        return content


class ChunkReader:
    """
    Reads the content of one message that comes in chunks, and finds flaws, also where they lie across chunks.

    There is no dot-stuffing. A message that does not end in CR LF gets one, so that what is kept always ends a line;
    one without any octet stays empty. At most one octet is held back: a CR at the end of what has come may be half of
    a line end, in the next chunk as well.

    :ivar ended: the last octet of the chunk was read.
    :ivar is_last: the chunk is the last one.
    :ivar chunk_octets: size of the chunk.
    :ivar flaw: the first one found; nothing more is given out then.
    :ivar size_octets: of the content that was read so far.
    """

    __slots__ = (
        "_ends_line",
        "_held",
        "_normalize",
        "_remaining",
        "chunk_octets",
        "ended",
        "flaw",
        "is_last",
        "size_octets",
    )

    def __init__(self, *, normalize: bool = False) -> None:
        """:param normalize: as with ``ContentReader``."""
        self.flaw: Flaw | None = None
        self.ended = True
        self.is_last = False
        self.chunk_octets = 0
        self.size_octets = 0
        self._normalize = normalize
        self._remaining = 0
        self._held = b""
        self._ends_line = True

    def begin(self, size_octets: int, *, is_last: bool) -> None:
        """A chunk of so many octets comes now. ``read`` must be called even if there are none."""
        self.chunk_octets = self._remaining = size_octets
        self.is_last = is_last
        self.ended = False

    def read(self, octets: bytes, start: int) -> tuple[bytes, int]:
        """
        Take input from an index on, never more than belongs to the chunk.

        :returns: content, and the index behind what was taken.
        """
        taken = min(self._remaining, len(octets) - start)
        stop = start + taken
        self._remaining -= taken
        self.size_octets += taken
        self.ended = not self._remaining
        if self.flaw is not None:
            return b"", stop
        text = self._held + octets[start:stop] if self._held else octets[start:stop]
        is_end = self.ended and self.is_last
        self._held = b""
        if not is_end and text.endswith(b"\r"):
            self._held = b"\r"
            text = text[:-1]
        return self._checked(text, is_end=is_end), stop

    def skip(self, octets: bytes, start: int) -> int:
        """Drop input from an index on; the index behind what was dropped."""
        taken = min(self._remaining, len(octets) - start)
        self._remaining -= taken
        self.ended = not self._remaining
        return start + taken

    def _checked(self, text: bytes, *, is_end: bool) -> bytes:
        pairs = text.count(b"\r\n")
        if text.count(b"\n") != pairs or text.count(b"\r") != pairs:
            if not self._normalize:
                self.flaw = Flaw.BARE_NEWLINE
                return b""
            text = _NEWLINE.sub(b"\r\n", text)
        if b"\0" in text:
            if not self._normalize:
                self.flaw = Flaw.NUL
                return b""
            text = text.replace(b"\0", b"")
        if text:
            self._ends_line = text.endswith(b"\r\n")
        if is_end and not self._ends_line:
            text += b"\r\n"
        return text


def _cut(text: bytes) -> int:
    """Where the part begins that must be held back."""
    if text.endswith(b"\r\n"):
        return len(text) - 2
    if text.endswith(b"\r"):
        return len(text) - (4 if text.endswith(b"\r\n.\r") else 1)
    if text.endswith(b"\r\n."):
        return len(text) - 3
    return len(text)
