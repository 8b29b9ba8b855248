"""Recipients that a real web server on loopback knows, in clear text and over TLS."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from smtpgw.lookups.http import HttpService, read_http_url
from smtpgw.lookups.question import Question
from smtpgw.model.domains import LookupTrouble
from smtpgw.net.http_client import HttpClient
from smtpgw.testing.certificates import Authority, PemPair
from tests.contracts.source import DOMAIN, RECIPIENTS, STRANGERS

_reactor: Any = reactor


class _Service(Resource):
    """Knows the recipients; does other things when asked for others."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self) -> None:
        Resource.__init__(self)
        self.asked = 0

    def render_GET(self, request: Any) -> Any:
        """By the address in the query."""
        self.asked += 1
        (address,) = (value.decode() for value in request.args[b"address"])
        if address.startswith("slow"):
            return NOT_DONE_YET
        if address.startswith("moved"):
            request.redirect(b"/?address=alice@ours.example")
            return b""
        if request.getUser() != b"gw" or request.getPassword() != b"s3cret":
            request.setResponseCode(401)
        elif address not in {Question(local, DOMAIN).address for local in RECIPIENTS}:
            request.setResponseCode(404)
        return b"x" * 1000


class HttpTests(TestCase):
    """From the URL of the configuration to the answer."""

    timeout = 60

    def setUp(self) -> None:
        """A server, with and without TLS."""
        self.service = _Service()
        self.authority = Authority()
        self.ca = Path(self.mktemp()).absolute()
        self.ca.write_bytes(self.authority.certificate)
        self.ports: list[Any] = []
        self.addCleanup(self.stop)
        self.port = self.listen(None)

    async def stop(self) -> None:
        """End all."""
        for port in self.ports:
            await maybeDeferred(port.stopListening)

    def listen(self, pair: PemPair | None) -> int:
        """One more."""
        site = Site(self.service)
        if pair is None:
            port = _reactor.listenTCP(0, site, interface="127.0.0.1")
        else:
            port = _reactor.listenSSL(0, site, pair.server_options(), interface="127.0.0.1")
        self.ports.append(port)
        number: int = port.getHost().port
        return number

    def source(self, scheme: str, port: int, login: str = "gw:s3cret@", ca: Path | None = None) -> HttpService:
        """By a client that is closed at the end."""
        client = HttpClient(_reactor, ca)
        self.addCleanup(client.close)
        return HttpService(read_http_url(f"{scheme}://{login}localhost:{port}/?address={{address}}"), client.get)

    async def trouble(self, source: HttpService, local: str = "alice") -> str:
        """What it can't answer for."""
        try:
            await source(Question(local, DOMAIN))
        except LookupTrouble as trouble:
            return str(trouble)
        raise AssertionError("an answer")

    async def test_all(self) -> None:
        """Every recipient is known, nobody else is, whatever is in an address."""
        source = self.source("http", self.port)
        for local in (*RECIPIENTS, *STRANGERS):
            self.assertIs(await source(Question(local, DOMAIN)), local in RECIPIENTS, local)
        self.assertEqual(self.service.asked, len(RECIPIENTS) + len(STRANGERS))

    async def test_trouble(self) -> None:
        """A wrong password, a redirect, and a server that is down."""
        self.assertEqual(await self.trouble(self.source("http", self.port, "gw:wrong@")), "the answer is 401")
        self.assertEqual(await self.trouble(self.source("http", self.port), "moved"), "the answer is 302")
        await self.stop()
        self.assertTrue(await self.trouble(self.source("http", self.port)))

    async def test_silent(self) -> None:
        """A server that does not answer is left in time."""
        self.assertIn("within 8 seconds", await self.trouble(self.source("http", self.port), "slow"))

    async def test_tls(self) -> None:
        """The certificate must be of a trusted authority, and for the name."""
        good, other = (self.listen(self.authority.issue(name)) for name in ("localhost", "other.test"))
        self.assertIs(await self.source("https", good, ca=self.ca)(Question("alice", DOMAIN)), True)
        self.assertTrue(await self.trouble(self.source("https", good)))
        self.assertTrue(await self.trouble(self.source("https", other, ca=self.ca)))
