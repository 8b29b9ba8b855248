"""Tests for who is not asked."""

from ipaddress import ip_network

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import Client
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse
from smtpgw.policy.exempt import (
    ConnectUnless,
    MailUnless,
    RcptUnless,
    TrustedClients,
    TrustedNetworks,
    UncountedClients,
)
from tests.contracts.check import MAIL, STRANGER, recipient

NO = Refuse(reply(550, "5.7.1", "No"), "never")
NETWORKS = TrustedNetworks((ip_network("192.0.2.0/24"), ip_network("2001:db8::/32")))
USER = replace(STRANGER, identity="app")
INSIDE = Client("192.0.2.7")
INSIDE_USER = replace(INSIDE, identity="app")
OWN = Client("", protocol="LOCAL")
CLAIMS = replace(STRANGER, helo="192.0.2.7", name="192.0.2.7", identity="")


class Never:
    """A rule that refuses everything."""

    name = "never"

    def check_connect(self, client):
        """No."""
        return NO

    def check_mail(self, client, mail):
        """No."""
        return NO

    def check_rcpt(self, client, mail, to):
        """No."""
        return NO


class TrustTests(SynchronousTestCase):
    """Trust comes from address, login or this machine, and from nothing that a client says."""

    def test_networks(self):
        """Addresses in the networks, also mapped ones, and what this machine hands in."""
        for client in (INSIDE, OWN, Client("::ffff:192.0.2.7"), Client("2001:db8::5%eth0")):
            self.assertTrue(NETWORKS(client), client)
        for client in (STRANGER, USER, CLAIMS, Client(""), Client("x"), Client("::192.0.2.7")):
            self.assertFalse(NETWORKS(client), client)

    def test_clients(self):
        """Those, and who has logged in."""
        trusted = TrustedClients(NETWORKS)
        for client in (INSIDE, OWN, USER, INSIDE_USER):
            self.assertTrue(trusted(client), client)
        for client in (STRANGER, CLAIMS):
            self.assertFalse(trusted(client), client)

    def test_uncounted(self):
        """Rates concern strangers and accounts, but not the networks themselves."""
        uncounted = UncountedClients(NETWORKS)
        for client in (INSIDE, OWN):
            self.assertTrue(uncounted(client), client)
        for client in (STRANGER, CLAIMS, USER, INSIDE_USER):
            self.assertFalse(uncounted(client), client)

    def test_unless(self):
        """Trusted clients are not asked, at no stage; the others are. The rule keeps its name."""
        trusted = TrustedClients(NETWORKS)
        never = Never()
        for client, verdict in ((INSIDE, ACCEPT), (USER, ACCEPT), (STRANGER, NO)):
            self.assertIs(ConnectUnless(never, trusted).check_connect(client), verdict)
            self.assertIs(MailUnless(never, trusted).check_mail(client, MAIL), verdict)
            self.assertIs(RcptUnless(never, trusted).check_rcpt(client, MAIL, recipient("a", "b.example")), verdict)
        for unless in (ConnectUnless(never, trusted), MailUnless(never, trusted), RcptUnless(never, trusted)):
            self.assertEqual(unless.name, "never")
