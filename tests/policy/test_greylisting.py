"""Tests for the life of a triplet."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.triplets import KEY_OCTETS, Triplet
from smtpgw.model.address import Mailbox
from smtpgw.policy.greylisting import GOOD_AFTER, GreylistRules, judge, network_key, triplet_key
from tests.policy.rig import START

RULES = GreylistRules(delay_seconds=300.0, window_seconds=4 * 3600.0, lifetime_seconds=36 * 86400.0)
TO = Mailbox("alice", "ours.example")
FROM = Mailbox("bob", "remote.example")


class Memory:
    """What one triplet and its network are remembered as."""

    def __init__(self, rules=RULES):
        self.rules = rules
        self.triplet = None
        self.network = None

    def attempt(self, now):
        """The seconds to wait."""
        judgement = judge(self.triplet, self.network, now, self.rules)
        self.triplet = judgement.triplet or self.triplet
        self.network = judgement.network or self.network
        return judgement.wait_seconds


class TripletTests(SynchronousTestCase):
    """A stranger waits once."""

    def test_life(self):
        """Unknown, waiting, passed, forgotten."""
        memory = Memory()
        self.assertEqual(memory.attempt(START), 300)
        self.assertEqual(memory.attempt(START + 60), 240)
        self.assertEqual(memory.attempt(START + 299.5), 0.5)
        self.assertEqual(memory.attempt(START + 300), 0)
        self.assertEqual(memory.attempt(START + 301), 0)
        self.assertEqual(memory.attempt(START + 36 * 86400), 0)
        self.assertEqual(memory.attempt(START + 71 * 86400), 0)
        self.assertEqual(memory.attempt(START + 110 * 86400), 300)

    def test_early_tries_do_no_harm(self):
        """Who knocks every second waits no longer than who doesn't."""
        memory = Memory()
        waits = [memory.attempt(START + second) for second in range(301)]
        self.assertEqual(waits, [300.0 - second for second in range(301)])

    def test_window(self):
        """Who comes back too late is a stranger again; the last moment is not too late."""
        memory = Memory()
        memory.attempt(START)
        self.assertEqual(memory.attempt(START + 4 * 3600 + 1), 300)
        self.assertEqual(memory.attempt(START + 8 * 3600 + 1), 0)

    def test_no_delay(self):
        """Without a delay everybody passes."""
        self.assertEqual(Memory(GreylistRules(0.0, 60.0, 60.0)).attempt(START), 0)

    def test_window_within_delay(self):
        """A window that is shorter than the delay would keep everybody out for ever, and is not taken at its word."""
        memory = Memory(GreylistRules(300.0, 60.0, 3600.0))
        self.assertEqual(memory.attempt(START), 300)
        self.assertEqual(memory.attempt(START + 601), 300)
        self.assertEqual(memory.attempt(START + 601 + 600), 0)

    def test_clock_set_back(self):
        """A clock that is set back by a year makes nobody wait for a year."""
        memory = Memory()
        memory.attempt(START)
        back = START - 365 * 86400
        self.assertEqual(memory.attempt(back), 300)
        self.assertEqual(memory.attempt(back + 300), 0)

    def test_writes(self):
        """What is used every minute is not written every minute."""
        memory = Memory()
        memory.attempt(START)
        writes = 0
        for minute in range(5, 24 * 60):
            judgement = judge(memory.triplet, None, START + 60 * minute, RULES)
            writes += judgement.triplet is not None
            memory.triplet = judgement.triplet or memory.triplet
        self.assertLess(writes, 5)


class NetworkTests(SynchronousTestCase):
    """Those who always come back are known in the end."""

    def passes(self, gap_seconds):
        """How many triplets of one network had to pass until it was good."""
        network = None
        now = START
        for count in range(20):
            judgement = judge(None, network, now, RULES)
            if judgement.is_good:
                return count
            judgement = judge(judgement.triplet, network, now + 300, RULES)
            network = judgement.network or network
            now += gap_seconds
        return None

    def test_good(self):
        """After five passes, an hour apart, its strangers are let in at once."""
        self.assertEqual(self.passes(3600), GOOD_AFTER)

    def test_burst(self):
        """Passes within an hour count as one."""
        self.assertGreater(self.passes(1800), GOOD_AFTER + 3)
        self.assertIsNone(self.passes(30))

    def test_use_keeps(self):
        """A good network stays so for as long as it is used, and not longer."""
        network = Triplet(START, START, GOOD_AFTER, START + 36 * 86400)
        for day in range(0, 365, 30):
            judgement = judge(None, network, START + day * 86400, RULES)
            self.assertTrue(judgement.is_good)
            network = judgement.network or network
        self.assertFalse(judge(None, network, START + (360 + 37) * 86400, RULES).is_good)

    def test_nothing_of_its_triplets(self):
        """Triplets of a good network are not kept."""
        network = Triplet(START, START, GOOD_AFTER, START + 37 * 86400)
        self.assertIsNone(judge(None, network, START, RULES).triplet)


class KeyTests(SynchronousTestCase):
    """Who is the same, and who isn't."""

    def same(self, one, other):
        """Whether two reverse paths are one."""
        return triplet_key("n", one, TO) == triplet_key("n", other, TO)

    def test_lists(self):
        """Reverse paths of one list, and of one sender who signs them, are one."""
        for one, other in (
            ("Bob", "bob"),
            ("list-return-1-bob=ours.example", "list-return-99-bob=ours.example"),
            ("bounce+abc", "bounce+xyz"),
            ("prvs=1234abcdef=bob", "prvs=9999999999=bob"),
            ("prvs=1234abcdef=bob", "bob"),
        ):
            self.assertTrue(self.same(Mailbox(one, "r.example"), Mailbox(other, "r.example")), (one, other))
        self.assertTrue(self.same(Mailbox("a", "b\u00fccher.example"), Mailbox("a", "xn--bcher-kva.example")))

    def test_others(self):
        """Everything else is told apart, the null path too."""
        key = triplet_key("192.0.2.0/24", FROM, TO)
        others = (
            triplet_key("192.0.3.0/24", FROM, TO),
            triplet_key("192.0.2.0/24", None, TO),
            triplet_key("192.0.2.0/24", Mailbox("bob", "other.example"), TO),
            triplet_key("192.0.2.0/24", FROM, Mailbox("alice", "other.example")),
            triplet_key("192.0.2.0/24", FROM, Mailbox("alice+tag", "ours.example")),
            triplet_key("192.0.2.0/24", Mailbox("+bob", "remote.example"), TO),
            network_key("192.0.2.0/24"),
        )
        self.assertEqual(len({key, *others}), len(others) + 1)
        self.assertEqual(key, triplet_key("192.0.2.0/24", FROM, Mailbox("ALICE", "ours.example")))

    def test_length(self):
        """A key has the same length whatever is in it, surrogates as well."""
        for local in ("", "x" * 10_000, "\udc80", "\u00fc"):
            self.assertEqual(len(triplet_key("n", Mailbox(local, "d"), Mailbox(local, "d"))), KEY_OCTETS)


class _NaiveModel(RuleBasedStateMachine):
    """One triplet against a plain reading of the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.grey = GreylistRules(300.0, 3600.0, 64_000.0)
        self.memory = Memory(self.grey)
        self.now = START
        self.state = "unknown"
        self.since = 0.0

    @rule(gap=st.one_of(st.integers(0, 700), st.integers(0, 8000), st.integers(0, 70_000)))
    def attempt(self, gap: int) -> None:
        """Time goes on, and somebody tries."""
        self.now += gap
        age = self.now - self.since
        # Judged without a network, so that it never becomes a good one.
        self.memory.network = None
        waits = self.memory.attempt(self.now)
        if self.state == "passed" and self.grey.lifetime_seconds < age <= self.grey.lifetime_seconds + 1000:
            # A 64th more may be remembered.
            self.state, self.since = ("waiting", self.now) if waits else ("passed", self.now)
        elif self.state == "passed" and age <= self.grey.lifetime_seconds:
            assert waits == 0, waits
            self.since = self.now
        elif self.state == "waiting" and age < self.grey.delay_seconds:
            assert waits == self.grey.delay_seconds - age, waits
        elif self.state == "waiting" and age <= self.grey.window_seconds:
            assert waits == 0, waits
            self.state, self.since = "passed", self.now
        else:
            assert waits == self.grey.delay_seconds, (self.state, age, waits)
            self.state, self.since = "waiting", self.now


class ModelTests(SynchronousTestCase):
    """Whatever the order and the gaps."""

    def test_naive_model(self):
        """It says what a plain reading of the rules says."""
        run_state_machine_as_test(
            _NaiveModel, settings=settings(max_examples=60, stateful_step_count=25, deadline=None)
        )
