"""
On which line of a TOML text each key stands.

``tomllib`` says only where the syntax breaks. This walks over a text that ``tomllib`` has accepted already, so it need
not judge anything: it only finds keys, skips values and counts lines. Linear in the text.
"""

import re
import tomllib
from collections.abc import Iterator

Path = tuple[str | int, ...]
"""Keys and, within arrays, indexes from 0."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRINGS = (
    # Longest delimiters first. A multi-line string may end in up to two more of its quotes.
    re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"""(?:"{1,2}(?!"))?', re.DOTALL),
    re.compile(r"'''(?:[^']|'(?!''))*'''(?:'{1,2}(?!'))?", re.DOTALL),
    re.compile(r'"(?:[^"\\\n]|\\.)*"'),
    re.compile(r"'[^'\n]*'"),
)
_SCALAR = re.compile(r"[^,\]}\n#]+")


def key_lines(text: str) -> dict[Path, int]:
    """
    Line (from 1) of every table header, key and array element.

    :param text: accepted by ``tomllib``. For any other text the answer is incomplete, but comes all the same.
    """
    walk = _Walk(text)
    walk.document()
    return walk.lines


class _Walk:
    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.lines: dict[Path, int] = {}
        self._counted_to = 0
        self._line = 1
        self._arrays: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK) < len(self.text):
            start = self.position
            if self.text.startswith("[[", start):
                self.position += 2
                table = self._array_table()
                self._past("]]")
            elif self.text[start] == "[":
                self.position += 1
                table = self._resolve(self._dotted())
                self._note(table)
                self._past("]")
            else:
                self._assignment(table)
            if self.position == start:
                return

    def _array_table(self) -> Path:
        keys = self._dotted()
        array = (*self._resolve(keys[:-1]), *keys[-1:])
        self._note(array)
        index = self._arrays.get(array, -1) + 1
        self._arrays[array] = index
        self._note((*array, index))
        return (*array, index)

    def _resolve(self, keys: tuple[str, ...]) -> Path:
        """Header keys name the last element of each array of tables on their way."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _assignment(self, table: Path) -> None:
        path = table
        for key in self._dotted():
            path = (*path, key)
            self._note(path)
        self._skip(_SPACE)
        self._past("=")
        self._skip(_SPACE)
        self._value(path)

    def _value(self, path: Path) -> None:
        character = self.text[self.position : self.position + 1]
        if character == "[":
            for index in self._elements("]"):
                self._note((*path, index))
                self._value((*path, index))
        elif character == "{":
            for _ in self._elements("}"):
                self._assignment(path)
        elif character in {'"', "'"}:
            self._string()
        else:
            self._skip(_SCALAR)

    def _elements(self, end: str) -> Iterator[int]:
        """Stop at the start of each element of an array or an inline table, then go past its end."""
        self.position += 1
        index = 0
        while self._skip(_BLANK) < len(self.text) and not self.text.startswith(end, self.position):
            before = self.position
            yield index
            index += 1
            self._skip(_BLANK)
            self._past(",")
            if self.position == before:
                return
        self._past(end)

    def _dotted(self) -> tuple[str, ...]:
        keys: list[str] = []
        while True:
            self._skip(_SPACE)
            if self.text[self.position : self.position + 1] in {'"', "'"}:
                keys.append(_unquoted(self._string()))
            else:
                start = self.position
                keys.append(self.text[start : self._skip(_BARE_KEY)])
            self._skip(_SPACE)
            if not self.text.startswith(".", self.position):
                return tuple(keys)
            self.position += 1

    def _string(self) -> str:
        for pattern in _STRINGS:
            match = pattern.match(self.text, self.position)
            if match:
                self.position = match.end()
                return match[0]
        self.position = len(self.text)
        return ""

    def _skip(self, pattern: re.Pattern[str]) -> int:
        match = pattern.match(self.text, self.position)
        if match:
            self.position = match.end()
        return self.position

    def _past(self, mark: str) -> None:
        if self.text.startswith(mark, self.position):
            self.position += len(mark)

    def _note(self, path: Path) -> None:
        self._line += self.text.count("\n", self._counted_to, self.position)
        self._counted_to = self.position
        self.lines.setdefault(path, self._line)


def _unquoted(literal: str) -> str:
    try:
        return str(tomllib.loads(f"key = {literal}")["key"])
    except tomllib.TOMLDecodeError:
        return literal
