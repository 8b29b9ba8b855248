"""Recipients in a real PostgreSQL, of Debian's package, on a Unix socket."""

import shutil
import signal
from pathlib import Path

from twisted.trial.unittest import SkipTest

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.postgresql import PostgresqlTable, read_postgresql_url
from smtpgw.lookups.question import Question, Source
from tests.contracts.source import DOMAIN, RECIPIENTS, MemoryThreads, SourceContract
from tests.integration.loopback import RealThingTestCase
from tests.integration.programs import OwnServer


class Server(OwnServer):
    """One PostgreSQL; nothing listens on the network."""

    # SIGTERM would wait for clients to leave.
    ends_with = signal.SIGINT

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._programs = _programs()
        self.give_up_root()
        options = ["-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"]
        self.run(str(self._programs / "initdb"), "-D", str(folder / "data"), *options)
        self.start()

    def command(self) -> list[str]:
        """In the foreground, on a Unix socket."""
        return [str(self._programs / "postgres"), "-D", "data", "-k", str(self.folder), "-h", "", "-F"]

    def answers(self) -> bool:
        """It lets us in."""
        import psycopg

        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def url(self, query: str = "", user: str = "owner") -> str:
        """For the configuration."""
        return f"postgresql://{user}@/postgres?host={self.folder}{query}"


def _programs() -> Path:
    # Debian keeps them out of the PATH.
    found = [path.parent for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))]
    beside = shutil.which("postgres")
    if beside:
        found.append(Path(beside).resolve().parent)
    for folder in found:
        if (folder / "initdb").exists():
            return folder
    raise SkipTest("PostgreSQL is not installed")


class PostgresqlTests(SourceContract, RealThingTestCase):
    """What is in a table is known."""

    server: Server | None = None

    def setUp(self) -> None:
        """A server with a table."""
        super().setUp()
        try:
            import psycopg
        except ImportError:
            raise SkipTest("psycopg is not installed") from None
        self.server = Server(self.folder)
        self.addCleanup(self.server.stop)
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE recipients (address text PRIMARY KEY, local text, domain text, ok boolean)"
            )
            for local in RECIPIENTS:
                values = (Question(local, DOMAIN).address, local, DOMAIN)
                connection.execute("INSERT INTO recipients VALUES (%s, %s, %s, true)", values)

    def make_source(self) -> Source:
        """With the query that is there without one."""
        assert self.server is not None
        return self.source(self.server.url())

    def source(self, url: str) -> PostgresqlTable:
        """Closed at the end."""
        table = PostgresqlTable(read_postgresql_url(url), Lane(MemoryThreads()))
        self.addCleanup(table.close)
        return table

    def make_broken_source(self) -> Source:
        """Nobody listens there."""
        return self.source(f"postgresql://owner@/postgres?host={self.folder}/nowhere")

    def test_queries(self) -> None:
        """Casts, per cent signs, quotes and comments in a query are left as they are."""
        assert self.server is not None
        for query in (
            "SELECT 1 FROM recipients WHERE local = :local::text AND domain LIKE :domain AND 'a:b%' LIKE 'a%'",
            "SELECT ok FROM recipients WHERE address = :address -- not :everybody",
            "SELECT count(*) FROM recipients WHERE address = :address;",
            "SELECT EXISTS (SELECT FROM recipients WHERE local = :local AND domain = :domain)",
            "SELECT%201%20FROM%20recipients%20WHERE%20address=:address",
        ):
            source = self.source(self.server.url(f"&query={query}"))
            self.assertTrue(self.ask(source, "alice"), query)
            self.assertFalse(self.ask(source, "mallory"), query)

    def test_restarted(self) -> None:
        """A server that was started anew is asked over a new connection, without trouble."""
        assert self.server is not None
        source = self.make_source()
        self.assertTrue(self.ask(source, "alice"))
        self.server.stop()
        self.assertIn("connection", self.trouble_of(source))
        self.server.start()
        self.assertTrue(self.ask(source, "alice"))

    def test_restarted_between(self) -> None:
        """Likewise when nobody asked while it was away."""
        assert self.server is not None
        source = self.make_source()
        self.assertTrue(self.ask(source, "alice"))
        self.server.stop()
        self.server.start()
        self.assertTrue(self.ask(source, "alice"))

    def test_read_only(self) -> None:
        """A query that writes is refused by the server."""
        assert self.server is not None
        query = "WITH gone AS (DELETE FROM recipients WHERE local = :local RETURNING 1) SELECT 1 FROM gone"
        self.assertIn("read-only", self.trouble_of(self.source(self.server.url(f"&query={query}"))))
        self.assertTrue(self.ask(self.make_source(), "alice"))

    def test_slow(self) -> None:
        """A query that takes too long is ended by the server."""
        assert self.server is not None
        query = "SELECT 1 FROM pg_sleep(60) WHERE :local <> ''"
        source = self.source(self.server.url(f"&query={query}"))
        self.assertIn("statement timeout", self.trouble_of(source))

    def test_wrong_table(self) -> None:
        """A table that isn't there is trouble, and so is one that comes later, until it is there."""
        assert self.server is not None
        source = self.source(self.server.url("&query=SELECT 1 FROM nothing WHERE a = :local"))
        self.assertIn("nothing", self.trouble_of(source))
