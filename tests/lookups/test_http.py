"""Recipients that a web service knows."""

from collections.abc import Mapping
from urllib.parse import parse_qs, unquote, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.http import HttpService, read_http_url
from smtpgw.lookups.question import Question, Source
from smtpgw.model.domains import LookupTrouble
from tests.contracts.source import DOMAIN, RECIPIENTS, SourceContract
from tests.lookups.rig import waited

_KNOWN = {Question(local, DOMAIN).address for local in RECIPIENTS}


class _Web:
    """A service, as its framework would decode a URL."""

    def __init__(self, status: int = 0) -> None:
        self.status = status
        self.asked: list[tuple[str, Mapping[str, str]]] = []

    async def get(self, url: str, fields: Mapping[str, str]) -> int:
        """A status."""
        self.asked.append((url, fields))
        if self.status < 0:
            raise ConnectionRefusedError("refused")
        if self.status:
            return self.status
        parts = urlsplit(url)
        assert url.isascii() and url.isprintable() and " " not in url and not parts.fragment
        values = parse_qs(parts.query, strict_parsing=True, keep_blank_values=True)
        assert set(values) == {"a"} and len(values["a"]) == 1, url
        return 200 if values["a"][0] in _KNOWN else 404


class QueryTests(SourceContract, SynchronousTestCase):
    """An address in the query of a URL."""

    def make_source(self) -> Source:
        """A service that knows the recipients."""
        return HttpService(read_http_url("https://host/check?a={address}"), _Web().get)

    def make_broken_source(self) -> Source:
        """Nobody listens."""
        return HttpService(read_http_url("https://host/check?a={address}"), _Web(-1).get)

    def test_statuses(self) -> None:
        """200 is yes, 404 and 410 are no, all else is trouble: redirects, other successes, logins, mistakes."""
        for status, expected in ((200, True), (404, False), (410, False)):
            self.assertIs(
                self.ask(HttpService(read_http_url("https://host/{local}"), _Web(status).get), "alice"), expected
            )
        for status in (100, 201, 204, 301, 302, 304, 400, 401, 403, 405, 429, 500, 503):
            source = HttpService(read_http_url("https://host/{local}"), _Web(status).get)
            failure = self.failureResultOf(waited(source(Question("alice", DOMAIN))), LookupTrouble)
            self.assertEqual(str(failure.value), f"the answer is {status}")

    def test_login(self) -> None:
        """Name and password go into a header field, and not into the URL."""
        web = _Web(200)
        self.ask(HttpService(read_http_url("https://us%3Aer:p%40ss@host:8443/{local}"), web.get), "alice")
        self.assertEqual(web.asked, [("https://host:8443/alice", {"Authorization": "Basic dXM6ZXI6cEBzcw=="})])


class PathTests(SourceContract, SynchronousTestCase):
    """An address in the path of a URL."""

    # Their names have a slash or backslash in them.
    recipients = tuple(local for local in RECIPIENTS if "\\" not in local and "/" not in Question(local, "").address)
    recipients = tuple(
        local
        for local in recipients
        if '"' not in Question(local, "").address or "\\" not in Question(local, "").address
    )

    def make_source(self) -> Source:
        """A service that decodes, and then looks at the path."""

        async def get(url: str, _: Mapping[str, str]) -> int:
            path = unquote(urlsplit(url).path)
            return 200 if path.count("/") == 2 and path.removeprefix("/users/") in _KNOWN else 404

        return HttpService(read_http_url("https://host/users/{address}"), get)

    def make_broken_source(self) -> Source:
        """Nobody listens."""
        return HttpService(read_http_url("https://host/users/{address}"), _Web(-1).get)

    def test_stays_in_its_place(self) -> None:
        """An address that would lead to another path is unknown, unasked."""
        web = _Web(200)
        source = HttpService(read_http_url("https://host/users/{local}/mail"), web.get)
        for local in ("..", ".", "../admin", "a/b", "..\\admin", "/"):
            self.assertIs(self.ask(source, local), False, local)
        self.assertEqual(web.asked, [])


class UrlTests(SynchronousTestCase):
    """What the configuration says."""

    def test_wrong(self) -> None:
        """Each mistake is told, and no password with it."""
        for url, words in (
            ("https://host/check", "the same for everybody"),
            ("https://host/{domain}", "the same for everybody"),
            ("https://host/{user}", "none of"),
            ("https://host/{local", "partner"),
            ("https:///{local}", "no host"),
            ("https:{local}", "no host"),
            ("https://ho{local}st/", "no host"),
            ("https://host:0/{local}", "no host"),
            ("https://host:x/{local}", "no number"),
            ("https://host/a b/{local}", "percent-encoded"),
            ("https://host/ö/{local}", "percent-encoded"),
            ("https://host/{local}#x", "'#'"),
            ("https://u:secret@host/a b/{local}", "percent-encoded"),
            ("https://u:secret@host/", "the same for everybody"),
        ):
            text = str(self.assertRaises(ValueError, read_http_url, url))
            self.assertIn(words, text, url)
            self.assertNotIn("secret", text)

    def test_shown(self) -> None:
        """The password is not in what is printed of a configuration."""
        self.assertNotIn("secret", repr(read_http_url("https://u:secret@host/{local}")))

    def test_address_of_host(self) -> None:
        """An IPv6 address keeps its brackets."""
        self.assertEqual(read_http_url("http://[::1]:80/{local}").base, "http://[::1]:80")
