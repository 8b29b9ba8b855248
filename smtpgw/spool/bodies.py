"""
Contents: those in memory, and those with a file of their own.

A file is written under its final name: it counts only once a row names it, so nothing has to be renamed, and what no
row names is swept at the next start.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from smtpgw.spool.folder import sync_folder

_WAYS = 256
"""Folders that the files are spread over, one each second, so that the files of one batch share a folder to sync."""

_TRIES = 100


class InlineBody:
    """Content in memory."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        self._content = content

    @property
    def size_octets(self) -> int:
        """Its length."""
        return len(self._content)

    def inline(self) -> bytes:
        """All of it."""
        return self._content

    def open(self) -> BinaryIO:
        """A stream over it; does not block."""
        return BytesIO(self._content)


class FileBody:
    """Content in a file. A stream that is open goes on when the message leaves the spool."""

    __slots__ = ("_path", "_size_octets")

    def __init__(self, path: Path, size_octets: int) -> None:
        self._path = path
        self._size_octets = size_octets

    @property
    def size_octets(self) -> int:
        """Its length."""
        return self._size_octets

    def inline(self) -> None:
        """Not in memory."""
        return

    def open(self) -> BinaryIO:
        """:raises OSError: when the file can't be opened, or is gone."""
        return self._path.open("rb")


class Files:
    """The calls that write body files, so that a test can let each of them fail. All of them block."""

    def create(self, path: Path) -> int:
        """
        A descriptor of a new file, and its folder if need be.

        :raises FileExistsError: when there is one.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(path, flags, 0o600)
        except FileNotFoundError:
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, exist_ok=True)
                sync_folder(folder.parent)
            return os.open(path, flags, 0o600)

    def write(self, descriptor: int, piece: bytes) -> None:
        """All of a piece."""
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def read(self, descriptor: int, offset: int, most: int) -> bytes:
        """What stands there; fewer octets at the end only."""
        pieces = []
        while most > 0 and (piece := os.pread(descriptor, most, offset)):
            pieces.append(piece)
            offset += len(piece)
            most -= len(piece)
        return b"".join(pieces)

    def sync(self, descriptor: int) -> None:
        """Make the content durable."""
        os.fsync(descriptor)

    def close(self, descriptor: int) -> None:
        """Also after an error."""
        os.close(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Make the names durable."""
        sync_folder(folder)

    def unlink(self, path: Path) -> None:
        """Also if it isn't there."""
        path.unlink(missing_ok=True)


class BodyFiles:
    """Names files, and finds those that nobody knows."""

    def __init__(self, root: Path, files: Files, now: Callable[[], float]) -> None:
        """
        :param root: the folder of all of them.
        :param now: Unix time; goes into the names.
        """
        self.root = root
        self.files = files
        self._now = now
        self._number = 0

    def create(self) -> tuple[str, int]:
        """
        The name, relative to the root, and descriptor of a new file.

        :raises OSError: when it can't be made.
        """
        now = self._now()
        for attempt in range(_TRIES):
            self._number += 1
            name = f"{int(now) % _WAYS:02x}/{int(now * 1000):x}.{self._number:x}"
            try:
                return name, self.files.create(self.root / name)
            except FileExistsError:
                # The clock has gone back to where an earlier run stood.
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError

    def path(self, name: str) -> Path:
        """Where a name leads."""
        return self.root / name

    def sweep(self, known: Iterable[str]) -> tuple[int, list[str]]:
        """
        Unlink what no row names: a crash left it. Only when the rows are all there.

        :returns: how many were unlinked, and the known names that have no file.
        """
        missing = set(known)
        swept = 0
        for name in list(self._names()):
            if name in missing:
                missing.discard(name)
            else:
                self.files.unlink(self.root / name)
                swept += 1
        return swept, sorted(missing)

    def _names(self) -> Iterator[str]:
        if not self.root.is_dir():
            return
        for folder in self.root.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                for path in folder.iterdir():
                    if not path.is_dir() or path.is_symlink():
                        yield f"{folder.name}/{path.name}"
