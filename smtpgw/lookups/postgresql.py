"""
Recipients in PostgreSQL: ``postgresql://user:password@host/db?query=SELECT ...``, by psycopg in threads.

Everything before ``query=`` is libpq's: hosts, ports, sslmode, passfile and the like. Each thread that asks has a
connection, which is kept.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from smtpgw.lookups.connections import Connections
from smtpgw.lookups.extras import check_extra, load_extra
from smtpgw.lookups.lane import Lane
from smtpgw.lookups.masking import masked, masked_url
from smtpgw.lookups.question import Question
from smtpgw.lookups.sql import is_yes, psycopg_query, split_query
from smtpgw.model.domains import LookupTrouble

_SECONDS = 5
"""For connecting to one host, and likewise for a query."""

_TCP_MILLISECONDS = 8000
"""A server that has gone without a word is noticed after that, by the kernel; without it a thread waits for minutes."""

_PASSWORD = re.compile(r"[?&](?:ssl)?password=([^&]*)")


class PostgresqlPlace(Struct, frozen=True, tag="postgresql"):
    """
    :ivar conninfo: libpq's URL, with whatever password is in it.
    :ivar query: with named parameters.
    """

    conninfo: str
    query: str

    def __repr__(self) -> str:
        """Without the password."""
        return f"PostgresqlPlace({masked_url(self.conninfo)!r}, {self.query!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """As written in the URL."""
        return _secrets(self.conninfo)


def read_postgresql_url(url: str) -> PostgresqlPlace:
    """:raises ValueError: with what is wrong; passwords are not in it."""
    check_extra("psycopg", "postgresql")
    conninfo, query = split_query(url)
    if not conninfo.startswith("postgresql://"):
        raise ValueError("'postgresql:' is followed by '//user@host/database'")
    psycopg: Any = load_extra("psycopg")
    try:
        load_extra("psycopg.conninfo").conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError as error:
        raise ValueError(f"{masked_url(url)}: {masked(str(error), _secrets(conninfo))}") from None
    return PostgresqlPlace(conninfo, query)


def _secrets(conninfo: str) -> tuple[str, ...]:
    try:
        password = urlsplit(conninfo).password or ""
    except ValueError:
        password = ""
    return tuple(secret for secret in (password, *_PASSWORD.findall(conninfo)) if secret)


class PostgresqlTable:
    """A source."""

    def __init__(self, place: PostgresqlPlace, lane: Lane) -> None:
        """Connects to nothing yet."""
        self._psycopg: Any = load_extra("psycopg")
        self._place = place
        self._lane = lane
        self._query = psycopg_query(place.query)
        self._connections: Connections[Any] = Connections(self._connect, _close, _is_lost)

    async def __call__(self, question: Question) -> bool:
        """See :data:`~smtpgw.lookups.question.Source`."""
        return await self._lane.run(self._ask, question)

    def close(self) -> None:
        """Close what is kept."""
        self._connections.close()

    def _ask(self, question: Question) -> bool:
        values = question.values()
        try:
            return self._connections.use(lambda connection: is_yes(connection.execute(self._query, values).fetchone()))
        except self._psycopg.Error as trouble:
            raise LookupTrouble(f"{type(trouble).__name__}: {trouble}") from trouble

    def _connect(self) -> Any:
        given = load_extra("psycopg.conninfo").conninfo_to_dict(self._place.conninfo)
        ours = {"connect_timeout": _SECONDS, "tcp_user_timeout": _TCP_MILLISECONDS, "application_name": "smtpgw"}
        connection = self._psycopg.connect(
            **{**ours, **given},
            autocommit=True,
            # Nothing is prepared, so that a pooler may give each query another connection of its own.
            prepare_threshold=None,
        )
        try:
            connection.execute(f"SET statement_timeout = {_SECONDS * 1000}")
            connection.execute("SET default_transaction_read_only = on")
        except BaseException:
            _close(connection)
            raise
        return connection


def _close(connection: Any) -> None:
    """Never raises."""
    connection.close()


def _is_lost(connection: Any, _: Exception) -> bool:
    return bool(connection.closed)
