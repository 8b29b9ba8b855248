"""
The file of what greylisting remembers: how it is opened, read, written, kept small, and put aside when it is broken.

All of it blocks: it is called at the start and in threads. Nothing in it is worth a failed start. A file that can't be
read is put aside as ``greylist.db.damaged`` (one such file at most) and an empty one begun; what that costs is another
delay for those who had passed.
"""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from smtpgw.boundaries.triplets import Known, Triplet, TripletTrouble
from smtpgw.spool import trouble
from smtpgw.spool.errors import SpoolUnusable

FILE = "greylist.db"
DAMAGED = "greylist.db.damaged"

_APPLICATION_ID = 0x736D7467
_VERSION = 1
_FULL_CHECK_OCTETS = 512 << 20
_TRIM_PARTS = 100
_LEAST_TRIM = 1_000

_TABLES = (
    """CREATE TABLE triplet(
        key BLOB PRIMARY KEY, first_at REAL NOT NULL, last_at REAL NOT NULL, passes INTEGER NOT NULL,
        expires_at REAL NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX triplet_expires_at ON triplet(expires_at)",
)

_PRAGMAS = (
    # Not synced at each commit: a power cut may take the last seconds, never the whole.
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "journal_size_limit=16777216",
    "cache_size=-8192",
    "temp_store=MEMORY",
    "trusted_schema=0",
)

Log = Callable[[str], None]
Connect = Callable[[Path], sqlite3.Connection]


def connect_triplets(path: Path) -> sqlite3.Connection:
    """A connection to a file that is there; used by one thread at a time."""
    return sqlite3.connect(
        path.absolute().as_uri() + "?mode=rw", uri=True, isolation_level=None, check_same_thread=False, timeout=5.0
    )


class TripletFile:
    """One open file. Its methods may be called in any thread; they take turns."""

    def __init__(self, folder: Path, log: Log, *, most: int, connect: Connect = connect_triplets) -> None:
        """
        Open it, or begin it.

        :param folder: of the spool, which is there and locked.
        :param log: takes a line for the operator; called in any thread.
        :param most: triplets; a hundredth more, and at least a thousand, may be there for a while.
        :raises SpoolUnusable: when no file can be had there at all.
        """
        self._path = folder.absolute() / FILE
        self._log = log
        self._most = most
        self._connect = connect
        self._lock = Lock()
        self._written = 0
        self._is_closed = False
        try:
            self._connection = self._open()
        except (sqlite3.Error, OSError) as error:
            raise SpoolUnusable(f"{self._path} can't be opened: {_cause(error)}") from error

    def read(self, keys: Sequence[bytes]) -> Known:
        """
        One for each key, also expired ones.

        :raises TripletTrouble: when it can't be read now.
        """
        with self._lock:
            try:
                self._check_open()
                return tuple(self._row(key) for key in keys)
            except sqlite3.Error as error:
                if self._is_replaced(error):
                    return (None,) * len(keys)
                raise TripletTrouble(_cause(error)) from error

    def write(self, triplets: dict[bytes, Triplet], now: float) -> None:
        """
        Write them, in one transaction, and drop what has expired or is too much.

        :raises TripletTrouble: when that is impossible; nothing is written then.
        """
        with self._lock:
            try:
                self._check_open()
                self._write(triplets, now)
            except sqlite3.Error as error:
                with suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                if not self._is_replaced(error):
                    raise TripletTrouble(_cause(error)) from error

    def close(self) -> None:
        """Close it; what is asked for afterwards is trouble."""
        with self._lock:
            self._is_closed = True
            with suppress(sqlite3.Error):
                self._connection.close()

    def _check_open(self) -> None:
        if self._is_closed:
            raise TripletTrouble("the file is closed")

    def _row(self, key: bytes) -> Triplet | None:
        found = self._connection.execute(
            "SELECT first_at, last_at, passes, expires_at FROM triplet WHERE key=?", (key,)
        ).fetchone()
        return None if found is None else Triplet(*found)

    def _write(self, triplets: dict[bytes, Triplet], now: float) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(
            "INSERT OR REPLACE INTO triplet VALUES(?, ?, ?, ?, ?)",
            [(key, one.first_at, one.last_at, one.passes, one.expires_at) for key, one in triplets.items()],
        )
        self._written += len(triplets)
        if self._written >= max(_LEAST_TRIM, self._most // _TRIM_PARTS):
            self._trim(now)
        connection.execute("COMMIT")

    def _trim(self, now: float) -> None:
        # Twice what came in goes out at most: the file shrinks, and nobody waits for a million rows to be deleted.
        most, self._written = 2 * self._written, 0
        connection = self._connection
        (rows,) = connection.execute("SELECT count(*) FROM triplet").fetchone()
        (expired,) = connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM triplet WHERE expires_at<=? LIMIT ?)", (now, most)
        ).fetchone()
        # What has expired expires first, so it is all among those.
        going = min(most, max(expired, rows - self._most))
        if going > 0:
            connection.execute(
                "DELETE FROM triplet WHERE key IN (SELECT key FROM triplet ORDER BY expires_at LIMIT ?)", (going,)
            )

    # --- Opening, and beginning anew ---

    def _is_replaced(self, error: sqlite3.Error) -> bool:
        """Whether the file was damaged, and an empty one stands in its place now."""
        if not trouble.is_damage(error):
            return False
        with suppress(sqlite3.Error):
            self._connection.close()
        try:
            self._put_aside(_cause(error))
            self._connection = self._open_sound()
        except (sqlite3.Error, OSError, _Unsound) as again:
            self._log(f"{self._path} can't be begun anew: {again}")
            return False
        return True

    def _open(self) -> sqlite3.Connection:
        try:
            return self._open_sound()
        except _Unsound as unsound:
            self._put_aside(str(unsound))
        except sqlite3.Error as error:
            if not trouble.is_damage(error):
                raise
            self._put_aside(_cause(error))
        try:
            return self._open_sound()
        except _Unsound as unsound:
            raise OSError(str(unsound)) from unsound

    def _open_sound(self) -> sqlite3.Connection:
        # Nobody else may read who writes to whom; a link in its place is not followed.
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        connection = self._connect(self._path)
        try:
            for pragma in _PRAGMAS:
                connection.execute("PRAGMA " + pragma)
            self._check(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check(self, connection: sqlite3.Connection) -> None:
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if not tables and not application and not version:
            connection.execute("BEGIN IMMEDIATE")
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA application_id={_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version={_VERSION}")
            connection.execute("COMMIT")
            return
        if (application, version) != (_APPLICATION_ID, _VERSION):
            raise _Unsound(f"it is of version {version} of application {application:x}")
        if self._path.stat().st_size <= _FULL_CHECK_OCTETS:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise _Unsound(str(found))
        # A file that is sound, but has another table, fails here and not in the middle of a session.
        try:
            connection.execute("SELECT key, first_at, last_at, passes, expires_at FROM triplet LIMIT 1").fetchone()
        except sqlite3.OperationalError as error:
            raise _Unsound(_cause(error)) from error

    def _put_aside(self, why: str) -> None:
        aside = self._path.with_name(DAMAGED)
        self._path.replace(aside)
        for suffix in ("-wal", "-shm"):
            self._path.with_name(FILE + suffix).unlink(missing_ok=True)
        self._log(f"the greylist {self._path} can't be used ({why}); it was put aside as {aside}, and a new one begun")


class _Unsound(Exception):
    """The file is a data base, but not a sound one of ours."""


def _cause(error: BaseException) -> str:
    if isinstance(error, sqlite3.Error):
        return trouble.of_database(error).cause
    return trouble.of_disk(error).cause if isinstance(error, OSError) and error.errno else str(error)
