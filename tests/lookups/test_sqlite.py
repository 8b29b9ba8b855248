"""Recipients in an SQLite file."""

import sqlite3
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.question import Question, Source
from smtpgw.lookups.sqlite import SqlitePlace, SqliteTable, read_sqlite_url
from smtpgw.model.domains import LookupTrouble
from tests.contracts.source import DOMAIN, RECIPIENTS, MemoryThreads, SourceContract
from tests.lookups.rig import waited


class SqliteTests(SourceContract, SynchronousTestCase):
    """What is in a table is known."""

    def setUp(self) -> None:
        """A file, its name as bad as can be."""
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = (folder / "us?e%rs #1.db").absolute()
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute("CREATE TABLE recipients (address TEXT PRIMARY KEY, local BLOB)")
            for local in RECIPIENTS:
                row = (Question(local, DOMAIN).address, local)
                connection.execute("INSERT INTO recipients VALUES (?, ?)", row)

    def source(self, query: str, **more) -> SqliteTable:
        """With a query."""
        return SqliteTable(SqlitePlace(self.path, query), Lane(MemoryThreads()), **more)

    def make_source(self) -> Source:
        """With the usual query."""
        return self.source(read_sqlite_url("sqlite:x", Path("/")).query)

    def make_broken_source(self) -> Source:
        """The file is not there."""
        return SqliteTable(read_sqlite_url("sqlite:nothing.db", self.path.parent), Lane(MemoryThreads()))

    def test_not_made(self) -> None:
        """Asking for a file that isn't there does not make one."""
        self.failureResultOf(waited(self.make_broken_source()(Question("a", "b"))), LookupTrouble)
        self.assertFalse((self.path.parent / "nothing.db").exists())

    def test_replaced(self) -> None:
        """A new file in the place of the old one is seen at once."""
        source = self.make_source()
        self.assertTrue(self.ask(source, "alice"))
        self.path.unlink()
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("CREATE TABLE recipients (address TEXT)")
        self.assertFalse(self.ask(source, "alice"))

    def test_read_only(self) -> None:
        """Nothing can be written."""
        source = self.source("WITH x AS (SELECT 1) INSERT INTO recipients SELECT :local, 1 FROM x")
        failure = self.failureResultOf(waited(source(Question("new", DOMAIN))), LookupTrouble)
        self.assertIn("readonly", str(failure.value))

    def test_endless(self) -> None:
        """A query without an end is stopped."""
        times = iter(range(1_000_000))
        source = self.source(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
            "SELECT 1 FROM n WHERE i < 0 AND :local <> ''",
            monotonic=lambda: float(next(times)),
        )
        failure = self.failureResultOf(waited(source(Question("a", DOMAIN))), LookupTrouble)
        self.assertIn("interrupted", str(failure.value))

    def test_two_statements(self) -> None:
        """One statement, and no second behind it."""
        source = self.source("SELECT 1 WHERE :local <> ''; SELECT 2")
        self.failureResultOf(waited(source(Question("a", DOMAIN))), LookupTrouble)

    def test_check(self) -> None:
        """A query that doesn't fit is told at the start; a file that is not there yet is no mistake."""
        self.assertEqual(
            SqliteTable(read_sqlite_url("sqlite:x", self.path.parent), Lane(MemoryThreads())).check()[-12:],
            "is not there",
        )
        self.assertEqual(self.source("SELECT 1 FROM recipients WHERE address = :address").check(), "")
        for query in (
            "SELECT 1 FROM users WHERE a = :local",
            "SELECT 1 FORM x WHERE :local",
            "SELECT 1 WHERE :local; SELECT 1",
        ):
            self.assertRaises(ValueError, self.source(query).check)

    def test_check_other_file(self) -> None:
        """A file of another kind is told."""
        self.path.write_bytes(b"alice\n" * 1000)
        self.assertRaises(ValueError, self.source("SELECT 1 WHERE :local <> ''").check)


class UrlTests(SynchronousTestCase):
    """What the configuration says."""

    def test_paths(self) -> None:
        """From the folder of the configuration, or absolute."""
        for written, path in (
            ("sqlite:users.db", "/etc/gw/users.db"),
            ("sqlite:/var/users.db", "/var/users.db"),
            ("sqlite:///var/users.db", "/var/users.db"),
        ):
            self.assertEqual(read_sqlite_url(written, Path("/etc/gw")).path, Path(path))

    def test_wrong(self) -> None:
        """No path, a host, or something else behind the question mark."""
        for written in ("sqlite:", "sqlite://host/users.db", "sqlite:users.db?mode=rw", "sqlite:?query=SELECT :local"):
            self.assertRaises(ValueError, read_sqlite_url, written, Path("/"))
