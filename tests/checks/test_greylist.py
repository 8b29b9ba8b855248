"""Tests for greylisting at RCPT."""

# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.triplets import TripletTrouble
from smtpgw.checks.greylist import Greylist
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, MailFrom
from smtpgw.model.verdict import ACCEPT, Accept
from smtpgw.policy.greylisting import GreylistRules
from smtpgw.spool.triplets_memory import MemoryTriplets
from tests.contracts.check import MAIL, STRANGER, CheckContract, recipient
from tests.policy.rig import Rig, waited

RULES = GreylistRules(300.0, 4 * 3600.0, 36 * 86400.0)
TO = recipient("a", "ours.example")
NULL = MailFrom(None)


class Held:
    """A store whose answers come when the test says so."""

    def __init__(self):
        self.answers = []
        self.kept = {}

    def get(self, keys):
        """Later."""
        answer = Deferred()
        self.answers.append((answer, keys))
        return answer

    def put(self, key, triplet):
        """Kept."""
        self.kept[key] = triplet


class Broken(Held):
    """A store that can't be asked."""

    def get(self, keys):
        """Not."""
        raise TripletTrouble("disk I/O error at /var/spool/x")


class GreylistTests(CheckContract, SynchronousTestCase):
    """Strangers come twice."""

    secrets = ("disk", "/var")

    def make_check(self, triplets=None, *, delays=True, is_good=None, rules=RULES):
        """Over a memory, by default."""
        self.rig = Rig()
        self.triplets = triplets or MemoryTriplets(self.rig.clock)
        return Greylist(rules, self.triplets, self.rig.tasks, self.rig.clock, delays=delays, is_good=is_good)

    def ask_all(self, check):
        """First and second attempts, a store that does not answer."""
        self.rig = Rig()
        check = self.make_check()
        yield check.check_rcpt(STRANGER, MAIL, TO)
        self.rig.clock.advance(300)
        yield check.check_rcpt(STRANGER, MAIL, TO)
        yield check.check_rcpt(Client(""), MAIL, TO)
        for delays in (True, False):
            yield self.make_check(Broken(), delays=delays).check_rcpt(STRANGER, MAIL, TO)

    def reply(self, answer):
        """Of a refusal."""
        return str(self.refusal_of(answer).reply)

    def passes(self, check, client=STRANGER, mail=MAIL, to=TO):
        """Whether it is accepted now."""
        return isinstance(self.verdict_of(check.check_rcpt(client, mail, to)), Accept)

    def test_reply(self):
        """The reply says when to come again, in seconds, and tells the truth."""
        check = self.make_check()
        first = check.check_rcpt(STRANGER, MAIL, TO)
        self.assertEqual(self.reply(first), "450 4.7.1 Greylisted, try again in 300 seconds")
        self.rig.clock.advance(100.5)
        self.assertEqual(
            self.reply(check.check_rcpt(STRANGER, MAIL, TO)), "450 4.7.1 Greylisted, try again in 200 seconds"
        )
        self.rig.clock.advance(200)
        self.assertEqual(check.check_rcpt(STRANGER, MAIL, TO), Accept(("greylist: passed",)))

    def test_neighbours(self):
        """A sender that comes again from another of its machines is the same sender."""
        for first, second in (
            ("203.0.113.9", "203.0.113.200"),
            ("2001:db8::1", "2001:db8::ffff:1"),
            ("::ffff:203.0.113.9", "203.0.113.10"),
        ):
            check = self.make_check()
            self.assertFalse(self.passes(check, Client(first)))
            self.rig.clock.advance(300)
            self.assertTrue(self.passes(check, Client(second)))
            self.assertFalse(self.passes(check, Client("198.51.100.1")))

    def test_triplet(self):
        """Another sender, another recipient, or a notification is another triplet."""
        check = self.make_check()
        self.passes(check)
        self.rig.clock.advance(300)
        self.assertFalse(self.passes(check, mail=NULL))
        self.assertFalse(self.passes(check, mail=MailFrom(Mailbox("other", "remote.example"))))
        self.assertFalse(self.passes(check, to=recipient("b", "ours.example")))
        self.assertTrue(self.passes(check))
        self.rig.clock.advance(300)
        self.assertTrue(self.passes(check, mail=NULL))

    def test_good_network(self):
        """Who has come back often enough is not asked to any more, for whatever it brings."""
        check = self.make_check()
        for number in range(5):
            to = recipient(f"r{number}", "ours.example")
            self.assertFalse(self.passes(check, to=to))
            self.rig.clock.advance(3600)
            self.assertTrue(self.passes(check, to=to))
        kept = len(self.triplets)
        answer = check.check_rcpt(replace(STRANGER, address="203.0.113.77"), NULL, recipient("new", "ours.example"))
        self.assertEqual(answer, Accept(("greylist: a known network",)))
        self.assertEqual(len(self.triplets), kept)

    def test_vouched(self):
        """Whom a list of good clients has is not asked, whether that is known at once or later; others are."""
        check = self.make_check(is_good=lambda client: True)
        self.assertIs(check.check_rcpt(STRANGER, MAIL, TO), ACCEPT)
        self.assertEqual(len(self.triplets), 0)
        check = self.make_check(is_good=lambda client: False)
        self.assertFalse(self.passes(check))
        for good in (True, False):
            said: Deferred[bool] = Deferred()
            check = self.make_check(is_good=lambda client, said=said: said)
            waiting = waited(check.check_rcpt(STRANGER, MAIL, TO))
            self.assertNoResult(waiting)
            said.callback(good)
            self.assertEqual(isinstance(self.successResultOf(waiting), Accept), good)

    def test_no_address(self):
        """A client of a Unix socket is no stranger."""
        self.assertIs(self.make_check().check_rcpt(Client(""), MAIL, TO), ACCEPT)

    def test_store_down(self):
        """A store that can't be asked delays, or lets through, as configured; its words go to the log alone."""
        refusal = self.refusal_of(self.make_check(Broken()).check_rcpt(STRANGER, MAIL, TO))
        self.assertEqual(str(refusal.reply), "451 4.7.1 Temporary trouble, try again later")
        self.assertEqual(refusal.cause, "greylist store: disk I/O error at /var/spool/x")
        answer = self.make_check(Broken(), delays=False).check_rcpt(STRANGER, MAIL, TO)
        self.assertEqual(answer, Accept(("greylist: the store does not answer",)))

    def test_store_later(self):
        """An answer of the store is waited for, an error is trouble, silence as well."""
        check = self.make_check(Held())
        waiting = waited(check.check_rcpt(STRANGER, MAIL, TO))
        self.triplets.answers.pop()[0].callback((None, None))
        self.assertEqual(self.successResultOf(waiting).reply.code, 450)
        self.assertEqual(len(self.triplets.kept), 1)
        waiting = waited(check.check_rcpt(STRANGER, MAIL, TO))
        self.triplets.answers.pop()[0].errback(TripletTrouble("x"))
        self.assertEqual(self.successResultOf(waiting).reply.code, 451)
        waiting = waited(check.check_rcpt(STRANGER, MAIL, TO))
        self.rig.clock.advance(5)
        self.assertEqual(self.successResultOf(waiting).reply.code, 451)
        self.assertEqual(self.rig.clock.getDelayedCalls(), [])

    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2), st.integers(0, 20_000)), max_size=40
        )
    )
    def test_model(self, attempts):
        """Any attempts of any triplets: what a plain bookkeeping says, with networks that become known."""
        check = self.make_check()
        first, passed, counted = {}, set(), {}
        for host, sender, to, gap in attempts:
            self.rig.clock.advance(gap)
            now = self.rig.clock.time()
            key = (host, sender, to)
            count, last = counted.get(host, (0, 0.0))
            if count >= 5 or key in passed:
                expected = True
            elif key in first and 300 <= now - first[key] <= 4 * 3600:
                expected = True
                passed.add(key)
                if not count or now - last >= 3600:
                    counted[host] = (count + 1, now)
            else:
                expected = False
                if key not in first or now - first[key] > 4 * 3600:
                    first[key] = now
            client = Client(f"192.0.{host}.{sender}")
            mail = MailFrom(Mailbox("abc"[sender], "remote.example"))
            self.assertEqual(self.passes(check, client, mail, recipient("abc"[to], "ours.example")), expected)
