"""Tests for the confirmed names of clients."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.dns import AnswerStatus, RecordType
from smtpgw.policy.client_names import NAMELESS, ClientName, ClientNames
from tests.policy.rig import Rig, waited

PTR = ("9.113.0.203.in-addr.arpa", RecordType.PTR)
PTR6 = ("1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa", RecordType.PTR)


def a(name):
    """Of a question for IPv4 addresses."""
    return (name, RecordType.A)


class ClientNamesTests(SynchronousTestCase):
    """A name counts when the address says so and the name says so."""

    def find(self, zone, address="203.0.113.9"):
        """What is found out."""
        self.rig = Rig(zone)
        self.names = ClientNames(self.rig.resolver, self.rig.tasks, self.rig.clock)
        return self.names.get(address)

    def test_confirmed(self):
        """There and back again, in lower case, for both families, also when the address is a mapped one."""
        zone = {
            PTR: ["Mail.Remote.Example."],
            a("mail.remote.example"): ["203.0.113.8", "203.0.113.9"],
            PTR6: ["six.remote.example"],
            ("six.remote.example", RecordType.AAAA): ["2001:0db8::0001"],
        }
        for address in ("203.0.113.9", "::ffff:203.0.113.9"):
            self.assertEqual(self.find(zone, address), ClientName("mail.remote.example"))
            self.assertEqual(self.names.known(address), "mail.remote.example")
        self.assertEqual(self.find(zone, "2001:db8::1"), ClientName("six.remote.example"))

    def test_not_confirmed(self):
        """A name that leads elsewhere or nowhere is none: anybody can call his address bank.example."""
        for zone in (
            {},
            {PTR: AnswerStatus.NO_DATA},
            {PTR: ["bank.example"]},
            {PTR: ["bank.example"], a("bank.example"): ["192.0.2.1"]},
            {PTR: ["bank.example"], ("bank.example", RecordType.AAAA): ["::ffff:203.0.113.9"]},
        ):
            self.assertEqual(self.find(zone), NAMELESS)
            self.assertIsNone(self.names.known("203.0.113.9"))

    def test_second_name(self):
        """One of several names is enough."""
        zone = {PTR: ["old.example", "new.example"], a("new.example"): ["203.0.113.9"]}
        self.assertEqual(self.find(zone), ClientName("new.example"))

    def test_hostile_names(self):
        """Names that are no domain names are neither asked for nor believed."""
        hostile = [
            "a.example\r\nX-Evil: yes",
            "a.example\n",
            "\x1b[2J.example",
            "a b.example",
            "a..example",
            ".example",
            "",
            ".",
            "-a.example",
            "localhost",
            "203.0.113.9",
            "[203.0.113.9]",
            "b\u00fccher.example",
            "a.example)",
            "x" * 64 + ".example",
            ".".join(["x" * 60] * 5),
            "y" * 100_000,
            b"bytes.example",
        ]
        for name in hostile:
            zone = {PTR: [name]}
            if isinstance(name, str):
                zone[name.lower().removesuffix("."), RecordType.A] = ["203.0.113.9"]
            self.assertEqual(self.find(zone), NAMELESS, name)
            self.assertEqual(self.rig.resolver.questions, [PTR])

    def test_bounded(self):
        """An address with a thousand names, or a name with a thousand addresses, costs a few questions."""
        zone = {PTR: [f"n{number}.example" for number in range(1000)]}
        zone[a("n0.example")] = [f"192.0.2.{number}" for number in range(200)] + ["203.0.113.9"]
        zone[a("n7.example")] = ["203.0.113.9"]
        self.assertEqual(self.find(zone), NAMELESS)
        self.assertEqual(len(self.rig.resolver.questions), 6)

    def test_trouble(self):
        """A name server that does not answer is not the same as no name."""
        for zone in (
            {PTR: AnswerStatus.TEMPORARY},
            {PTR: ["a.example"], a("a.example"): AnswerStatus.TEMPORARY},
        ):
            self.assertEqual(self.find(zone), ClientName(None, "the zone says so"))
        zone = {PTR: ["a.example", "b.example"], a("a.example"): AnswerStatus.TEMPORARY}
        zone[a("b.example")] = ["203.0.113.9"]
        self.assertEqual(self.find(zone), ClientName("b.example"))

    def test_deadline(self):
        """Names that nobody answers for are given up, and asked for again only after a while."""
        rig = Rig({PTR: ["a.example"]}, held=None)
        names = ClientNames(rig.resolver, rig.tasks, rig.clock, deadline_seconds=5)
        waiting = waited(names.get("203.0.113.9"))
        rig.clock.advance(4.9)
        self.assertNoResult(waiting)
        rig.clock.advance(0.1)
        found = self.successResultOf(waiting)
        self.assertIsNone(found.name)
        self.assertIn("5 seconds", found.trouble)
        rig.resolver.go()
        self.assertEqual(names.get("203.0.113.9"), found)
        rig.clock.advance(10)
        self.assertEqual(names.get("203.0.113.9"), NAMELESS)
        self.assertEqual(rig.clock.getDelayedCalls(), [])

    def test_no_address(self):
        """A client without an address has no name, and nobody is asked."""
        for address in ("", "x", "1.2.3"):
            self.assertEqual(self.find({}, address), NAMELESS)
            self.assertEqual(self.rig.resolver.questions, [])
            self.assertIsNone(self.names.known(address))

    def test_flood(self):
        """A flood of clients with dead name servers is trouble, not memory."""
        rig = Rig(held=None)
        names = ClientNames(rig.resolver, rig.tasks, rig.clock)
        for number in range(1500):
            found = names.get(f"10.1.{number // 250}.{number % 250}")
        self.assertEqual(found, ClientName(None, "too many clients are being looked up"))
        self.assertEqual(len(rig.resolver.waiting), 1000)
        rig.clock.advance(6)
        self.assertEqual(rig.tasks._running, set())
