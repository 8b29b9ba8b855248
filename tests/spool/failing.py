"""Disks that are slow, full or failing, as a test wants them."""

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

from smtpgw.spool.bodies import Files
from smtpgw.spool.schema import connect_writer


class Plenty:
    """A file system with room."""

    f_bavail = 1 << 60
    f_frsize = 4096


class SlowFiles(Files):
    """Writes nothing until it may."""

    def __init__(self) -> None:
        self.go = threading.Event()

    def write(self, descriptor: int, piece: bytes) -> None:
        self.go.wait(20)
        super().write(descriptor, piece)


class FailingFiles(Files):
    """Fails in the calls that are named, with that error."""

    def __init__(self) -> None:
        self.failing: dict[str, int] = {}

    def _may_fail(self, call: str) -> None:
        if call in self.failing:
            raise OSError(self.failing[call], os.strerror(self.failing[call]))

    def create(self, path: Path) -> int:
        self._may_fail("create")
        return super().create(path)

    def write(self, descriptor: int, piece: bytes) -> None:
        self._may_fail("write")
        super().write(descriptor, piece)

    def read(self, descriptor: int, offset: int, most: int) -> bytes:
        self._may_fail("read")
        return super().read(descriptor, offset, most)

    def sync(self, descriptor: int) -> None:
        self._may_fail("sync")
        super().sync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        self._may_fail("sync_folder")
        super().sync_folder(folder)


class Disk:
    """Connections that fail as told, from the next statement on."""

    def __init__(self) -> None:
        self.most_pages = 1 << 20
        self.failing_commits = 0
        self.commits_tried = 0
        self.opened = 0
        self.openable = True
        self.reserve: Path | None = None

    def has_space(self) -> bool:
        """Plenty of it when what was held back is spent."""
        return self.reserve is not None and not self.reserve.exists()

    def connect(self, path: Path) -> Any:
        self.opened += 1
        if not self.openable and not self.has_space():
            raise _error("SQLITE_FULL", sqlite3.SQLITE_FULL)
        return _Connection(self, connect_writer(path))


class _Connection:
    def __init__(self, disk: Disk, connection: sqlite3.Connection) -> None:
        self._disk = disk
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> Any:
        if statement.startswith("BEGIN"):
            most = 1 << 20 if self._disk.has_space() else self._disk.most_pages
            self._connection.execute(f"PRAGMA max_page_count={most}")
        if statement == "COMMIT":
            self._disk.commits_tried += 1
            if self._disk.failing_commits:
                self._disk.failing_commits -= 1
                raise _error("SQLITE_IOERR_FSYNC", sqlite3.SQLITE_IOERR_FSYNC)
        return self._connection.execute(statement, *values)


def _error(name: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk error")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error
