"""
Recipients in an SQLite database: ``sqlite:PATH?query=SELECT ...``.

Each question opens the file anew, read-only: 0.1 ms, and a file that was put in the place of another is seen at once.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from msgspec import Struct

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.question import Question
from smtpgw.lookups.sql import is_yes, split_query
from smtpgw.model.domains import LookupTrouble

_BUSY_SECONDS = 5.0
"""For a writer that holds the file."""

_QUERY_SECONDS = 5.0
_STEPS = 10_000
"""Of SQLite's machine, about a millisecond, between two looks at the clock."""

_EXAMPLE = Question("alice", "example.com")


class SqlitePlace(Struct, frozen=True, tag="sqlite"):
    """:ivar path: absolute. :ivar query: with named parameters."""

    path: Path
    query: str


def read_sqlite_url(url: str, folder: Path) -> SqlitePlace:
    """
    :param url: ``sqlite:PATH``, and ``?query=``.
    :param folder: what a relative path is relative to.
    :raises ValueError: with what is wrong.
    """
    place, query = split_query(url.removeprefix("sqlite:"))
    path = place.removeprefix("//") if place.startswith("///") else place
    if not path or path.startswith("//"):
        raise ValueError(
            "'sqlite:' is followed by the path of a file, such as 'sqlite:users.db' or 'sqlite:/var/users.db'"
        )
    if "?" in path:
        raise ValueError("after the path there may be nothing but '?query='")
    return SqlitePlace(folder / Path(path), query)


class SqliteTable:
    """A source."""

    def __init__(self, place: SqlitePlace, lane: Lane, monotonic: Callable[[], float] = time.monotonic) -> None:
        """:param monotonic: bounds the time of a query; called in threads."""
        self._place = place
        self._lane = lane
        self._monotonic = monotonic
        self._uri = f"file:{quote(str(place.path))}?mode=ro"

    async def __call__(self, question: Question) -> bool:
        """See :data:`~smtpgw.lookups.question.Source`."""
        return await self._lane.run(self._ask, question)

    def check(self) -> str:
        """
        Try the query. Blocks.

        :returns: what keeps the file from being read now, empty if nothing does.
        :raises ValueError: when it can be read, and the query doesn't fit.
        """
        if not self._place.path.exists():
            return f"{self._place.path} is not there"
        try:
            with closing(self._open()) as connection:
                try:
                    connection.execute("SELECT 1 FROM sqlite_master").fetchone()
                except sqlite3.OperationalError as trouble:
                    return f"{self._place.path}: {trouble}"
                connection.execute(f"EXPLAIN {self._place.query}", _EXAMPLE.values()).fetchone()
        except sqlite3.OperationalError as trouble:
            if _is_passing(trouble):
                return f"{self._place.path}: {trouble}"
            raise ValueError(f"{self._place.path}: {trouble}") from trouble
        except (sqlite3.Error, sqlite3.Warning) as trouble:
            raise ValueError(f"{self._place.path}: {trouble}") from trouble
        return ""

    def _ask(self, question: Question) -> bool:
        try:
            with closing(self._open()) as connection:
                end = self._monotonic() + _QUERY_SECONDS
                connection.set_progress_handler(lambda: self._monotonic() > end, _STEPS)
                return is_yes(connection.execute(self._place.query, question.values()).fetchone())
        except (sqlite3.Error, sqlite3.Warning) as trouble:
            raise LookupTrouble(f"{self._place.path}: {trouble}") from trouble

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._uri, uri=True, timeout=_BUSY_SECONDS)
        # What stands in a column is of no interest, so it may be in any encoding.
        connection.text_factory = bytes
        return connection


def _is_passing(trouble: sqlite3.OperationalError) -> bool:
    """Not about the query."""
    return trouble.sqlite_errorcode & 0xFF != sqlite3.SQLITE_ERROR
