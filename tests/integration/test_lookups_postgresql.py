"""Recipients in a real PostgreSQL, of Debian's package, on a Unix socket."""

import os
import pwd
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.postgresql import PostgresqlTable, read_postgresql_url
from smtpgw.lookups.question import Question, Source
from smtpgw.model.domains import LookupTrouble
from tests.contracts.source import DOMAIN, RECIPIENTS, MemoryThreads, SourceContract
from tests.integration.loopback import RealThingTestCase, end, wait_until


class Server:
    """One in a folder of its own, as a user without rights; nothing listens on the network."""

    def __init__(self, folder: Path) -> None:
        self._programs = _programs()
        self.folder = folder
        self._become: dict[str, Any] = {}
        if os.geteuid() == 0:
            # It refuses to run as root.
            user = pwd.getpwnam("nobody")
            os.chown(folder, user.pw_uid, user.pw_gid)
            self._become = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._run("initdb", "-D", str(folder / "data"), "-U", "owner", "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._programs / "postgres"), "-D", "data", "-k", str(self.folder), "-h", "", "-F"],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **self._become,
            )
        try:
            wait_until(self._answers, 30, "PostgreSQL answers")
        except BaseException:
            self.stop()
            raise

    def _answers(self) -> bool:
        import psycopg

        assert self._process is not None
        if self._process.poll() is not None:
            raise AssertionError(f"PostgreSQL ended: {(self.folder / 'log').read_text()[-2000:]}")
        try:
            psycopg.connect(self.url()).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            # SIGTERM would wait for clients to leave.
            self._process.send_signal(signal.SIGINT)
            end(self._process)

    def url(self, query: str = "", user: str = "owner") -> str:
        """For the configuration."""
        return f"postgresql://{user}@/postgres?host={self.folder}{query}"

    def _run(self, program: str, *options: str) -> None:
        subprocess.run(
            [str(self._programs / program), *options],
            cwd=self.folder,
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=60,
            **self._become,
        )


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
        self.assertIn("connection", self.trouble(source))
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
        self.assertIn("read-only", self.trouble(self.source(self.server.url(f"&query={query}"))))
        self.assertTrue(self.ask(self.make_source(), "alice"))

    def test_slow(self) -> None:
        """A query that takes too long is ended by the server."""
        assert self.server is not None
        query = "SELECT 1 FROM pg_sleep(60) WHERE :local <> ''"
        source = self.source(self.server.url(f"&query={query}"))
        self.assertIn("statement timeout", self.trouble(source))

    def test_wrong_table(self) -> None:
        """A table that isn't there is trouble, and so is one that comes later, until it is there."""
        assert self.server is not None
        source = self.source(self.server.url("&query=SELECT 1 FROM nothing WHERE a = :local"))
        self.assertIn("nothing", self.trouble(source))

    def trouble(self, source: Source) -> str:
        """What it can't answer for."""
        failure = self.failureResultOf(_asked(source), LookupTrouble)
        return str(failure.value)


def _asked(source: Source) -> Any:
    from twisted.internet.defer import Deferred

    async def wait() -> bool:
        return await source(Question("alice", DOMAIN))

    return Deferred.fromCoroutine(wait())
