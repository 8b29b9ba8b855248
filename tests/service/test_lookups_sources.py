"""Sources of recipients, put together."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from smtpgw.checks.recipients import Recipients
from smtpgw.lookups.callahead import CallAheadPlace
from smtpgw.lookups.http import read_http_url
from smtpgw.lookups.ldap import LdapPlace
from smtpgw.lookups.placeholders import read_template
from smtpgw.lookups.python import PythonPlace
from smtpgw.lookups.sqlite import SqlitePlace, read_sqlite_url
from smtpgw.model.domains import LocalDomain, LocalDomains, LookupTrouble
from smtpgw.model.route import Route, ViaSink
from smtpgw.model.verdict import ACCEPT
from smtpgw.net.deadline import ReactorTasks
from smtpgw.service.lookups_sources import LookupSources
from tests.contracts.check import MAIL, STRANGER, recipient


def fails(address: str) -> bool:
    """A user's function that is broken."""
    raise RuntimeError(f"no {address}")


class LookupSourcesTests(TestCase):
    """From what the configuration says to the answer to RCPT, with real threads."""

    timeout = 20

    def setUp(self) -> None:
        """A database."""
        self.sources = LookupSources(reactor, ReactorTasks(reactor), hostname="gw.test")
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        with closing(sqlite3.connect(folder / "users.db")) as connection, connection:
            connection.execute("CREATE TABLE recipients (address TEXT)")
            connection.execute("INSERT INTO recipients VALUES ('alice@a.ours.example')")
        self.place = read_sqlite_url("sqlite:users.db", folder)

    async def verdict(self, place: Any, local: str, domain: str = "a.ours.example") -> Any:
        """Of the check, for a domain below ours.example."""
        lookup = self.sources.look_up(place)
        check = Recipients(LocalDomains([LocalDomain("*.ours.example", Route("local", ViaSink("discard:")), lookup)]))
        verdict: Any = check.check_rcpt(STRANGER, MAIL, recipient(local, domain))
        return verdict if verdict is ACCEPT or hasattr(verdict, "reply") else await verdict

    async def test_database(self) -> None:
        """Known with and without a tag, unknown, and of another domain under the same wildcard."""
        self.sources.start()
        self.addCleanup(self.sources.stop)
        self.assertIs(await self.verdict(self.place, "Alice"), ACCEPT)
        self.assertIs(await self.verdict(self.place, "alice+lists"), ACCEPT)
        self.assertEqual((await self.verdict(self.place, "mallory")).reply.code, 550)
        self.assertEqual((await self.verdict(self.place, "alice", "b.ours.example")).reply.code, 550)

    async def test_trouble(self) -> None:
        """What fails is 451, the cause is for the log only."""
        self.sources.start()
        self.addCleanup(self.sources.stop)
        refusal = await self.verdict(PythonPlace(f"{__name__}:fails"), "alice")
        self.assertEqual(str(refusal.reply), "451 4.3.0 Temporary trouble, please try again later")
        self.assertIn("RuntimeError: no alice@a.ours.example", refusal.cause)

    async def test_added_later(self) -> None:
        """A source that comes when others run is started as well."""
        self.sources.start()
        self.addCleanup(self.sources.stop)
        lookup: Any = self.sources.look_up(PythonPlace("os.path:isabs"))
        self.assertIs(await lookup("/root", "b"), True)

    async def test_shared(self) -> None:
        """Domains with the same place share one source; stopping what was never started is no trouble."""
        self.assertIs(self.sources.look_up(self.place), self.sources.look_up(self.place))
        await self.sources.stop()

    def test_all_kinds(self) -> None:
        """Every place has its source."""
        places: tuple[Any, ...] = (
            self.place,
            read_http_url("https://host/{address}"),
            read_http_url("http://host/{address}"),
            LdapPlace("host", 389, "dc=x", "SUBTREE", read_template("(mail={address})")),
            CallAheadPlace("host", 25),
            PythonPlace("os.path:exists"),
        )
        self.assertEqual(len({id(self.sources.look_up(place)) for place in places}), len(places))

    def test_wrong_query(self) -> None:
        """A query that doesn't fit its file keeps the gateway from starting; a file that is not there does not."""
        wrong = SqlitePlace(self.place.path, "SELECT 1 FROM users WHERE name = :local")
        self.assertIn("users", str(self.assertRaises(ValueError, self.sources.look_up, wrong)))
        self.sources.look_up(SqlitePlace(self.place.path.parent / "later.db", wrong.query))

    async def test_stopped(self) -> None:
        """After the stop, call-ahead connects to nobody."""
        lookup: Any = self.sources.look_up(CallAheadPlace("127.0.0.1", 1))
        self.sources.start()
        await self.sources.stop()
        try:
            await lookup("alice", "ours.example")
        except LookupTrouble:
            return
        self.fail("it has asked")
