"""
Twisted's own tests of its SMTP server, run against ours.

Where ours differs on purpose, the test is repeated here with what we promise instead. One difference is everywhere:
replies carry an enhanced status (RFC 2034), which is taken out before Twisted's texts are compared.
"""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import re
from typing import Any

from twisted.cred.portal import Portal
from twisted.internet import error
from twisted.internet.testing import StringTransport
from twisted.mail import smtp
from twisted.mail.test import test_smtp as upstream
from twisted.trial.unittest import TestCase

from smtpgw.net.server import GatewayESMTP

_STATUS = re.compile(rb"(?m)^(\d\d\d[ -])\d\.\d+\.\d+ ")


class PlainTransport(StringTransport):
    """Shows replies without their enhanced status."""

    def value(self):
        return _STATUS.sub(rb"\1", super().value())


class OnOurClass:
    """For tests that make their servers by name."""

    def setUp(self):
        self.patch(smtp, "ESMTP", GatewayESMTP)
        self.patch(smtp, "SMTP", GatewayESMTP)
        self.patch(upstream, "StringTransport", PlainTransport)
        ready = getattr(super(), "setUp", None)
        return ready() if ready is not None else None


class OurServer(upstream.DummyProto, GatewayESMTP):
    """The server that Twisted's tests use, over our class."""

    delivery: Any
    dummyMixinBase = GatewayESMTP  # noqa: N815


class DialogueTests(upstream.AnotherTestCase, TestCase):
    """Three messages, source routes and dots at the start of lines among them."""

    serverClass = OurServer  # noqa: N815
    clientClass = upstream.MyESMTPClient


class LoginTests(upstream.AuthTests):
    """Twisted's client logs in to our server over TCP."""

    def setUp(self):
        self.patch(upstream, "DummyESMTP", OurServer)


class AuthenticationTests(OnOurClass, upstream.ESMTPAuthenticationTests):
    """AUTH with the user's own challengers and portal."""

    def test_authenticationCapabilityAdvertised(self):
        """AUTH is offered; the client's name is needed, ours comes first, and there are more extensions."""
        self.transport.clear()
        self.server.dataReceived(b"EHLO client.example\r\n")
        lines = self.transport.value().splitlines()
        self.assertEqual(lines[0], b"250-localhost")
        self.assertIn(b"250-AUTH LOGIN", lines)


class ServerTests(OnOurClass, upstream.SMTPServerTests):
    """Greetings, unknown commands, and senders accepted or refused by deliveries and portals."""

    def test_SMTPUnknownCommand(self):
        """The text is ours, the code is Twisted's."""
        server = GatewayESMTP()
        transport = StringTransport()
        server.makeConnection(transport)
        server.lineReceived(b"DOAGOODTHING")
        server.connectionLost(error.ConnectionDone())
        self.assertIn(b"500 5.5.2 Command not recognised\r\n", transport.value())

    def testSMTPGreetingNotExtended(self):
        """There is no server without extensions: ours always says ESMTP."""
        server = GatewayESMTP()
        transport = StringTransport()
        server.makeConnection(transport)
        server.connectionLost(error.ConnectionDone())
        self.assertRegex(transport.value(), rb"\A220 \S+ ESMTP")

    def test_acceptSenderAddress(self):
        """The text is ours, the code is Twisted's."""

        class AcceptingDelivery(upstream.NotImplementedDelivery):
            def validateFrom(self, helo, origin):
                return origin

        realm = upstream.SingletonRealm(smtp.IMessageDelivery, AcceptingDelivery())
        server = GatewayESMTP()
        server.portal = Portal(realm, [upstream.AllowAnonymousAccess()])
        transport = StringTransport()
        server.makeConnection(transport)
        server.dataReceived(b"HELO example.com\r\n")
        transport.clear()
        server.dataReceived(b"MAIL FROM:<alice@example.com>\r\n")
        server.connectionLost(error.ConnectionLost())
        self.assertEqual(transport.value(), b"250 2.1.0 Ok\r\n")


class EmptyLineTests(OnOurClass, upstream.EmptyLineTests):
    """An empty line is a syntax error."""


class TLSTests(upstream.TLSTests):
    """STARTTLS with Twisted's client over TCP."""

    def setUp(self):
        self.patch(upstream, "DummyESMTP", OurServer)
