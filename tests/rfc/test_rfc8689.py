"""RFC 8689: REQUIRETLS."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.dns import RecordType
from smtpgw.model.envelope import Returned, TlsFacts
from smtpgw.model.outcome import Failed, Scope
from smtpgw.model.route import Route, TlsNeed, ViaHost
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.rfc.talk import CONTENT, ENVELOPE, Inside, Talk
from tests.service.house import refuses, relays
from tests.service.test_dispatch_promises import PromiseCase
from tests.smtp.test_conversation import Stage
from tests.smtp.test_conversation_envelope import job_with

VERIFIED = TlsFacts("TLSv1.3", "x", verified=True)


def unprotected(job, slot):
    """A host without REQUIRETLS."""
    return Failed("5.7.30", "the host does not offer REQUIRETLS", Scope.HOST, None, "mx.a.test", "192.0.2.8")


class ServerTests(SynchronousTestCase):
    """Sections 2 and 4.1."""

    @holds("8689", "2", "REQUIRETLS is offered inside of TLS only, without parameters.")
    def test_offer(self):
        """In clear text it is no parameter of ours."""
        self.assertEqual(Inside().offers()["REQUIRETLS"], "")
        talk = Talk()
        self.assertNotIn("REQUIRETLS", talk.offers())
        self.assertEqual(talk.codes("MAIL FROM:<a@a.example> REQUIRETLS"), [555])

    @holds("8689", "2", "The parameter has no value.")
    def test_value(self):
        """501 with one, and when it is given twice."""
        talk = Inside().greet()
        self.assertEqual(talk.codes("MAIL FROM:<> REQUIRETLS=1", "MAIL FROM:<> REQUIRETLS REQUIRETLS"), [501, 501])

    @holds("8689", "4.1", "A message whose MAIL had REQUIRETLS is marked so, and no other one.")
    def test_marked(self):
        """In its envelope."""
        talk = Inside().greet()
        for parameter in (" REQUIRETLS", ""):
            talk.say(ENVELOPE[0] + parameter, ENVELOPE[1], "DATA", *CONTENT)
        self.assertEqual([one.envelope.parameters.requires_tls for one in talk.messages], [True, False])

    @does_not_hold(
        "8689",
        "4.1",
        "A header field TLS-Required: No marks a message as one that may go without TLS.",
        "Headers are not read for it. Where no route asks for TLS it goes in clear text anyway; where one does, that is"
        " the operator's word.",
    )
    def test_header(self):
        """Nothing of it is in the envelope."""
        talk = Inside().greet()
        for field in ("TLS-Required: No", "Subject: x"):
            talk.say(*ENVELOPE, "DATA", field, "", ".")
        self.assertEqual(talk.messages[0].envelope, talk.messages[1].envelope)


class SendingTests(PromiseCase):
    """Section 4.2.1."""

    def status_of(self, *heard, tls=None):
        """What becomes of such a message at a host that says this."""
        stage = Stage(TlsNeed.OPPORTUNISTIC, job_with(requires_tls=True))
        for octets in (b"220 x\r\n", *heard):
            stage.hear(octets)
            if octets.startswith(b"220 go"):
                stage.conversation.secured(tls)
        stage.conversation.resume()
        self.assertNotIn(b"MAIL", stage.sent)
        [[outcome]] = stage.outcomes
        self.assertIsInstance(outcome, Failed)
        return outcome.status

    @holds("8689", "4.2.1", "As a client, where there is no TLS with a verified certificate it fails with 5.7.10.")
    def test_no_tls(self):
        """Not offered, or not verified."""
        self.assertEqual(self.status_of(b"250 mx\r\n"), "5.7.10")
        starttls = b"250-mx\r\n250 STARTTLS\r\n"
        unverified = TlsFacts("TLSv1.3", "x")
        self.assertEqual(
            self.status_of(starttls, b"220 go\r\n", b"250-mx\r\n250 REQUIRETLS\r\n", tls=unverified), "5.7.10"
        )

    @holds("8689", "4.2.1", "As a client, where the host does not offer REQUIRETLS it fails with 5.7.30.")
    def test_not_offered(self):
        """Inside of TLS, which is what counts."""
        outside = b"250-mx\r\n250-REQUIRETLS\r\n250 STARTTLS\r\n"
        self.assertEqual(self.status_of(outside, b"220 go\r\n", b"250 mx\r\n", tls=VERIFIED), "5.7.30")

    @holds("8689", "4.2.1", "As a client, the parameter goes on to the next hop.")
    def test_passed_on(self):
        """Behind everything that was asked for."""
        stage = Stage(TlsNeed.OPPORTUNISTIC, job_with(requires_tls=True))
        stage.hear(b"220 x\r\n")
        stage.hear(b"250-mx\r\n250 STARTTLS\r\n")
        stage.hear(b"220 go\r\n")
        stage.conversation.secured(VERIFIED)
        self.assertEqual(stage.hear(b"250-mx\r\n250 REQUIRETLS\r\n"), b"MAIL FROM:<alice@example.com> REQUIRETLS\r\n")

    @holds_in_part(
        "8689",
        "4.2.1",
        "As a client, hosts that DNSSEC or MTA-STS vouches for are sent such mail, others not.",
        "Only hosts that DNSSEC vouches for, and smarthosts, whose names are the operator's. MTA-STS comes later;"
        " till then mail for its domains fails with 5.7.10.",
    )
    def test_names(self):
        """From DNS without validation: no host is even connected to for it."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.take(("x@a.test", None), requires_tls=True)
        self.house.run(1)
        self.assertEqual(self.sent(), [])
        self.assertIn(b"Status: 5.7.10", self.notifications()[0])

    @holds("8689", "4.2.1", "As a client, when one host can't take such mail the others of its domain are tried.")
    def test_other_hosts(self):
        """It fails when all have been asked, and not before."""
        hosts = ("192.0.2.7", "192.0.2.8", "192.0.2.9")
        for fit in (None, *hosts):
            self.make_house(routes=[("a.test", Route("r", ViaHost("mx.a.test", 25)))])
            self.house.resolver.zone["mx.a.test", RecordType.A] = list(hosts)
            self.house.dialer.hosts |= {host: relays if host == fit else unprotected for host in hosts}
            self.take(("x@a.test", None), ("y@a.test", None), requires_tls=True)
            self.house.run(10)
            asked = [address for address, _ in self.house.dialer.sent if address in hosts]
            self.assertEqual(len(set(asked)), len(asked), fit)
            self.assertEqual([] if fit is None else asked[-1:], [] if fit is None else [fit])
            self.assertEqual(len(self.notifications()), 1 if fit is None else 0)
            self.assertEqual(self.house.spool.entries, {})
            if fit is None:
                self.assertEqual(len(asked), len(hosts))
                self.assertEqual(self.notifications()[0].count(b"Status: 5.7.30"), 2)


class NotificationTests(PromiseCase):
    """Section 5."""

    def report(self, **parameters):
        """The notification of such a message, and its envelope."""
        self.make_house(routes=[("a.test", Route("r", ViaHost("192.0.2.1", 25)))])
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.take(("x@a.test", None), content=b"Subject: x\r\n\r\nsecret\r\n", **parameters)
        self.house.run(1)
        [job] = [job for _, job in self.house.dialer.sent if job.message.envelope.reverse_path is None]
        return job.body.inline(), job.message.envelope

    @holds("8689", "5", "The notification about a message with REQUIRETLS has REQUIRETLS, and only the header with it.")
    def test_marked(self):
        """Whatever the message failed of."""
        self.assertTrue(self.report(requires_tls=True)[1].parameters.requires_tls)
        self.assertFalse(self.report()[1].parameters.requires_tls)

    @holds("8689", "5", "The notification about a message with REQUIRETLS has REQUIRETLS, and only the header with it.")
    def test_header_only(self):
        """The body may be what was to be kept from others."""
        self.assertIn(b"secret", self.report(returned=Returned.FULL)[0])
        self.assertNotIn(b"secret", self.report(returned=Returned.FULL, requires_tls=True)[0])
