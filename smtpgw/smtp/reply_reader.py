"""
Replies of a next hop, from octets (RFC 5321 section 4.2).

Strict about what decides (three digits, 2 to 5 at their head, the same on every line), bounded in every direction, and
lenient about what doesn't: a line may end with LF alone, a code may stand without text. No second reader disagrees
with us about a reply, so a lone LF can smuggle nothing here.
"""

import re
from functools import lru_cache

from smtpgw.model.reply import Reply

MAX_LINE_OCTETS = 2048
"""RFC 5321 section 4.5.3.1.5 says 512; some hosts write novels."""

MAX_LINES = 100
MAX_REPLY_OCTETS = 65536

_LINE = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
_STATUS = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?: |\Z)")


class BadReply(Exception):
    """The peer sent what is no reply. The text is for people, control characters escaped."""


class ReplyReader:
    """Collects octets and gives whole replies. Costs linear time however the octets are cut."""

    __slots__ = ("_buffer", "_code", "_lines", "_octets", "_scan", "_start")

    def __init__(self) -> None:
        self._buffer = b""
        self._start = 0
        self._scan = 0
        self._code = b""
        self._lines: list[bytes] = []
        self._octets = 0

    @property
    def is_pending(self) -> bool:
        """Whether octets are left that no reply given so far was made of."""
        return self._start < len(self._buffer) or bool(self._lines)

    def feed(self, octets: bytes) -> None:
        """Take octets as they came. Read with ``next`` until it gives ``None`` before feeding more."""
        if self._start == len(self._buffer):
            self._buffer = octets
            self._scan = 0
        else:
            # An unfinished line: at most MAX_LINE_OCTETS of it are carried over.
            self._scan -= self._start
            self._buffer = self._buffer[self._start :] + octets
        self._start = 0

    def next(self) -> Reply | None:
        """
        The next whole reply, ``None`` when more octets are needed.

        :raises BadReply: and the reader is of no more use.
        """
        buffer = self._buffer
        while True:
            start = self._start
            end = buffer.find(b"\n", self._scan)
            if end < 0:
                self._scan = len(buffer)
                if len(buffer) - start > MAX_LINE_OCTETS:
                    raise BadReply("a line of a reply is too long")
                return None
            self._start = self._scan = end + 1
            line = buffer[start:end]
            if line.endswith(b"\r"):
                line = line[:-1]
            if len(line) > MAX_LINE_OCTETS:
                raise BadReply("a line of a reply is too long")
            if not self._lines and (reply := _one_line(line)) is not None:
                return reply
            if self._take(line):
                return self._finish()

    def _take(self, line: bytes) -> bool:
        """Add a line to the reply; True when it was its last."""
        match = _LINE.match(line)
        if match is None:
            raise BadReply(f"not a reply: {line[:60].decode('latin-1')!a}")
        code, separator, text = match.groups()
        if not self._lines:
            self._code = code
        elif code != self._code:
            raise BadReply(f"two codes in one reply: {self._code.decode()} and {code.decode()}")
        self._lines.append(text or b"")
        self._octets += len(line)
        if len(self._lines) > MAX_LINES or self._octets > MAX_REPLY_OCTETS:
            raise BadReply("a reply is too long")
        return separator != b"-"

    def _finish(self) -> Reply:
        texts = [line.decode("utf-8", "replace") for line in self._lines]
        self._lines.clear()
        self._octets = 0
        return _reply(int(self._code), texts)


@lru_cache(maxsize=512)
def _one_line(line: bytes) -> Reply | None:
    """A reply of one line; ``None`` if it isn't one. Hosts say the same few lines all day, hence the cache."""
    match = _LINE.match(line)
    if match is None:
        return None
    code, separator, text = match.groups()
    if separator == b"-":
        return None
    return _reply(int(code), [(text or b"").decode("utf-8", "replace")])


def _reply(code: int, texts: list[str]) -> Reply:
    """With the enhanced status taken off every line that bears it (RFC 2034 section 4)."""
    match = _STATUS.match(texts[0])
    if match is None or int(match.group(1)) != code // 100:
        return Reply(code, "", tuple(texts))
    head = match.group(0)
    status = head.rstrip(" ")
    return Reply(code, status, tuple(_without(text, status) for text in texts))


def _without(text: str, status: str) -> str:
    if text == status:
        return ""
    return text[len(status) + 1 :] if text.startswith(status + " ") else text
