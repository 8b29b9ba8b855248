"""Tests for how much of one client is taken in a minute."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.rates import Rates
from smtpgw.model.envelope import Client
from smtpgw.model.verdict import ACCEPT
from tests.contracts.check import MAIL, STRANGER, CheckContract, recipient
from tests.policy.rig import UnixClock

TO = recipient("a", "ours.example")


class RatesTests(CheckContract, SynchronousTestCase):
    """A minute's worth, then later."""

    def make_check(self):
        """Three of each."""
        self.clock = UnixClock()
        return Rates(self.clock, connections=3, messages=3, recipients=3, most_clients=1000)

    def ask_all(self, check):
        """More than three of each."""
        for _ in range(5):
            yield check.check_connect(STRANGER)
            yield check.check_mail(STRANGER, MAIL)
            yield check.check_rcpt(STRANGER, MAIL, TO)

    def connections(self, check, client, count=10):
        """How many are taken."""
        return sum(check.check_connect(client) is ACCEPT for _ in range(count))

    def test_replies(self):
        """Too many connections end with 421, too many messages or recipients are asked to come again."""
        check = self.make_check()
        self.assertEqual(self.connections(check, STRANGER), 3)
        for _ in range(3):
            check.check_mail(STRANGER, MAIL)
            check.check_rcpt(STRANGER, MAIL, TO)
        self.assertEqual(
            [
                str(self.refusal_of(answer).reply)
                for answer in (
                    check.check_connect(STRANGER),
                    check.check_mail(STRANGER, MAIL),
                    check.check_rcpt(STRANGER, MAIL, TO),
                )
            ],
            [
                "421 4.7.0 Too many connections from you in a minute, try again in 20 seconds",
                "450 4.7.1 Too many messages from you in a minute, try again in 20 seconds",
                "450 4.7.1 Too many recipients from you in a minute, try again in 20 seconds",
            ],
        )
        self.clock.advance(20)
        self.assertEqual(self.connections(check, STRANGER), 1)

    def test_clients(self):
        """An IPv6 /64 is one client, an IPv4 address is one, however it is written."""
        check = self.make_check()
        self.assertEqual(self.connections(check, Client("2001:db8::1"), 3), 3)
        self.assertEqual(self.connections(check, Client("2001:db8::ffff:2")), 0)
        self.assertEqual(self.connections(check, Client("2001:db8:0:1::1")), 3)
        self.assertEqual(self.connections(check, Client("192.0.2.1")), 3)
        self.assertEqual(self.connections(check, Client("::ffff:192.0.2.1")), 0)
        self.assertEqual(self.connections(check, Client("::ffff:192.0.2.2")), 3)

    def test_identity(self):
        """Who has logged in is counted by account: not by address, and wherever from."""
        check = self.make_check()
        user = replace(STRANGER, identity="app")
        self.assertEqual([check.check_mail(user, MAIL) for _ in range(3)], [ACCEPT] * 3)
        self.refusal_of(check.check_mail(replace(user, address="192.0.2.1"), MAIL))
        self.assertIs(check.check_mail(replace(user, identity="other"), MAIL), ACCEPT)
        self.assertIs(check.check_mail(STRANGER, MAIL), ACCEPT)
        self.assertIs(check.check_rcpt(user, MAIL, TO), ACCEPT)

    def test_identity_like_address(self):
        """An account that is named like an address takes nothing from that address."""
        check = self.make_check()
        for _ in range(5):
            check.check_mail(replace(STRANGER, identity="192.0.2.1"), MAIL)
        self.assertIs(check.check_mail(Client("192.0.2.1"), MAIL), ACCEPT)

    def test_off(self):
        """What has no limit is not counted."""
        check = Rates(UnixClock(), connections=0, messages=0, recipients=1)
        self.assertEqual(self.connections(check, STRANGER, 1000), 1000)
        self.assertEqual([check.check_mail(STRANGER, MAIL) for _ in range(100)], [ACCEPT] * 100)
        check.check_rcpt(STRANGER, MAIL, TO)
        self.refusal_of(check.check_rcpt(STRANGER, MAIL, TO))

    def test_no_address(self):
        """Clients of a Unix socket are this machine, and not counted."""
        check = self.make_check()
        self.assertEqual(self.connections(check, Client("")), 10)
        self.assertEqual([check.check_mail(Client(""), MAIL) for _ in range(10)], [ACCEPT] * 10)

    def test_flood(self):
        """A flood from everywhere takes bounded memory."""
        check = self.make_check()
        for number in range(20_000):
            check.check_connect(Client(f"2001:db8:{number:x}::1"))
        assert check._connections is not None
        self.assertEqual(len(check._connections), 1000)
