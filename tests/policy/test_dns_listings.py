"""Tests for what DNS lists say."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.dns import AnswerStatus, RecordType
from smtpgw.policy.dns_listings import NOT_LISTED, DnsList, DnsListings, Listing, Listings
from tests.clauses import holds
from tests.policy.rig import Rig, waited

BAD = DnsList("bad.example")
WORSE = DnsList("worse.example", delays=False)
GOOD = DnsList("good.example")


def entry(zone="bad.example", *records, name="9.113.0.203"):
    """An entry of a list."""
    return {(f"{name}.{zone}", RecordType.A): list(records or ["127.0.0.2"])}


class DnsListingsTests(SynchronousTestCase):
    """All lists, asked once."""

    def find(self, zone, bad=(BAD,), good=(), address="203.0.113.9"):
        """What is found out."""
        self.rig = Rig(zone)
        self.listings = DnsListings(bad, good, self.rig.resolver, self.rig.tasks, self.rig.clock)
        return self.listings.get(address)

    @holds("5782", "2.1", "An IPv4 address is asked about with its octets reversed; an A record means listed")
    def test_listed(self):
        """An address in the list's own space is an entry; no such name is none."""
        self.assertEqual(self.find(entry()), Listings(bad=Listing("bad.example")))
        self.assertEqual(self.find(entry(), address="::ffff:203.0.113.9"), Listings(bad=Listing("bad.example")))
        self.assertEqual(self.find({}), NOT_LISTED)
        self.assertEqual(self.find({("9.113.0.203.bad.example", RecordType.TXT): [b"text alone"]}), NOT_LISTED)

    def test_ipv6(self):
        """IPv6 addresses are asked about nibble by nibble."""
        found = self.find(entry(name="1." + "0." * 23 + "8.b.d.0.1.0.0.2"), address="2001:db8::1")
        self.assertEqual(found, Listings(bad=Listing("bad.example")))

    @holds("5782", "2.1", "An answer outside 127.0.0.0/8 is no listing")
    def test_foreign_answers(self):
        """A list that was given up, and answers everything with a web server, lists nobody."""
        for record in (
            "192.0.2.80",
            "0.0.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "x",
            "",
            "127.0.0",
            "::1",
            b"127.0.0.2",
        ):
            self.assertEqual(self.find(entry("bad.example", record)), NOT_LISTED, record)
        self.assertIsNotNone(self.find(entry("bad.example", "192.0.2.80", "127.0.0.4")).bad)

    def test_refused_questions(self):
        """A list that says that it does not talk to us says nothing about the client."""
        for record in ("127.255.255.252", "127.255.255.254", "127.255.255.255", "127.0.0.1"):
            self.assertEqual(self.find(entry("bad.example", record)), Listings(bad_down=("bad.example",)), record)
        meant = DnsList("bad.example", frozenset(["127.0.0.1"]))
        self.assertIsNotNone(self.find(entry("bad.example", "127.0.0.1"), (meant,)).bad)

    def test_codes(self):
        """Where the operator names answers, no other counts."""
        some = DnsList("bad.example", frozenset(["127.0.0.10", "127.0.0.11"]))
        for records, is_listed in (
            (("127.0.0.2",), False),
            (("127.0.0.2", "127.0.0.11"), True),
            (("127.0.0.10",), True),
            (("127.0.0.110",), False),
        ):
            found = self.find(entry("bad.example", *records), (some,))
            self.assertEqual(found.bad is not None, is_listed, records)

    def test_reason(self):
        """The words of the list are found, and cut."""
        key = ("9.113.0.203.bad.example", RecordType.TXT)
        for records, reason in (
            ([b"See https://bad.example/?203.0.113.9"], "See https://bad.example/?203.0.113.9"),
            ([b"first", b"second"], "first"),
            ([b"y" * 100_000], "y" * 200),
            ([b" \xff\xfe "], "\ufffd\ufffd"),
            (AnswerStatus.TEMPORARY, ""),
            ([], ""),
        ):
            found = self.find({**entry(), key: records})
            self.assertEqual(found, Listings(bad=Listing("bad.example", reason)))

    def test_several(self):
        """The first list that has it is named; one that is down does not hide what another says."""
        both = (BAD, WORSE)
        self.assertEqual(self.find(entry("worse.example"), both).bad, Listing("worse.example"))
        self.assertEqual(self.find(entry() | entry("worse.example"), both).bad, Listing("bad.example"))
        down = {("9.113.0.203.bad.example", RecordType.A): AnswerStatus.TEMPORARY}
        found = self.find(down | entry("worse.example"), both)
        self.assertEqual(found, Listings(bad=Listing("worse.example"), bad_down=("bad.example",)))
        down = {("9.113.0.203.worse.example", RecordType.A): AnswerStatus.TEMPORARY}
        self.assertEqual(self.find(down, both), Listings(left_out=("worse.example",)))

    def test_good(self):
        """A list of good clients is heard first, whatever the others say or don't."""
        self.assertEqual(
            self.find(entry() | entry("good.example"), good=(GOOD,)), Listings(good=Listing("good.example"))
        )
        down = {("9.113.0.203.good.example", RecordType.A): AnswerStatus.TEMPORARY}
        self.assertEqual(self.find(down, good=(GOOD,)), Listings(good_down=("good.example",)))

    def test_parallel(self):
        """All lists are asked at once; a silent one costs its own deadline and not one after the other."""
        lists = tuple(DnsList(f"{number}.example") for number in range(10))
        rig = Rig(held=None)
        listings = DnsListings(lists, (), rig.resolver, rig.tasks, rig.clock, deadline_seconds=5)
        waiting = waited(listings.get("203.0.113.9"))
        self.assertEqual(len(rig.resolver.waiting), 10)
        rig.clock.advance(5)
        self.assertEqual(len(self.successResultOf(waiting).bad_down), 10)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_once(self):
        """A client is asked about once in a while, however many messages it brings."""
        self.find(entry())
        for _ in range(10):
            self.listings.get("203.0.113.9")
        self.assertEqual(len(self.rig.resolver.questions), 2)
        self.rig.clock.advance(301)
        self.rig.resolver.zone.clear()
        self.assertEqual(self.listings.get("203.0.113.9"), NOT_LISTED)

    def test_down_for_short(self):
        """That a list is down is not believed for long."""
        self.find({("9.113.0.203.bad.example", RecordType.A): AnswerStatus.TEMPORARY})
        self.rig.resolver.zone.clear()
        self.assertEqual(self.listings.get("203.0.113.9").bad_down, ("bad.example",))
        self.rig.clock.advance(15)
        self.assertEqual(self.listings.get("203.0.113.9"), NOT_LISTED)

    def test_inside(self):
        """Addresses that mean another machine in every network are asked about nowhere."""
        for address in (
            "",
            "x",
            "127.0.0.2",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.0.1",
            "::1",
            "fe80::1%eth0",
            "fd00::1",
            "::ffff:10.0.0.1",
        ):
            self.assertEqual(self.find({}, address=address), NOT_LISTED)
            self.assertEqual(self.rig.resolver.questions, [], address)

    def test_flood(self):
        """More clients than can be asked about at a time are as if the lists were down."""
        rig = Rig(held=None)
        listings = DnsListings((BAD, WORSE), (GOOD,), rig.resolver, rig.tasks, rig.clock)
        for number in range(1001):
            found = listings.get(f"203.0.{number // 250}.{number % 250}")
        expected = Listings(good_down=("good.example",), bad_down=("bad.example",), left_out=("worse.example",))
        self.assertEqual(found, expected)
        rig.clock.advance(5)
        self.assertEqual(rig.tasks._running, set())
