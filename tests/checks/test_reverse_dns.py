"""Tests for addresses without a name."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.reverse_dns import ReverseDns
from smtpgw.model.dns import AnswerStatus, RecordType
from smtpgw.model.envelope import Client
from smtpgw.model.verdict import ACCEPT, Accept
from smtpgw.policy.client_names import ClientNames
from tests.contracts.check import MAIL, STRANGER, CheckContract
from tests.policy.rig import Rig, waited

NAMED = replace(STRANGER, address="203.0.113.10")
LOST = replace(STRANGER, address="203.0.113.11")
ZONE = {
    ("10.113.0.203.in-addr.arpa", RecordType.PTR): ["mail.remote.example"],
    ("mail.remote.example", RecordType.A): ["203.0.113.10"],
    ("11.113.0.203.in-addr.arpa", RecordType.PTR): AnswerStatus.TEMPORARY,
    ("9.113.0.203.in-addr.arpa", RecordType.PTR): ["evil\r\nX: y.example", "\x1b[2J.example"],
}


class ReverseDnsTests(CheckContract, SynchronousTestCase):
    """No name, no mail, if the operator wants it so."""

    secrets = ("zone says", "remote", "\r", "evil")

    def make_check(self, *, enforces=True, at_door=True, delays=True, held=()):
        """One that enforces, at the door."""
        self.rig = Rig(ZONE, held)
        names = ClientNames(self.rig.resolver, self.rig.tasks, self.rig.clock)
        return ReverseDns(names, enforces=enforces, at_door=at_door, delays=delays)

    def ask_all(self, check):
        """With a name, without, and while that can't be told; enforced, marked, delayed or not."""
        for enforces in (True, False):
            for delays in (True, False):
                for one in (check, self.make_check(enforces=enforces, delays=delays)):
                    for client in (STRANGER, NAMED, LOST, Client("")):
                        yield one.check_connect(client)
                        yield one.check_mail(client, MAIL)

    def test_at_door(self):
        """Without a name 554 instead of the banner; 421 while that can't be told."""
        check = self.make_check()
        self.assertIs(check.check_connect(NAMED), ACCEPT)
        refused = self.refusal_of(check.check_connect(STRANGER)).reply
        self.assertEqual((refused.code, refused.status), (554, "5.7.25"))
        refusal = self.refusal_of(check.check_connect(LOST))
        self.assertEqual((refusal.reply.code, refusal.reply.status), (421, "4.7.25"))
        self.assertEqual(refusal.cause, "reverse DNS: the zone says so")

    def test_at_mail(self):
        """Where clients may log in the door lets all in, and MAIL is refused; 450 while that can't be told."""
        check = self.make_check(at_door=False)
        for client in (NAMED, STRANGER, LOST):
            self.assertIs(self.verdict_of(check.check_connect(client)), ACCEPT)
        self.assertIs(check.check_mail(NAMED, MAIL), ACCEPT)
        self.assertEqual(self.refusal_of(check.check_mail(STRANGER, MAIL)).reply.code, 554)
        self.assertEqual(self.refusal_of(check.check_mail(LOST, MAIL)).reply.code, 450)

    def test_name_is_enough(self):
        """Who came in with a name is not looked up again."""
        check = self.make_check()
        self.assertIs(check.check_mail(replace(LOST, name="mail.remote.example"), MAIL), ACCEPT)
        self.assertEqual(self.rig.resolver.questions, [])

    def test_mark(self):
        """Where it is only marked, it is noted, at once or later."""
        check = self.make_check(enforces=False, at_door=False)
        self.assertEqual(check.check_mail(STRANGER, MAIL), Accept(("reverse_dns: no confirmed name",)))
        self.assertEqual(check.check_mail(LOST, MAIL), Accept(("reverse_dns: can't be told now",)))

    def test_down_accepts(self):
        """Where the operator wants it, a dead name server lets everybody in, and is noted."""
        check = self.make_check(delays=False)
        self.assertEqual(check.check_connect(LOST), Accept(("reverse_dns: can't be told now",)))

    def test_slow(self):
        """A name server that takes its time is waited for, but not for ever."""
        for at_door in (True, False):
            check = self.make_check(at_door=at_door, held=None)
            door = waited(check.check_connect(NAMED))
            mail = waited(check.check_mail(NAMED, MAIL))
            self.assertNoResult(door)
            self.rig.resolver.go()
            self.assertIs(self.successResultOf(door), ACCEPT)
            self.assertIs(self.successResultOf(mail), ACCEPT)
        check = self.make_check(held=None)
        door, mail = waited(check.check_connect(NAMED)), waited(check.check_mail(NAMED, MAIL))
        self.rig.clock.advance(5)
        self.assertEqual(self.successResultOf(door).reply.code, 421)
        self.assertEqual(self.successResultOf(mail).reply.code, 450)

    def test_gone(self):
        """A client that leaves while it is looked up takes nothing from the next."""
        check = self.make_check(held=None)
        first, second = waited(check.check_connect(NAMED)), waited(check.check_connect(NAMED))
        first.addErrback(lambda _: None)
        first.cancel()
        self.rig.resolver.go()
        self.assertIs(self.successResultOf(second), ACCEPT)
