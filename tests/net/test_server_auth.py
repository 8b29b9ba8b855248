"""AUTH with a user's own portal and challengers."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from base64 import b64encode

from twisted.cred.credentials import CramMD5Credentials
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail, succeed
from twisted.mail.imap4 import PLAINCredentials
from twisted.mail.smtp import IMessageDelivery, LOGINCredentials
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge, LoginRefused
from smtpgw.net.server_auth import PortalExchange, PortalLogin
from tests.clauses import holds
from tests.net.server_rig import Rig
from tests.net.test_server_half_closed import StartTlsTransport
from tests.net.test_stock_delivery import Delivery


class Portal:
    """Answers as it is told to."""

    def __init__(self):
        self.avatar = Delivery()
        self.logouts = 0
        self.credentials = []
        self.result = None

    def login(self, credentials, _mind, *_interfaces):
        self.credentials.append(credentials)
        return succeed(self.success()) if self.result is None else self.result

    def success(self):
        return IMessageDelivery, self.avatar, self.logout

    def logout(self):
        self.logouts += 1


class PortalCase(SynchronousTestCase):
    """One client of a listener with a portal."""

    def setUp(self):
        self.rig = Rig()
        self.portal = Portal()
        self.rig.factory.portal = self.portal
        self.rig.factory.challengers = {
            b"PLAIN": PLAINCredentials,
            b"LOGIN": LOGINCredentials,
            b"cram-md5": lambda: CramMD5Credentials(b"mx.example"),
        }
        self.client = self.rig.connect().greet()

    def plain(self, text=b"\0user\0secret"):
        """AUTH PLAIN with an initial response."""
        return self.client.send(b"AUTH PLAIN " + b64encode(text) + b"\r\n")[:9]


class LoginTests(PortalCase):
    """Who logs in is served by the avatar."""

    def test_offer(self):
        """In upper case, until somebody has logged in."""
        self.assertIn(b"250-AUTH PLAIN LOGIN CRAM-MD5\r\n", self.client.send(b"EHLO c\r\n"))
        self.plain()
        self.assertNotIn(b"AUTH", self.client.send(b"EHLO c\r\n"))

    @holds("3848", "1", "The protocol of a session with a login is ESMTPA.")
    def test_avatar(self):
        """It takes the place of the listener's own reception, and is logged out at the end."""
        self.assertEqual(self.plain(), b"235 2.7.0")
        self.assertTrue(self.client.protocol.authenticated)
        self.assertEqual(self.portal.credentials[0].username, b"user")
        self.client.send(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nA: 1\r\n.\r\n")
        self.assertEqual(len(self.portal.avatar.messages), 1)
        self.assertEqual(self.rig.reception.messages, [])
        self.assertEqual(self.client.protocol.client().protocol, "ESMTPA")
        self.assertEqual(self.client.protocol.client().identity, "user")
        self.client.lose()
        self.assertEqual(self.portal.logouts, 1)

    def test_forgotten_by_starttls(self):
        """Behind STARTTLS nobody has logged in: the avatar is logged out, and mail goes where it went before."""
        rig = Rig(tls_context=object())
        rig.factory.portal = self.portal
        rig.factory.challengers = {b"PLAIN": PLAINCredentials}
        client = self.client = rig.connect(transport=StartTlsTransport()).greet()
        self.assertEqual(self.plain(), b"235 2.7.0")
        client.send(b"STARTTLS\r\n")
        self.assertEqual(self.portal.logouts, 1)
        self.assertFalse(client.protocol.authenticated)
        client.greet().send(b"MAIL FROM:<a@x>\r\nRCPT TO:<b@y>\r\nDATA\r\nA: 1\r\n.\r\n")
        self.assertEqual((self.portal.avatar.messages, len(rig.reception.messages)), ([], 1))
        self.assertIsNone(rig.reception.messages[0].client.identity)
        client.lose()
        self.assertEqual(self.portal.logouts, 1)

    def test_mechanism_in_small_letters(self):
        """Names are found in any case."""
        self.assertEqual(self.client.send(b"auth cram-md5\r\n")[:4], b"334 ")

    def test_late(self):
        """What is pipelined behind a slow login waits for it."""
        self.portal.result = Deferred()
        self.client.send(b"AUTH PLAIN " + b64encode(b"\0user\0secret") + b"\r\nNOOP\r\n")
        self.assertEqual(self.client.said(), b"")
        self.portal.result.callback(self.portal.success())
        self.assertEqual([line[:3] for line in self.client.said().splitlines()], [b"235", b"250"])

    def test_nothing_in_the_name_harms(self):
        """A name that is no text is still one."""
        self.plain(b"\0us\xff\r\ner\0secret")
        self.assertEqual(self.client.protocol.client().identity, "us\ufffd\r\ner")


class RefusedTests(PortalCase):
    """Whoever does not log in stays nobody."""

    def test_wrong(self):
        """535 5.7.8."""
        self.portal.result = fail(UnauthorizedLogin())
        self.assertEqual(self.plain(), b"535 5.7.8")
        self.assertFalse(self.client.protocol.authenticated)
        self.client.send(b"MAIL FROM:<a@x>\r\n")
        self.assertEqual(len(self.rig.reception.mails), 1)

    def test_malformed(self):
        """A response that makes no sense is 501, and no login is tried."""
        self.assertEqual(self.plain(b"user\0secret"), b"501 5.5.2")
        self.assertEqual(self.portal.credentials, [])

    def test_trouble(self):
        """The portal's trouble is 451, and in the log."""
        self.portal.result = fail(RuntimeError("secret"))
        self.assertEqual(self.plain(), b"451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_wrong_avatar(self):
        """An avatar that is no delivery is our trouble."""
        self.portal.result = succeed((Portal.__class__, None, self.portal.logout))
        self.assertEqual(self.plain(), b"451 4.3.0")
        self.assertFalse(self.client.protocol.authenticated)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_no_portal(self):
        """454 4.7.0."""
        self.client.protocol.portal = None
        self.assertEqual(self.plain(), b"454 4.7.0")

    def test_broken_challenger(self):
        """451, and in the log."""

        def broken():
            raise RuntimeError("secret")

        self.client.protocol.challengers = {b"PLAIN": broken}
        self.assertEqual(self.plain(), b"451 4.3.0")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_gone_in_the_middle(self):
        """A client that goes while the portal thinks: the login is cancelled; one that comes anyway is logged out."""
        cancelled = []
        self.portal.result = Deferred(cancelled.append)
        self.plain()
        self.client.lose()
        self.assertEqual(len(cancelled), 1)
        self.rig.factory.challengers = {b"PLAIN": PLAINCredentials}
        self.client = self.rig.connect().greet()
        self.portal.result = Deferred(lambda deferred: deferred.callback(self.portal.success()))
        self.plain()
        self.client.lose()
        self.assertEqual(self.portal.logouts, 1)

    def test_aborted(self):
        """An asterisk ends the exchange; the next one begins anew."""
        self.client.send(b"AUTH LOGIN\r\n")
        self.assertEqual(self.client.send(b"*\r\n")[:9], b"501 5.7.0")
        self.assertEqual(self.client.send(b"AUTH LOGIN\r\n")[:4], b"334 ")


class ExchangeTests(SynchronousTestCase):
    """The exchange by itself: what it says, and when."""

    def setUp(self):
        self.portal = Portal()

    def exchange(self, challenger=None):
        return PortalExchange(self.portal, challenger or PLAINCredentials())

    def test_at_once(self):
        """A portal that knows at once is not waited for."""
        step = self.exchange().begin(b"\0user\0secret")
        assert isinstance(step, PortalLogin)
        self.assertEqual((step.identity, step.login), ("user", self.portal.success()))

    def test_challenges(self):
        """Each challenge is a step."""
        exchange = self.exchange(LOGINCredentials())
        self.assertIsInstance(exchange.begin(None), Challenge)
        self.assertIsInstance(exchange.respond(b"user"), Challenge)
        self.assertIsInstance(exchange.respond(b"secret"), PortalLogin)

    def test_later(self):
        """Otherwise its answer is awaited; so is its trouble, which is raised."""
        for kind in (PortalLogin, LoginRefused):
            self.portal.result = Deferred()
            step = self.exchange().begin(b"\0user\0secret")
            self.assertNoResult(step)
            if kind is PortalLogin:
                self.portal.result.callback(self.portal.success())
            else:
                self.portal.result.errback(UnauthorizedLogin())
            self.assertIsInstance(self.successResultOf(step), kind)
        self.portal.result = fail(RuntimeError())
        self.failureResultOf(self.exchange().begin(b"\0user\0secret"), RuntimeError)

    def test_aborted(self):
        """Who logs in after having gone is logged out, once, and nobody is told of a login."""
        self.portal.result = Deferred(lambda deferred: deferred.callback(self.portal.success()))
        exchange = self.exchange()
        step = exchange.begin(b"\0user\0secret")
        exchange.abort()
        exchange.abort()
        self.assertIsInstance(self.successResultOf(step), LoginRefused)
        self.assertEqual(self.portal.logouts, 1)
