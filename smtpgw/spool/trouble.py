"""Exceptions of the disk and of SQLite as trouble, and the one place that knows whether the spool is well."""

import errno
import os
import sqlite3
from collections.abc import Callable
from enum import Enum
from threading import Lock

from smtpgw.boundaries.spool import SpoolTrouble

_NO_SPACE = frozenset([errno.ENOSPC, errno.EDQUOT])
_DAMAGE = frozenset([sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB])

CLOSED = SpoolTrouble(full=False, cause="the spool is closed")


class Part(Enum):
    """What can fail alone."""

    DATABASE = "database"
    BODIES = "bodies"


class Health:
    """
    What the threads of a spool know of its disk. Written by them, read in the reactor's thread.

    A part that failed is well again when anything was written there; one that was full, only when a probe found room
    enough: one small message that still fits means nothing.

    :ivar trouble: of one of the parts; ``None`` when all is well.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """:param say: takes a line for the operator when trouble begins or ends; called in any thread."""
        self.trouble: SpoolTrouble | None = None
        self._by_part: dict[Part, SpoolTrouble] = {}
        self._say = say
        self._lock = Lock()

    def fails(self, part: Part, found: SpoolTrouble) -> None:
        """Something failed there."""
        with self._lock:
            begins = self.trouble is None
            self._by_part[part] = found
            self.trouble = found
        if begins:
            self._say(f"the spool does not take messages: {found.cause}")

    def works(self, part: Part) -> None:
        """Something was durably written there. Cheap when there was no trouble."""
        if self.trouble is not None:
            self._ends([part], even_full=False)

    def has_room(self) -> None:
        """A probe of all parts went well."""
        if self.trouble is not None:
            self._ends(list(Part), even_full=True)

    def _ends(self, parts: list[Part], *, even_full: bool) -> None:
        with self._lock:
            for part in parts:
                found = self._by_part.get(part)
                if found is not None and (even_full or not found.full):
                    del self._by_part[part]
            self.trouble = next(iter(self._by_part.values()), None)
            ends = self.trouble is None
        if ends:
            self._say("the spool takes messages again")


def of_disk(error: OSError) -> SpoolTrouble:
    """The trouble that an exception of the operating system means."""
    number = error.errno or 0
    return SpoolTrouble(
        full=number in _NO_SPACE, cause=f"{errno.errorcode.get(number, 'OSError')}: {os.strerror(number)}"
    )


def of_database(error: sqlite3.Error) -> SpoolTrouble:
    """The trouble that an exception of SQLite means."""
    full = _primary_code(error) == sqlite3.SQLITE_FULL
    return SpoolTrouble(full=full, cause=f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}")


def is_damage(error: sqlite3.Error) -> bool:
    """Whether the database file itself is broken, and not the disk or the question."""
    return _primary_code(error) in _DAMAGE


def _primary_code(error: sqlite3.Error) -> int:
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return 0 if code is None else code & 0xFF
