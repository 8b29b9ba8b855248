"""
Drafts: content on its way in, gathered in memory and, when it gets large, written to a file by a thread.

Memory is bounded twice: by draft (a piece being gathered, and what the thread has not written yet) and over all drafts.
Beyond the second bound every draft goes to its file, piece by piece as it comes, and its writer waits for each.
"""

from collections.abc import Callable

from smtpgw.boundaries.spool import Body, SpoolTrouble
from smtpgw.spool.bodies import InlineBody
from smtpgw.spool.files import BodyLane, Discard, DraftFile, Finish, Piece, Read, Rewrite

_PIECE_OCTETS = 64 * 1024
OVER = SpoolTrouble(full=False, cause="the draft is over")

_UNWRITTEN_OCTETS = 1 << 20
"""Of one draft; beyond it the writer waits until half of it is on its way to the disk."""


class Memory:
    """
    What all drafts of a spool hold in memory. Touched in the reactor's thread only.

    :ivar held: octets.
    :ivar limit: octets.
    """

    __slots__ = ("held", "limit")

    def __init__(self, limit: int) -> None:
        self.held = 0
        self.limit = limit


class SpoolDraft:
    """See ``Draft`` in :mod:`smtpgw.boundaries.spool`. Its methods are called in the reactor's thread."""

    __slots__ = (
        "_content",
        "_file",
        "_inline_limit",
        "_lane",
        "_memory",
        "_over",
        "_paused",
        "_resume",
        "_unwritten",
        "size_octets",
    )

    def __init__(self, lane: BodyLane, memory: Memory, inline_limit: int, resume: Callable[[], None]) -> None:
        self.size_octets = 0
        # One piece is kept as it came; more are gathered, or a peer that sends single octets would cost an object each.
        self._content: bytes | bytearray = b""
        self._file: DraftFile | None = None
        self._inline_limit = inline_limit
        self._lane = lane
        self._memory = memory
        self._over = False
        self._paused = False
        self._resume = resume
        self._unwritten = 0

    def write(self, data: bytes) -> bool:
        """See ``Draft.write``."""
        if self._over or not data:
            return not self._paused
        memory = self._memory
        memory.held += len(data)
        self.size_octets += len(data)
        if not self._content:
            self._content = data
        elif isinstance(self._content, bytearray):
            self._content += data
        else:
            self._content = bytearray(self._content)
            self._content += data
        if self._file is None:
            if self.size_octets <= self._inline_limit and memory.held <= memory.limit:
                return True
            self._file = DraftFile()
        if len(self._content) >= _PIECE_OCTETS or memory.held > memory.limit:
            self._hand_over(self._file)
        if self._unwritten > _UNWRITTEN_OCTETS or (memory.held > memory.limit and self._unwritten):
            self._paused = True
        return not self._paused

    def read(self, offset: int, most: int, done: Callable[[bytes | SpoolTrouble], None]) -> None:
        """See ``Draft.read``."""
        if self._over:
            done(OVER)
        elif self._file is None:
            done(bytes(self._content[offset : offset + most]))
        else:
            self._hand_over(self._file)
            self._lane.put(Read(self._file, offset, most, done))

    def rewrite(self, head: bytes, cut: int, body: bytes | None = None) -> None:
        """See ``Draft.rewrite``."""
        if self._over:
            return
        memory = self._memory
        if self._file is None:
            content = head + (bytes(self._content[cut:]) if body is None else body)
            memory.held += len(content) - len(self._content)
            self._content = content
            self.size_octets = len(content)
            if self.size_octets > self._inline_limit:
                self._file = DraftFile()
                self._hand_over(self._file)
            return
        self._hand_over(self._file)
        self.size_octets = len(head) + (max(self.size_octets - cut, 0) if body is None else len(body))
        step = Rewrite(self._file, head, cut, body, self._written)
        memory.held += step.octets
        self._unwritten += step.octets
        self._lane.put(step)

    def discard(self) -> None:
        """See ``Draft.discard``."""
        if self._over:
            return
        self._over = True
        self._memory.held -= len(self._content)
        self._content = b""
        if self._file is not None:
            self._lane.put(Discard(self._file))

    def finish(self) -> Finish | tuple[Body, bytes]:
        """
        The content is whole; nothing is written any more.

        :returns: either it is in memory, and here it is, or the last step of its file, which the caller gives an
            operation and puts into the lane.
        :raises RuntimeError: when it was discarded or finished before.
        """
        if self._over:
            raise RuntimeError("the draft is over")
        self._over = True
        if self._file is None:
            content = bytes(self._content)
            self._content = b""
            return InlineBody(content), content
        self._hand_over(self._file)
        return Finish(self._file, self.size_octets)

    def _hand_over(self, file: DraftFile) -> None:
        piece = bytes(self._content)
        self._content = b""
        if piece:
            self._unwritten += len(piece)
            self._lane.put(Piece(file, piece, self._written))

    def _written(self, octets: int) -> None:
        """In the reactor's thread: a piece is out of memory."""
        self._memory.held -= octets
        self._unwritten -= octets
        if self._paused and self._unwritten <= _UNWRITTEN_OCTETS // 2:
            self._paused = False
            if not self._over:
                self._resume()
