"""The database file: begun, recognized, checked, and put aside when it is broken."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.spool import records, schema
from smtpgw.spool.errors import SpoolIncompatible, SpoolUnusable
from smtpgw.spool.schema import connect_writer, open_database
from tests.spool.examples import SpoolTestCase, example_entry

LARGE = bytes(1 << 18)


class _Base(SpoolTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.path = self.folder / "spool.db"

    def run_sql(self, statement: str) -> None:
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.execute(statement)
        connection.close()

    def filled(self, messages: int = 50) -> None:
        """A spool with messages in it, closed."""
        spool = self.open_spool()
        for queue_id in range(1, messages + 1):
            self.add(spool, example_entry(queue_id), bytes(3000))
        self.add(spool, example_entry(messages + 1), LARGE)
        self.close(spool)


class NewTests(_Base):
    """A new database."""

    def test_pragmas(self) -> None:
        """Each commit is synced, and the file says whose it is."""
        self.open_spool()
        connection = connect_writer(self.path)
        self.addCleanup(connection.close)
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "page_size", "auto_vacuum", "application_id", "user_version")
        }
        self.assertEqual(
            found,
            {
                "journal_mode": "wal",
                "synchronous": 2,
                "page_size": 4096,
                "auto_vacuum": 2,
                "application_id": schema.APPLICATION_ID,
                "user_version": schema.VERSION,
            },
        )

    def test_crash_before_the_tables(self) -> None:
        """An empty file, which a crash at the very first start may leave, becomes a spool."""
        self.folder.mkdir()
        self.path.touch()
        spool = self.open_spool()
        self.assertNotIsInstance(self.add(spool, example_entry(1)), SpoolTrouble)

    def test_plans(self) -> None:
        """No question that is asked for each message reads a whole table, and recovery needs no sorting."""
        self.open_spool()
        connection = schema.connect_reader(self.path)
        self.addCleanup(connection.close)

        def plan(statement: str, *values: object) -> str:
            return "; ".join(row[3] for row in connection.execute("EXPLAIN QUERY PLAN " + statement, values))

        for statement, values in (
            (records.UPDATE_DELIVERY, 7),
            (records.UPDATE_WARNED, 2),
            (records.DELETE_DELIVERY, 1),
            (records.DELETE_MESSAGE, 1),
            (records.SELECT_DELIVERIES, 1),
        ):
            found = plan(statement, *[0] * values)
            self.assertTrue(found.startswith("SEARCH"), (statement, found))
            self.assertNotIn("TEMP B-TREE", found)
        self.assertNotIn("TEMP B-TREE", plan(records.SELECT_WAITING))


class VersionTests(_Base):
    """Only what this program wrote, in a version it knows, is touched."""

    def test_somebody_elses(self) -> None:
        """A database of another program is left alone."""
        self.folder.mkdir()
        self.run_sql("CREATE TABLE theirs(x)")
        before = self.path.read_bytes()
        refused = self.assertRaises(SpoolIncompatible, self.open_spool)
        self.assertIn("was not written by smtpgw", str(refused))
        self.assertEqual(self.path.read_bytes(), before)

    def test_newer(self) -> None:
        """A spool of a newer version is not opened, and stays as it is."""
        self.filled(1)
        self.run_sql(f"PRAGMA user_version={schema.VERSION + 1}")
        self.assertIn("use a newer smtpgw", str(self.assertRaises(SpoolIncompatible, self.open_spool)))
        self.run_sql(f"PRAGMA user_version={schema.VERSION}")
        self.assertEqual(self.open_spool().messages, 2)

    def test_older_without_a_way(self) -> None:
        """A version that can't be brought up is not opened."""
        self.filled(1)
        self.run_sql("PRAGMA user_version=0")
        self.assertIn("can't bring", str(self.assertRaises(SpoolIncompatible, self.open_spool)))

    def test_migration(self) -> None:
        """An older version is brought up, in one transaction; one that fails leaves the old version."""
        self.filled(1)
        self.run_sql("PRAGMA user_version=0")

        def fails(connection: sqlite3.Connection) -> None:
            connection.execute("CREATE TABLE half(x)")
            raise sqlite3.OperationalError("no")

        def works(connection: sqlite3.Connection) -> None:
            connection.execute("CREATE TABLE whole(x)")

        def migrate(step: Callable[[sqlite3.Connection], None]) -> None:
            open_database(self.folder, self.lines.append, "stamp", migrations={0: step}).close()

        self.assertRaises(SpoolUnusable, migrate, fails)
        migrate(works)
        connection = schema.connect_reader(self.path)
        self.addCleanup(connection.close)
        names = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type='table'")}
        self.assertEqual(names, {"message", "delivery", "whole"})
        schema.check_version(connection)
        self.assertIn("brought to version 1", self.lines[-1])


class DamageTests(_Base):
    """A broken database does not keep the gateway from taking mail, and is kept for whoever can save something."""

    def assert_put_aside(self, *, bodies: bool = True) -> None:
        before = {path.name for path in self.folder.iterdir()}
        spool = self.open_spool()
        self.assertEqual(spool.messages, 0)
        self.assertNotIsInstance(self.add(spool, example_entry(1)), SpoolTrouble)
        aside = {path.name for path in self.folder.iterdir()} - before
        self.assertIn("spool.db.damaged-20270115T080000Z", aside)
        if bodies:
            self.assertEqual(len(list(self.folder.glob("bodies.damaged-20270115T080000Z/*/*"))), 1)
        self.assertTrue(any("DAMAGED" in line and "*.damaged-2027" in line for line in self.lines))
        # Nor does the next start sweep what was put aside.
        self.close(spool)
        self.open_spool()
        self.assertTrue({path.name for path in self.folder.iterdir()} >= aside - {"spool.db-wal", "spool.db-shm"})

    def test_no_database(self) -> None:
        """Something else stands in the file."""
        self.folder.mkdir()
        self.path.write_bytes(b"From MAILER-DAEMON\n" * 1000)
        self.assert_put_aside(bodies=False)

    def test_broken_pages(self) -> None:
        """Pages in the middle were overwritten."""
        self.filled()
        with self.path.open("r+b") as file:
            for page in range(2, 30):
                file.seek(page * 4096)
                file.write(b"\xff" * 512)
        self.assert_put_aside()

    def test_cut_short(self) -> None:
        """The end of the file is missing."""
        self.filled()
        os.truncate(self.path, 20 * 4096)
        self.assert_put_aside()

    def test_database_is_gone(self) -> None:
        """Somebody has deleted the database: its body files are not swept, but put aside."""
        self.filled(1)
        for path in self.folder.glob("spool.db*"):
            path.unlink()
        self.close(self.open_spool())
        self.open_spool()
        self.assertEqual(len(list(self.folder.glob("bodies.damaged-*/*/*"))), 1)
        self.assertIn("is gone, but not its body files", self.lines[0])

    def test_twice_in_a_second(self) -> None:
        """A second broken database does not overwrite the first that was put aside."""
        self.folder.mkdir()
        for _ in range(2):
            self.path.write_bytes(b"x" * 10_000)
            self.close(self.open_spool())
        names = sorted(path.name for path in self.folder.glob("spool.db.damaged-*"))
        self.assertEqual(names, ["spool.db.damaged-20270115T080000Z", "spool.db.damaged-20270115T080000Z-2"])

    def test_unreadable_is_not_damage(self) -> None:
        """A disk that does not answer is no reason to begin anew."""
        self.filled(1)

        def connect(path: Path) -> sqlite3.Connection:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

        self.assertRaises(SpoolUnusable, self.open_spool, connect=connect)
        self.assertEqual(list(self.folder.glob("*.damaged-*")), [])
        self.assertEqual(self.open_spool().messages, 2)

    def test_large_database(self) -> None:
        """Of a very large database only the deliveries are checked, and the log says so."""
        self.filled(1)
        self.patch(schema, "_FULL_CHECK_OCTETS", 1000)
        self.open_spool()
        self.assertIn("only the table of deliveries was checked", self.lines[-1])
