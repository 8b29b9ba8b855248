"""
Recipients that a web service knows: ``https://host/path?address={address}``.

200 is yes, 404 and 410 are no; anything else, a redirect among it, is trouble. What the body says does not matter.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import quote, unquote, urlsplit

from msgspec import Struct

from smtpgw.lookups.masking import masked_url
from smtpgw.lookups.placeholders import Template, read_template
from smtpgw.lookups.question import Question
from smtpgw.model.domains import LookupTrouble

Get = Callable[[str, Mapping[str, str]], Awaitable[int]]
"""The status of a GET of a URL with header fields; the body is thrown away. Raises LookupTrouble or OSError."""

_ALLOWED = re.compile(r"[!-~]+\Z")


class HttpPlace(Struct, frozen=True, tag="http"):
    """
    :ivar base: scheme, host and port.
    :ivar path: begins with a slash.
    :ivar query: with its question mark, or empty.
    :ivar user: for Basic authentication (RFC 7617), or empty.
    """

    base: str
    path: Template
    query: Template
    user: str = ""
    password: str = ""

    def __repr__(self) -> str:
        """Without the password."""
        return f"HttpPlace({self.base!r}, {''.join(self.path.pieces)!r})"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The password."""
        return (self.password,) if self.password else ()


def read_http_url(url: str) -> HttpPlace:
    """:raises ValueError: with what is wrong; passwords are not in it."""
    shown = masked_url(url)
    if not _ALLOWED.match(url):
        raise ValueError(f"{shown} has spaces or characters that must be percent-encoded")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(f"{shown} has no host, or no number as its port") from None
    if not host or re.search(r"[{}\[\]%]", host) or port == 0:
        raise ValueError(f"{shown} has no host")
    if "#" in url:
        raise ValueError(f"{shown} has a '#', after which nothing is sent")
    try:
        path = read_template(parts.path or "/")
        query = read_template(f"?{parts.query}" if parts.query else "")
    except ValueError as error:
        raise ValueError(f"{shown}: {error}") from None
    if not (path.names | query.names) & {"local", "address"}:
        raise ValueError(
            f"{shown} has neither {{local}} nor {{address}}, so its answer would be the same for everybody"
        )
    netloc = f"[{host}]" if ":" in host else host
    base = f"{parts.scheme}://{netloc}" if port is None else f"{parts.scheme}://{netloc}:{port}"
    return HttpPlace(base, path, query, unquote(parts.username or ""), unquote(parts.password or ""))


class HttpService:
    """A source."""

    def __init__(self, place: HttpPlace, get: Get) -> None:
        """:param get: follows no redirects."""
        self._place = place
        self._get = get
        self._fields: dict[str, str] = {}
        if place.user or place.password:
            login = base64.b64encode(f"{place.user}:{place.password}".encode()).decode("ascii")
            self._fields["Authorization"] = f"Basic {login}"

    async def __call__(self, question: Question) -> bool:
        """See :data:`~smtpgw.lookups.question.Source`."""
        place = self._place
        values = question.values()
        if any(_leads_away(values[name]) for name in place.path.names):
            return False
        url = place.base + place.path.fill(question, _encoded) + place.query.fill(question, _encoded)
        status = await self._get(url, self._fields)
        match status:
            case 200:
                return True
            case 404 | 410:
                return False
            case _:
                raise LookupTrouble(f"the answer is {status}")


def _encoded(value: str) -> str:
    return quote(value, safe="")


def _leads_away(value: str) -> bool:
    """
    Whether a value would leave its place in a path.

    Percent-encoding does not help: dots are the same encoded, and many servers decode a slash before they look.
    """
    return value in {".", ".."} or "/" in value or "\\" in value
