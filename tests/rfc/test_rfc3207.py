"""RFC 3207: STARTTLS."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.relay import LinkFailure
from smtpgw.config.schema import ListenConfig, ListenTls, RouteConfig
from smtpgw.model.outcome import Relayed
from smtpgw.model.route import TlsNeed
from smtpgw.net.server_settings import ServerSettings
from smtpgw.smtp.extension import Facts
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.rfc.talk import ENVELOPE, Inside, Talk
from tests.smtp.test_conversation import FACTS, Stage, make_job


def inside(**rules):
    """A session in clear text that can have TLS; STARTTLS begins it at once."""
    return Inside(facts=Facts(tls_available=True), **rules)


class ServerTests(SynchronousTestCase):
    """Sections 2, 4 and 4.2."""

    @holds("3207", "2", "STARTTLS is offered without parameters, and only where TLS can be had.")
    def test_offer(self):
        """A listener without a certificate does not offer it."""
        self.assertEqual(inside().offers()["STARTTLS"], "")
        self.assertNotIn("STARTTLS", Talk().offers())

    @holds("3207", "4", "STARTTLS with parameters is 501.")
    def test_parameters(self):
        """And nothing begins."""
        talk = inside()
        self.assertEqual(talk.codes("STARTTLS now"), [501])
        self.assertIn("STARTTLS", talk.offers())

    @holds("3207", "4", "STARTTLS is answered 220 before the handshake.")
    def test_answer(self):
        """Nothing else is said in clear text behind it."""
        self.assertEqual(inside().greet().say("STARTTLS"), "220 2.0.0 Ready to start TLS\r\n")

    @does_not_hold(
        "3207",
        "4",
        "TLS that can't be had for the moment is 454.",
        "Without a certificate that can be used the gateway does not start; with one TLS can always be had. Where it"
        " is switched off STARTTLS is 502.",
    )
    def test_not_available(self):
        """It was not offered either."""
        self.assertEqual(Talk().greet().codes("STARTTLS"), [502])

    @holds("3207", "4", "A server that takes mail from everybody does not require TLS.")
    def test_not_required(self):
        """Unless the operator says so."""
        self.assertNotIn("required", (ListenConfig().tls.value, ServerSettings(hostname="mx").tls))
        self.assertEqual(inside().greet().codes(*ENVELOPE), [250, 250])

    @holds(
        "3207", "4", "Where TLS is required MAIL, RCPT and DATA are 530 before it; EHLO, NOOP and STARTTLS are served."
    )
    def test_required(self):
        """VRFY and HELP, too."""
        talk = inside(requires_tls=True).greet()
        lines = ("NOOP", "VRFY x", "HELP", "RSET", ENVELOPE[0], "FOO", "QUIT")
        self.assertEqual(talk.codes(*lines), [250, 530, 530, 530, 530, 530, 221])

    @holds("3207", "4.2", "A transaction that was open before TLS is gone after it.")
    def test_transaction(self):
        """RCPT has no place, and MAIL needs EHLO."""
        talk = inside().greet()
        talk.say(*ENVELOPE)
        talk.say("STARTTLS")
        self.assertEqual(talk.codes(ENVELOPE[1], ENVELOPE[0]), [503, 503])

    @holds("3207", "4.2", "The reply to EHLO inside TLS may be another one: what needs TLS is offered only there.")
    def test_other_offer(self):
        """REQUIRETLS comes, STARTTLS goes."""
        talk = inside()
        before = talk.offers()
        talk.say("STARTTLS")
        behind = talk.offers()
        self.assertEqual(set(behind) - set(before), {"REQUIRETLS"})
        self.assertEqual(set(before) - set(behind), {"STARTTLS"})

    @holds("3207", "4.2", "STARTTLS inside TLS is 503.")
    def test_twice(self):
        """There is one handshake."""
        talk = inside().greet()
        talk.say("STARTTLS")
        self.assertEqual(talk.greet().codes("STARTTLS"), [503])


class ClientTests(SynchronousTestCase):
    """Sections 4, 4.1 and 6."""

    def hear(self, need, *heard):
        """What a client that needs TLS so much makes of it."""
        stage = Stage(need, make_job())
        for octets in (b"220 x\r\n", *heard):
            stage.hear(octets)
        return stage

    @holds("3207", "4", "As a client, a message is not sent where TLS is required and not offered, or refused.")
    def test_required(self):
        """The host is told QUIT, and the message waits."""
        for heard in ((b"250 mx\r\n",), (b"250-mx\r\n250 STARTTLS\r\n", b"454 not now\r\n")):
            stage = self.hear(TlsNeed.REQUIRED, *heard)
            self.assertEqual((stage.sent, stage.names), (b"QUIT\r\n", ["failed"]))

    @holds_in_part(
        "3207",
        "6",
        "As a client, somebody on the way who takes STARTTLS out of the offer can't have the mail in clear text.",
        "Not where a route asks for tls = required or verify; by default mail is sent in clear text where TLS is not"
        " offered.",
    )
    def test_stripped(self):
        """By default it is sent."""
        self.assertIs(RouteConfig().tls, TlsNeed.OPPORTUNISTIC)
        stage = self.hear(TlsNeed.OPPORTUNISTIC, b"250 mx\r\n", b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n")
        self.assertIsInstance(stage.outcomes[0][0], Relayed)

    @holds(
        "3207", "4.1", "As a client, a certificate that is not for the host ends it where verification was asked for."
    )
    def test_verified(self):
        """Anywhere else TLS that is not verified is better than none."""
        heard = (b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n")
        stage = self.hear(TlsNeed.VERIFY, *heard)
        stage.conversation.secured(FACTS, "it is not for mx.example.net")
        failure = LinkFailure("tls", "the certificate is not verified: it is not for mx.example.net")
        self.assertEqual(stage.events, [("failed", failure, False)])
        stage = self.hear(TlsNeed.OPPORTUNISTIC, *heard)
        stage.conversation.secured(FACTS, "it is self-signed")
        self.assertEqual(stage.sent, b"EHLO gw.example.com\r\n")

    @holds("3207", "4.2", "As a client, STARTTLS that a host offers inside TLS is not used.")
    def test_not_twice(self):
        """MAIL comes next."""
        stage = self.hear(TlsNeed.OPPORTUNISTIC, b"250-mx\r\n250 STARTTLS\r\n", b"220 go\r\n")
        stage.conversation.secured(FACTS)
        self.assertTrue(stage.hear(b"250-mx\r\n250 STARTTLS\r\n").startswith(b"MAIL"))

    @holds("3207", "4", "As a server, a listener may have TLS off, offered, required, or from the first octet on.")
    def test_listener(self):
        """As the operator says."""
        self.assertEqual([tls.value for tls in ListenTls], ["off", "starttls", "required", "implicit"])
