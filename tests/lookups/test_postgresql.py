"""Recipients in PostgreSQL: URLs, and what is done with connections. A real server is asked in tests/integration."""

from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.postgresql import PostgresqlTable, read_postgresql_url
from smtpgw.lookups.question import Question
from smtpgw.lookups.sql import DEFAULT_QUERY
from smtpgw.model.domains import LookupTrouble
from tests.contracts.source import STRANGERS, MemoryThreads
from tests.lookups.rig import waited


class _NeedsLibrary(SynchronousTestCase):
    def setUp(self) -> None:
        """Only with psycopg."""
        try:
            import psycopg
        except ImportError:
            raise SkipTest("psycopg is not installed") from None
        self.psycopg: Any = psycopg


class UrlTests(_NeedsLibrary):
    """What the configuration says."""

    def test_parts(self) -> None:
        """The query is ours, all before it is libpq's."""
        place = read_postgresql_url(
            "postgresql://u@h1,h2:5433/db?sslmode=require&query=SELECT 1 FROM t WHERE l = :local"
        )
        self.assertEqual(place.conninfo, "postgresql://u@h1,h2:5433/db?sslmode=require")
        self.assertEqual(place.query, "SELECT 1 FROM t WHERE l = :local")
        self.assertEqual(read_postgresql_url("postgresql://h/db").query, DEFAULT_QUERY)

    def test_secrets(self) -> None:
        """Passwords are known as such wherever they stand, and not in what is printed of a configuration."""
        for url in (
            "postgresql://u:secret@h/db",
            "postgresql://h/db?password=secret",
            "postgresql://h/db?sslmode=require&sslpassword=secret",
        ):
            place = read_postgresql_url(url)
            self.assertEqual(place.secrets, ("secret",))
            self.assertNotIn("secret", repr(place))

    def test_wrong(self) -> None:
        """What libpq doesn't know is told, and no password with it."""
        for url in (
            "postgresql:db",
            "postgresql://u:secret@h/db?colour=red",
            "postgresql://u:secret@h/db?query=DROP x :local",
        ):
            self.assertNotIn("secret", str(self.assertRaises(ValueError, read_postgresql_url, url)))


class _Connection:
    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.closed = False
        self.asked: list[tuple[str, Any]] = []

    def execute(self, query: str, values: Any = None) -> "_Connection":
        """Note it."""
        if self.error is not None:
            raise self.error
        self.asked.append((query, values))
        return self

    def fetchone(self) -> None:
        """Nobody."""

    def close(self) -> None:
        """Note it."""
        self.closed = True


class QueryTests(_NeedsLibrary):
    """What the server gets."""

    def source(self, *connections: _Connection) -> PostgresqlTable:
        """Its connections, one after the other."""
        source = PostgresqlTable(read_postgresql_url("postgresql://h/db"), Lane(MemoryThreads()))
        left = iter(connections)
        self.patch(self.psycopg, "connect", lambda **_: next(left))
        return source

    def test_parameters(self) -> None:
        """The text of the query is always the same; what is in an address goes beside it."""
        connection = _Connection()
        source = self.source(connection)
        for local in STRANGERS:
            self.assertFalse(self.successResultOf(waited(source(Question(local, "ours.example")))))
        self.assertEqual(
            {query for query, _ in connection.asked[2:]}, {"SELECT 1 FROM recipients WHERE address = %(address)s"}
        )
        self.assertEqual([values["local"] for _, values in connection.asked[2:]], list(STRANGERS))

    def test_limits(self) -> None:
        """Every connection has a limit of time and may not write."""
        connection = _Connection()
        self.successResultOf(waited(self.source(connection)(Question("a", "b"))))
        self.assertEqual(
            [query for query, _ in connection.asked[:2]],
            ["SET statement_timeout = 5000", "SET default_transaction_read_only = on"],
        )

    def test_trouble(self) -> None:
        """What psycopg raises is trouble."""
        connection = _Connection(self.psycopg.OperationalError("down"))
        failure = self.failureResultOf(waited(self.source(connection)(Question("a", "b"))), LookupTrouble)
        self.assertEqual(str(failure.value), "OperationalError: down")
        self.assertTrue(connection.closed)
