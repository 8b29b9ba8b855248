"""Tests for clients on DNS lists."""

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.dns_lists import DnsLists
from smtpgw.model.dns import AnswerStatus, RecordType
from smtpgw.model.verdict import ACCEPT, Accept
from smtpgw.policy.dns_listings import DnsList, DnsListings
from smtpgw.smtp.replies import encode
from tests.clauses import holds
from tests.contracts.check import MAIL, STRANGER, CheckContract, recipient
from tests.policy.rig import Rig, waited

TO = recipient("a", "ours.example")
BAD = DnsList("bad.example")
GOOD = DnsList("good.example")
SOFT_BAD = DnsList("bad.example", delays=False)
SOFT_GOOD = DnsList("good.example", delays=False)
LISTED = {("9.113.0.203.bad.example", RecordType.A): ["127.0.0.2"]}
VOUCHED = {("9.113.0.203.good.example", RecordType.A): ["127.0.0.2"]}
BAD_DOWN = {("9.113.0.203.bad.example", RecordType.A): AnswerStatus.TEMPORARY}
GOOD_DOWN = {("9.113.0.203.good.example", RecordType.A): AnswerStatus.TEMPORARY}


class DnsListsTests(CheckContract, SynchronousTestCase):
    """What the lists say is what the client hears, unless somebody vouches for it."""

    secrets = ("zone says", "\r", "\x1b")

    def make_check(self, zone=None, bad=(BAD,), good=(GOOD,), held=()):
        """Two lists."""
        self.rig = Rig(zone or {}, held)
        return DnsLists(DnsListings(bad, good, self.rig.resolver, self.rig.tasks, self.rig.clock))

    def ask(self, *arguments):
        """What one listed client gets."""
        return self.verdict_of(self.make_check(*arguments).check_rcpt(STRANGER, MAIL, TO))

    def ask_all(self, check):
        """All that the lists can say."""
        yield check.check_connect(STRANGER)
        text = {("9.113.0.203.bad.example", RecordType.TXT): [b"go\r\n250 away\x1b[2J\xff\x00"]}
        for zone in ({}, LISTED, LISTED | text, VOUCHED, BAD_DOWN, GOOD_DOWN | LISTED):
            for bad, good in ((BAD, GOOD), (SOFT_BAD, SOFT_GOOD)):
                yield self.ask(zone, (bad,), (good,))

    def code(self, *arguments):
        """Of the reply; 250 when it is accepted."""
        verdict = self.ask(*arguments)
        return 250 if isinstance(verdict, Accept) else verdict.reply.code

    def test_table(self):
        """Bad and good lists, up and down, that delay and that don't."""
        for zone, hard, soft in (
            ({}, 250, 250),
            (LISTED, 554, 554),
            (LISTED | VOUCHED, 250, 250),
            (VOUCHED, 250, 250),
            (VOUCHED | BAD_DOWN, 250, 250),
            (BAD_DOWN, 451, 250),
            (GOOD_DOWN, 250, 250),
            (LISTED | GOOD_DOWN, 451, 554),
            (BAD_DOWN | GOOD_DOWN, 451, 250),
        ):
            self.assertEqual((self.code(zone), self.code(zone, (SOFT_BAD,), (SOFT_GOOD,))), (hard, soft), zone)

    def test_replies(self):
        """The client learns which list has it, and why; of ours only that a name server is in trouble."""
        text = {("9.113.0.203.bad.example", RecordType.TXT): [b"See https://bad.example/9"]}
        self.assertEqual(
            str(self.refusal_of(self.ask(LISTED | text)).reply),
            "554 5.7.1 Your address 203.0.113.9 is listed by bad.example: See https://bad.example/9",
        )
        self.assertEqual(
            str(self.refusal_of(self.ask(LISTED)).reply),
            "554 5.7.1 Your address 203.0.113.9 is listed by bad.example",
        )
        refusal = self.refusal_of(self.ask(BAD_DOWN))
        self.assertEqual((refusal.reply.code, refusal.reply.status), (451, "4.4.3"))
        self.assertEqual(refusal.cause, "no answer from bad.example")
        self.assertNotIn("bad.example", str(refusal.reply))

    def test_hostile_text(self):
        """A text with line ends, escapes or without end becomes one short line of the reply."""
        for text in (
            b"x\r\n250 2.0.0 Ok",
            b"\x1b]0;title\x07",
            b"\x00\xff\xfe",
            b"\xe2\x80\xa8\xe2\x80\xae",
            b"y" * 9999,
        ):
            zone = LISTED | {("9.113.0.203.bad.example", RecordType.TXT): [text]}
            line = self.refusal_of(self.ask(zone)).reply.lines[0]
            self.assertTrue(line.isascii() and line.isprintable(), text)
            self.assertLess(len(line), 300)
            octets = encode(self.refusal_of(self.ask(zone)).reply)
            self.assertEqual(octets.count(b"\n"), 1)
            self.assertLessEqual(len(octets), 512)

    def test_notes(self):
        """What was in favour, and what could not be asked, is noted."""
        self.assertEqual(self.ask(VOUCHED), Accept(("dns_lists: listed by good.example as good",)))
        self.assertEqual(self.ask(BAD_DOWN, (SOFT_BAD,)), Accept(("dns_lists: no answer from bad.example",)))
        self.assertIs(self.ask({}), ACCEPT)

    @holds("5321", "4.5.1", "Mail to postmaster is not refused because a DNS list has the client")
    def test_postmaster(self):
        """Who is listed by mistake can tell postmaster, also while a list is down."""
        for zone in (LISTED, BAD_DOWN):
            check = self.make_check(zone)
            for local, domain in (("postmaster", ""), ("PostMaster", "ours.example")):
                self.assertIs(check.check_rcpt(STRANGER, MAIL, recipient(local, domain)), ACCEPT)
            self.refusal_of(check.check_rcpt(STRANGER, MAIL, recipient("postmaster+x", "ours.example")))

    def test_begun_at_door(self):
        """The lists are asked when the client comes, which does not wait for them; RCPT does."""
        check = self.make_check(LISTED, held=None)
        self.assertIs(check.check_connect(STRANGER), ACCEPT)
        self.assertEqual(len(self.rig.resolver.waiting), 2)
        waiting = waited(check.check_rcpt(STRANGER, MAIL, TO))
        good = waited(check.is_good(STRANGER))
        self.assertEqual(len(self.rig.resolver.waiting), 2)
        self.assertNoResult(waiting)
        self.rig.resolver.go()
        self.assertEqual(self.successResultOf(waiting).reply.code, 554)
        self.assertFalse(self.successResultOf(good))

    def test_silence(self):
        """Lists that never answer are down after their deadline."""
        check = self.make_check(LISTED, held=None)
        waiting = waited(check.check_rcpt(STRANGER, MAIL, TO))
        self.rig.clock.advance(5)
        self.assertEqual(self.successResultOf(waiting).reply.code, 451)

    def test_is_good(self):
        """Others may ask whether somebody vouches for a client."""
        self.assertIs(self.make_check(VOUCHED).is_good(STRANGER), True)
        self.assertIs(self.make_check(LISTED).is_good(STRANGER), False)
        self.assertIs(self.make_check(VOUCHED).is_good(replace(STRANGER, address="")), False)

    def test_ipv6(self):
        """IPv6 clients are found, and their address is written the short way."""
        zone = {("1." + "0." * 23 + "8.b.d.0.1.0.0.2.bad.example", RecordType.A): ["127.0.0.2"]}
        client = replace(STRANGER, address="2001:db8:0:0::1%eth0")
        refusal = self.refusal_of(self.make_check(zone).check_rcpt(client, MAIL, TO))
        self.assertEqual(refusal.reply.lines, ("Your address 2001:db8::1 is listed by bad.example",))
