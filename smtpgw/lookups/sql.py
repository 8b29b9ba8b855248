"""
The query of a database of recipients: one SELECT with ``:local``, ``:domain`` and ``:address`` in it.

The names are parameters that the database gets apart from the text, so nothing in an address can change the query.
"""

import re
from urllib.parse import unquote

from smtpgw.lookups.question import NAMES

DEFAULT_QUERY = "SELECT 1 FROM recipients WHERE address = :address"
"""Without one in the configuration."""

_TOKEN = re.compile(
    r"""
    (?P<skip> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ | ::)
    | :(?P<name>[^\W\d]\w*)
    | (?P<percent>%)
    """,
    re.VERBOSE | re.DOTALL,
)
_VERB = re.compile(r"\s*(?:select|with|values)\b", re.IGNORECASE)


def split_query(url: str) -> tuple[str, str]:
    """
    A URL without its ``query=``, and the query, which is the last parameter and goes on to the end.

    It is taken as it is, ``&`` and ``%`` too; only one without any space is percent-encoded. The default if there is
    none.

    :raises ValueError: when it is no query for recipients.
    """
    match = re.search(r"[?&]query=", url)
    if match is None:
        return url, DEFAULT_QUERY
    query = url[match.end() :]
    if not re.search(r"\s", query.strip()):
        query = unquote(query.replace("+", " "))
    return url[: match.start()], _checked(query.strip().removesuffix(";").rstrip())


def _checked(query: str) -> str:
    if not _VERB.match(query):
        raise ValueError("the query is not one that begins with SELECT")
    names = {match["name"] for match in _TOKEN.finditer(query) if match["name"]}
    unknown = sorted(names.difference(NAMES))
    if unknown:
        raise ValueError(f"the query has :{unknown[0]}, and there are {', '.join(f':{name}' for name in NAMES)}")
    if not names & {"local", "address"}:
        raise ValueError("the query has neither :local nor :address, so its answer would be the same for everybody")
    return query


def psycopg_query(query: str) -> str:
    """The query with psycopg's parameters: ``%(local)s`` for ``:local``, ``%%`` for a per cent sign."""

    def replace(match: re.Match[str]) -> str:
        if match["name"]:
            return f"%({match['name']})s"
        return "%%" if match["percent"] else match[0].replace("%", "%%")

    return _TOKEN.sub(replace, query)


def is_yes(row: tuple[object, ...] | None) -> bool:
    """
    Whether the first row of an answer says that it is a recipient.

    No row says no, and so does a row that begins with NULL, false or 0: ``SELECT count(*)`` and ``SELECT EXISTS (...)``
    always give a row, and must not let everything in.
    """
    if row is None or not row:
        return False
    first = row[0]
    return first is not None and (isinstance(first, (bytes, str)) or first != 0)
