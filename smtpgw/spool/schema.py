"""
The database file: its tables, how it is opened, brought up to date, checked, and put aside when it is broken.

A row of ``message`` is never updated, so a change of state never rewrites a content. Everything that changes, and
everything that is listed or recovered, stands in ``delivery``, which is clustered by message and holds no content: no
question but ``fetch`` reads a page with content, and no second index has to be kept.
"""

import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from smtpgw.spool import trouble
from smtpgw.spool.errors import SpoolFull, SpoolIncompatible, SpoolUnusable
from smtpgw.spool.folder import BODIES, DATABASE, sync_folder

APPLICATION_ID = 0x736D7470
VERSION = 1

Migrations = Mapping[int, Callable[[sqlite3.Connection], None]]

MIGRATIONS: Migrations = {}
"""By version: what brings a database of that version to the next one, inside a transaction that others began."""

Connect = Callable[[Path], sqlite3.Connection]

_TABLES = (
    """CREATE TABLE message(
        id INTEGER PRIMARY KEY, size_octets INTEGER NOT NULL, body_file TEXT, record BLOB NOT NULL, content BLOB)""",
    "CREATE INDEX message_body_file ON message(body_file) WHERE body_file IS NOT NULL",
    """CREATE TABLE delivery(
        message INTEGER NOT NULL, slot INTEGER NOT NULL, state INTEGER NOT NULL, due_at REAL NOT NULL,
        attempts INTEGER NOT NULL, expires_at REAL NOT NULL, warned INTEGER NOT NULL, received_at REAL NOT NULL,
        reverse_path TEXT NOT NULL, recipient TEXT NOT NULL, domain TEXT NOT NULL, reason TEXT NOT NULL, last BLOB,
        PRIMARY KEY(message, slot)) WITHOUT ROWID""",
)

_PRAGMAS = (
    "page_size=4096",
    "auto_vacuum=INCREMENTAL",
    "journal_mode=WAL",
    "synchronous=FULL",
    # The writer runs checkpoints itself, after it has given the answers; this is the net below it.
    "wal_autocheckpoint=16384",
    "secure_delete=0",
    "cache_size=-32768",
    "temp_store=MEMORY",
    "foreign_keys=0",
    "trusted_schema=0",
)

_FULL_CHECK_OCTETS = 512 << 20
"""Up to here the whole file is checked at the start (0.4 s per GB from memory, the disk's speed otherwise)."""

_WAIT_SECONDS = 5.0


def connect_writer(path: Path) -> sqlite3.Connection:
    """The writing connection. Used by one thread at a time. An empty file becomes a database, without tables."""
    connection = sqlite3.connect(
        path.absolute().as_uri() + "?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_WAIT_SECONDS,
    )
    try:
        for pragma in _PRAGMAS:
            connection.execute("PRAGMA " + pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that can't write."""
    return sqlite3.connect(
        path.absolute().as_uri() + "?mode=ro",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_WAIT_SECONDS,
    )


def open_database(
    folder: Path,
    log: Callable[[str], None],
    stamp: str,
    connect: Connect = connect_writer,
    migrations: Migrations = MIGRATIONS,
) -> sqlite3.Connection:
    """
    The writing connection to a sound database of this version. The caller holds the lock.

    A broken one is put aside together with the body files, and an empty one begun.

    :param stamp: goes into the names of what is put aside.
    :raises SpoolFull: when there is no space.
    :raises SpoolUnusable: when the disk does not do it.
    :raises SpoolIncompatible: when the file is somebody else's, or of a version that can't be brought up.
    """
    path = folder / DATABASE
    try:
        if not path.exists() and (folder / BODIES).exists():
            # Else the sweep would take every content for one that a crash has left.
            log(f"{path} is gone, but not its body files: they were put aside as {_put_aside(folder, stamp)}")
        try:
            return _open_sound(path, connect, migrations, log)
        except _Broken as broken:
            aside = _put_aside(folder, stamp)
            log(
                f"THE SPOOL DATABASE IS DAMAGED ({broken}). It and its body files were put aside as {aside}, and an"
                f" empty one begun. The messages in it are NOT delivered until somebody recovers them"
            )
            return _open_sound(path, connect, migrations, log)
    except (sqlite3.Error, OSError) as error:
        found = trouble.of_disk(error) if isinstance(error, OSError) else trouble.of_database(error)
        kind = SpoolFull if found.full else SpoolUnusable
        raise kind(f"the spool {folder} can't be opened: {found.cause}") from error


def check_version(connection: sqlite3.Connection) -> None:
    """
    For readers, which bring nothing up to date.

    :raises SpoolIncompatible: when the database is not exactly of this version.
    """
    application, version = _identity(connection)
    if application != APPLICATION_ID:
        raise SpoolIncompatible(f"{DATABASE} was not written by smtpgw")
    if version != VERSION:
        raise SpoolIncompatible(f"{DATABASE} has version {version} of the format, this program reads version {VERSION}")


def create_tables(connection: sqlite3.Connection) -> None:
    """The tables of this version, into an empty database."""
    for table in _TABLES:
        connection.execute(table)


class _Broken(Exception):
    """The file is no sound database."""


def _open_sound(path: Path, connect: Connect, migrations: Migrations, log: Callable[[str], None]) -> sqlite3.Connection:
    path.touch(mode=0o600)
    sync_folder(path.parent)
    connection: sqlite3.Connection | None = None
    try:
        # Asked by a connection that can't write: switching to WAL would change a file that is not ours.
        connection = connect_reader(path)
        application, version = _identity(connection)
        is_new = application == 0 and version == 0 and not _has_tables(connection)
        connection.close()
        if not is_new and application != APPLICATION_ID:
            raise SpoolIncompatible(f"{path} was not written by smtpgw")
        connection = connect(path)
        if is_new:
            _create(connection)
        else:
            _check(connection, path, log)
            _migrate(connection, version, path, migrations, log)
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        if trouble.is_damage(error):
            raise _Broken(str(error)) from error
        raise
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _identity(connection: sqlite3.Connection) -> tuple[int, int]:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return application, version


def _has_tables(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None


def _create(connection: sqlite3.Connection) -> None:
    # One transaction: a crash leaves an empty file, never half a schema.
    connection.execute("BEGIN IMMEDIATE")
    create_tables(connection)
    connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version={VERSION}")
    connection.execute("COMMIT")


def _check(connection: sqlite3.Connection, path: Path, log: Callable[[str], None]) -> None:
    if path.stat().st_size <= _FULL_CHECK_OCTETS:
        question = "PRAGMA quick_check(1)"
    else:
        question = "PRAGMA quick_check('delivery')"
        log(f"{path} is large: only the table of deliveries was checked")
    (answer,) = connection.execute(question).fetchone()
    if answer != "ok":
        raise _Broken(answer.splitlines()[-1])


def _migrate(
    connection: sqlite3.Connection, version: int, path: Path, migrations: Migrations, log: Callable[[str], None]
) -> None:
    if version > VERSION:
        raise SpoolIncompatible(
            f"{path} has version {version} of the format, this program writes version {VERSION}: use a newer smtpgw"
        )
    while version < VERSION:
        step = migrations.get(version)
        if step is None:
            raise SpoolIncompatible(
                f"{path} has version {version} of the format, which this program can't bring to version {VERSION}"
            )
        connection.execute("BEGIN IMMEDIATE")
        try:
            step(connection)
            connection.execute(f"PRAGMA user_version={version + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        version += 1
        log(f"{path} was brought to version {version} of the format")


def _put_aside(folder: Path, stamp: str) -> str:
    """Out of the way, with a name that nobody sweeps. The WAL goes along: it may hold the newest messages."""
    tail = f".damaged-{stamp}"
    number = 1
    while any((folder / (name + tail)).exists() for name in (DATABASE, BODIES)):
        number += 1
        tail = f".damaged-{stamp}-{number}"
    for name in (DATABASE, BODIES):
        if (folder / name).exists():
            (folder / name).rename(folder / (name + tail))
    wal = folder / (DATABASE + "-wal")
    if wal.exists():
        wal.rename(folder / f"{DATABASE}{tail}-wal")
    (folder / (DATABASE + "-shm")).unlink(missing_ok=True)
    sync_folder(folder)
    return f"*{tail}"
