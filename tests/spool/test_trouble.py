"""Exceptions as trouble, and the state of health."""

import errno
import os
import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.spool import trouble
from smtpgw.spool.trouble import Health, Part

_FULL = SpoolTrouble(full=True, cause="full")
_BROKEN = SpoolTrouble(full=False, cause="broken")


def _database_error(code: int, name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("text")
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


class MeaningTests(SynchronousTestCase):
    """Which trouble an exception means."""

    def test_disk(self) -> None:
        """No space or quota left is full (452), all else is a failure (451)."""
        for number, full in ((errno.ENOSPC, True), (errno.EDQUOT, True), (errno.EIO, False), (errno.EACCES, False)):
            found = trouble.of_disk(OSError(number, os.strerror(number), "/path"))
            self.assertEqual(found.full, full)
            self.assertIn(errno.errorcode[number], found.cause)
        self.assertFalse(trouble.of_disk(OSError()).full)

    def test_database(self) -> None:
        """Likewise for SQLite, whose extended codes count by their kind; damage is its own matter."""
        full = _database_error(sqlite3.SQLITE_FULL, "SQLITE_FULL")
        failed = _database_error(sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC")
        damaged = _database_error(sqlite3.SQLITE_CORRUPT | 1 << 8, "SQLITE_CORRUPT_VTAB")
        errors = (full, failed, damaged, sqlite3.ProgrammingError("closed"))
        self.assertEqual([trouble.of_database(error).full for error in errors], [True, False, False, False])
        self.assertEqual([trouble.is_damage(error) for error in errors], [False, False, True, False])
        self.assertEqual(trouble.of_database(failed).cause, "SQLITE_IOERR_FSYNC: text")


class HealthTests(SynchronousTestCase):
    """Trouble of each part begins and ends by itself, and the operator hears of it once."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        self.health = Health(self.lines.append)

    def test_failure_ends_with_a_success(self) -> None:
        """What failed and works again is well, when it is the same part."""
        self.health.fails(Part.DATABASE, _BROKEN)
        self.health.fails(Part.DATABASE, _BROKEN)
        self.health.works(Part.BODIES)
        self.assertEqual(self.health.trouble, _BROKEN)
        self.health.works(Part.DATABASE)
        self.assertIsNone(self.health.trouble)
        self.assertEqual(len(self.lines), 2)

    def test_full_ends_with_a_probe(self) -> None:
        """One small message that fits does not mean that there is room."""
        self.health.fails(Part.DATABASE, _FULL)
        self.health.works(Part.DATABASE)
        self.assertEqual(self.health.trouble, _FULL)
        self.health.has_room()
        self.assertIsNone(self.health.trouble)

    def test_two_parts(self) -> None:
        """It is well when both are."""
        self.health.fails(Part.BODIES, _FULL)
        self.health.fails(Part.DATABASE, _BROKEN)
        self.health.works(Part.DATABASE)
        self.assertEqual((self.health.trouble, len(self.lines)), (_FULL, 1))
        self.health.has_room()
        self.health.has_room()
        self.assertEqual((self.health.trouble, len(self.lines)), (None, 2))
