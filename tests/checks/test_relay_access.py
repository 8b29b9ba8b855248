"""Tests for who may send where: the gateway is never an open relay."""

from ipaddress import ip_network

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.checks import RcptCheck
from smtpgw.checks.recipients import Recipients
from smtpgw.checks.relay_access import RelayAccess
from smtpgw.model.domains import LocalDomain, LocalDomains
from smtpgw.model.envelope import Client
from smtpgw.model.reply import reply
from smtpgw.model.route import Route, ViaSink
from smtpgw.model.verdict import Accept, Refuse
from smtpgw.policy.evaluate import evaluate_rcpt
from tests.contracts.check import MAIL, STRANGER, CheckContract, recipient

ROUTE = Route("local", ViaSink("discard:"))
DOMAINS = LocalDomains([LocalDomain("ours.example", ROUTE), LocalDomain("*.wild.example", ROUTE)])
NETWORKS = (ip_network("192.0.2.0/24"), ip_network("2001:db8::/32"), ip_network("127.0.0.0/8"))


class RelayAccessTests(CheckContract, SynchronousTestCase):
    """Local domains for everyone, all others for those who may relay."""

    secrets = ("192.0.2", "ours", "wild")

    def make_check(self):
        """Two local domains, three networks."""
        return RelayAccess(DOMAINS, NETWORKS)

    def ask_all(self, check):
        """Local, not local, no domain."""
        yield check.check_rcpt(STRANGER, MAIL, recipient("a", "ours.example"))
        yield check.check_rcpt(STRANGER, MAIL, recipient("a", "remote.example"))
        yield RelayAccess(LocalDomains(), NETWORKS).check_rcpt(STRANGER, MAIL, recipient("postmaster", ""))
        yield check.check_rcpt(Client("192.0.2.1"), MAIL, recipient("a", "remote.example"))

    def may(self, client, local, domain, check=None):
        """Whether it is accepted."""
        verdict = (check or self.make_check()).check_rcpt(client, MAIL, recipient(local, domain))
        if isinstance(verdict, Accept):
            return True
        self.assertEqual((verdict.reply.code, verdict.reply.status), (550, "5.7.1"))
        return False

    def test_local(self):
        """Anyone may write to our domains."""
        for domain in ("ours.example", "a.wild.example", ""):
            self.assertTrue(self.may(STRANGER, "a", domain), domain)

    def test_remote(self):
        """A stranger may not write to others, whatever they look like."""
        domains = (
            "remote.example",
            "sub.ours.example",
            "wild.example",
            "notours.example",
            "ours.example.remote.example",
            "[203.0.113.9]",
            "[127.0.0.1]",
            "[IPv6:::1]",
            "localhost",
            "gw.example",
        )
        for domain in domains:
            self.assertFalse(self.may(STRANGER, "a", domain), domain)

    def test_networks(self):
        """Clients in the relay networks may write to anybody; an IPv4 address in IPv6 clothes is an IPv4 address."""
        for address in ("192.0.2.77", "2001:db8::5", "127.0.0.1", "::ffff:192.0.2.77", "2001:db8::5%eth0"):
            self.assertTrue(self.may(Client(address), "a", "remote.example"), address)
        for address in (
            "192.0.3.1",
            "2001:db9::5",
            "::ffff:203.0.113.9",
            "::192.0.2.1",
            "",
            "192.0.2",
            "x",
            "192.0.2.1 ",
        ):
            self.assertFalse(self.may(Client(address), "a", "remote.example"), address)

    def test_no_networks(self):
        """Without networks nobody may relay, loopback neither."""
        self.assertFalse(self.may(Client("127.0.0.1"), "a", "remote.example", RelayAccess(DOMAINS, ())))

    def test_identity(self):
        """Who has authenticated may relay; what our own command hands in, too; a claim in HELO is neither."""
        self.assertTrue(self.may(replace(STRANGER, identity="app"), "a", "remote.example"))
        self.assertTrue(self.may(Client("", protocol="LOCAL"), "a", "remote.example"))
        self.assertFalse(self.may(replace(STRANGER, identity=""), "a", "remote.example"))
        self.assertFalse(self.may(replace(STRANGER, helo="127.0.0.1", name="ours.example"), "a", "remote.example"))

    def test_relay_only(self):
        """A listener that only relays takes nothing from strangers, for our own domains neither."""
        check = RelayAccess(LocalDomains(), NETWORKS)
        self.assertFalse(self.may(STRANGER, "a", "ours.example", check))
        self.assertTrue(self.may(Client("192.0.2.1"), "a", "ours.example", check))

    def test_postmaster_of_nobody(self):
        """Without any domain there is no postmaster to deliver to, for nobody."""
        for client in (STRANGER, Client("127.0.0.1")):
            verdict = RelayAccess(LocalDomains(), NETWORKS).check_rcpt(client, MAIL, recipient("postmaster", ""))
            self.assertEqual(self.refusal_of(verdict).reply, reply(550, "5.1.1", "No such recipient here"))


class OpenRelayTests(SynchronousTestCase):
    """The classic ways to make a gateway relay for a stranger, against all checks of RCPT together."""

    def refused(self, local, domain, recipients=None):
        """The reply."""
        domains = LocalDomains([LocalDomain("ours.example", ROUTE, recipients)])
        checks: list[RcptCheck] = [RelayAccess(domains, NETWORKS), Recipients(domains)]
        verdict = evaluate_rcpt(checks, STRANGER, MAIL, recipient(local, domain))
        assert isinstance(verdict, Refuse)
        return verdict.reply

    def test_hidden_domains(self):
        """Another address inside the local part stays ours, and we have no such recipient, catch-all or not."""
        local_parts = (
            "user%remote.example",
            "user%remote.example%ours.example",
            "remote.example!user",
            "user@remote.example",
            "@remote.example:user",
            "@ours.example:user@remote.example",
            "user@[127.0.0.1]",
        )
        for local in local_parts:
            for recipients in (None, frozenset({"user"}), lambda local, domain: local == "user"):
                self.assertEqual(self.refused(local, "ours.example", recipients).status, "5.1.1", local)

    def test_hidden_ours(self):
        """Our domain inside the local part of a foreign address makes it no less foreign."""
        for local in ("user@ours.example", "user%ours.example", "ours.example!user"):
            self.assertEqual(self.refused(local, "remote.example").status, "5.7.1", local)
