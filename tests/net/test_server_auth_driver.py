"""AUTH by an authenticator: where it is offered, and what comes of its steps."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from base64 import b64encode

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import ISSLTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from smtpgw.boundaries.auth import Challenge, LoggedIn, LoginRefused
from smtpgw.model.notice import Rejected
from smtpgw.model.reply import reply
from tests.clauses import holds
from tests.net.server_rig import Rig
from tests.net.test_factory import TlsTransport
from tests.net.test_server_half_closed import StartTlsTransport

_WRONG = LoginRefused(reply(535, "5.7.8", "Authentication failed"), "wrong password", "user\n")
_LATER = LoginRefused(reply(454, "4.7.0", "Temporary authentication failure"), "the pool is full")


class MemoryExchange:
    """Answers with the steps that the test has laid out."""

    def __init__(self, steps):
        self.steps = list(steps)
        self.heard = []
        self.aborts = 0

    def begin(self, initial):
        return self.respond(initial)

    def respond(self, response):
        self.heard.append(response)
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    def abort(self):
        self.aborts += 1


class MemoryAuthenticator:
    """Offers two mechanisms."""

    def __init__(self):
        self.steps = [LoggedIn("user@example.com")]
        self.exchanges = []
        self.asked = []
        self.begun = []

    def mechanisms(self, client):
        self.asked.append(client)
        return ("SCRAM-SHA-256", "PLAIN")

    def begin(self, mechanism, client, binding):
        self.begun.append((mechanism, client, binding))
        exchange = MemoryExchange(self.steps)
        self.exchanges.append(exchange)
        return exchange


async def later(deferred):
    """A step that waits."""
    return await deferred


class AuthCase(SynchronousTestCase):
    """One client of a listener with implicit TLS."""

    def setUp(self):
        self.start()

    def start(self, **settings):
        self.authenticator = MemoryAuthenticator()
        self.rig = Rig(
            authenticator=self.authenticator, tls_context=object(), **{"tls": "implicit", "auth": True, **settings}
        )
        self.client = self.rig.connect(transport=TlsTransport())
        self.client.protocol.handshakeCompleted()

    def plain(self):
        """AUTH with an initial response."""
        self.client.greet()
        return self.plain_again()

    def plain_again(self):
        """On the same connection."""
        return self.client.send(b"AUTH PLAIN " + b64encode(b"\0user\0secret") + b"\r\n")


class OfferTests(AuthCase):
    """AUTH is offered behind TLS and nowhere else."""

    @holds("4954", "4", "AUTH is offered and taken inside of TLS only.")
    def test_behind_tls(self):
        """In the authenticator's order; it has seen what TLS is."""
        self.assertIn(b"250-AUTH SCRAM-SHA-256 PLAIN\r\n", self.client.send(b"EHLO c\r\n"))
        self.assertEqual(self.authenticator.asked[0].tls.version, "TLSv1.3")

    def test_in_clear(self):
        """Not offered, not taken, not even asked about; 538 says what is missing."""
        self.start(tls="starttls")
        client = self.rig.connect(transport=StartTlsTransport())
        self.assertNotIn(b"AUTH", client.send(b"EHLO c\r\n"))
        self.assertEqual(client.send(b"AUTH PLAIN AHVzZXIAc2VjcmV0\r\n")[:9], b"538 5.7.1")
        self.assertEqual(self.authenticator.begun, [])

    def test_behind_starttls(self):
        """Offered after the handshake."""
        self.start(tls="starttls")
        transport = StartTlsTransport()
        client = self.rig.connect(transport=transport).greet()
        client.send(b"STARTTLS\r\n")
        transport.getHandle = TlsTransport().getHandle
        alsoProvides(transport, ISSLTransport)
        client.protocol.handshakeCompleted()
        self.assertIn(b"AUTH SCRAM-SHA-256 PLAIN", client.send(b"EHLO c\r\n"))

    @holds("5321", "2.2.1", "AUTH, which EHLO offers, is taken behind EHLO alone.")
    def test_before_ehlo(self):
        """503 without a greeting, and behind HELO; nobody is asked, and it counts as a bad command."""
        self.assertEqual(self.plain_again(), b"503 5.5.1 Send EHLO first\r\n")
        self.client.greet()
        self.client.send(b"HELO c\r\n")
        self.assertEqual(self.plain_again(), b"503 5.5.1 Send EHLO first\r\n")
        self.assertEqual((self.authenticator.begun, self.client.protocol._session.errors), ([], 2))
        self.assertEqual(self.plain()[:9], b"235 2.7.0")

    def test_off(self):
        """Not where the settings don't say so."""
        self.start(auth=False)
        self.assertNotIn(b"AUTH", self.client.send(b"EHLO c\r\n"))

    def test_required(self):
        """530 to everything but the greeting until somebody has logged in."""
        self.start(requires_auth=True)
        self.client.greet()
        self.assertEqual(self.client.send(b"MAIL FROM:<a@x>\r\n")[:9], b"530 5.7.0")
        self.assertEqual(self.plain()[:9], b"235 2.7.0")
        self.assertEqual(self.client.send(b"MAIL FROM:<a@x>\r\n")[:9], b"250 2.1.0")


class StepTests(AuthCase):
    """Steps become replies, at once or late."""

    def test_logged_in(self):
        """The reception hears who it is, and how."""
        self.assertEqual(self.plain()[:9], b"235 2.7.0")
        self.client.send(b"MAIL FROM:<a@x>\r\n")
        client, _ = self.rig.reception.mails[0]
        self.assertEqual((client.identity, client.mechanism, client.protocol), ("user@example.com", "PLAIN", "ESMTPSA"))
        self.assertEqual(self.authenticator.exchanges[0].heard, [b"\0user\0secret"])

    def test_challenges(self):
        """As many as it takes."""
        self.authenticator.steps = [Challenge(b"one"), Challenge(b""), LoggedIn("u")]
        self.client.greet()
        self.assertEqual(self.client.send(b"AUTH scram-sha-256\r\n"), b"334 b25l\r\n")
        self.assertEqual(self.client.send(b"YQ==\r\n"), b"334 \r\n")
        self.assertEqual(self.client.send(b"\r\n")[:4], b"235 ")
        self.assertEqual(self.authenticator.exchanges[0].heard, [None, b"a", b""])

    def test_late(self):
        """Deferreds and coroutines; what is pipelined behind them waits."""
        for wrap in (lambda deferred: deferred, later):
            self.start()
            step = Deferred()
            self.authenticator.steps = [wrap(step)]
            self.assertEqual(self.plain(), b"")
            self.assertEqual(self.client.send(b"NOOP\r\n"), b"")
            step.callback(LoggedIn("u"))
            self.assertEqual([line[:3] for line in self.client.said().splitlines()], [b"235", b"250"])

    def test_refused(self):
        """Its reply, and a notice with the cause; nobody has logged in."""
        for step in (_WRONG, succeed(_WRONG)):
            self.start()
            self.authenticator.steps = [step]
            self.assertEqual(self.plain()[:9], b"535 5.7.8")
            told = [notice for notice in self.rig.notices if isinstance(notice, Rejected)]
            self.assertEqual(
                [(one.stage, one.refuse.cause, one.subject) for one in told], [("auth", "wrong password", "user\n")]
            )
            self.assertIsNone(self.client.protocol.client().identity)

    def test_enough(self):
        """421 ends the connection."""
        self.authenticator.steps = [LoginRefused(reply(421, "4.7.0", "Too many failed logins"))]
        self.assertEqual(self.plain()[:9], b"421 4.7.0")
        self.assertTrue(self.client.transport.disconnecting)

    def test_undecided_for_ever(self):
        """Logins that can't be decided are bounded like those that are wrong: the tenth ends the connection."""
        self.patch(__import__("smtpgw.net.server_auth_driver", fromlist=["_log"])._log, "error", lambda *a, **k: None)
        for step in (_LATER, succeed(_LATER), RuntimeError()):
            self.start()
            self.client.greet()
            self.authenticator.steps = [step]
            for _ in range(9):
                self.assertEqual(self.plain_again()[:9], b"454 4.7.0")
            self.assertEqual(self.plain_again()[:9], b"421 4.7.0")
            self.assertTrue(self.client.transport.disconnecting)
        self.start()
        self.client.greet()
        self.authenticator.steps = [_LATER]
        for _ in range(10):
            self.plain_again()
        told = [notice.refuse.reply.code for notice in self.rig.notices if isinstance(notice, Rejected)]
        self.assertEqual(told, [454] * 9 + [421])

    def test_trouble(self):
        """Whatever is raised is 454 4.7.0; the log gets no word of it, because it may be a password."""
        logged = []
        self.patch(
            __import__("smtpgw.net.server_auth_driver", fromlist=["_log"])._log,
            "error",
            lambda *a, **k: logged.append(k),
        )
        for step in (RuntimeError("secret"), fail(RuntimeError("secret")), succeed(None)):
            self.start()
            self.authenticator.steps = [step]
            self.assertEqual(self.plain()[:9], b"454 4.7.0")
            self.assertEqual(self.authenticator.exchanges[0].aborts, 1)
            self.assertEqual(self.client.send(b"NOOP\r\n")[:4], b"250 ")
        self.assertEqual([one["kind"] for one in logged], ["RuntimeError", "RuntimeError", "TypeError"])
        self.assertNotIn("secret", repr(logged))

    def test_given_up(self):
        """An asterisk aborts the exchange, once; so does the end of the connection while an answer is awaited."""
        self.authenticator.steps = [Challenge(b"")]
        self.client.greet()
        self.client.send(b"AUTH PLAIN\r\n")
        self.assertEqual(self.client.send(b"*\r\n")[:4], b"501 ")
        cancelled = []
        self.authenticator.steps = [Deferred(cancelled.append)]
        self.plain()
        self.client.lose()
        self.assertEqual([one.aborts for one in self.authenticator.exchanges], [1, 1])
        self.assertEqual(len(cancelled), 1)

    def test_forgotten(self):
        """A second login on the same connection is refused."""
        self.plain()
        self.assertEqual(self.plain()[:4], b"503 ")
