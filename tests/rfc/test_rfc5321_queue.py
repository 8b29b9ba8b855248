"""RFC 5321 sections 4.4, 4.5.4, 5 and 6: trace, trying again, finding hosts, problems on the way."""

# mypy: no-check-untyped-defs

from email.utils import parsedate_to_datetime
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.schema import DeliveryConfig
from smtpgw.delivery.hops import HopRules
from smtpgw.delivery.resolution import find_hops
from smtpgw.model.dns import AnswerStatus, MxRecord, RecordType
from smtpgw.model.envelope import Client, Envelope, Recipient
from smtpgw.model.outcome import Delayed, Failed, Scope
from smtpgw.model.route import ViaMx
from smtpgw.service.trace import TraceHeader
from smtpgw.testing.memory_names import MemoryResolver
from tests.clauses import does_not_hold, holds, holds_in_part
from tests.service.house import House, defers, mailbox, refuses, relays

A, AAAA, MX = RecordType.A, RecordType.AAAA, RecordType.MX
NOW = 1_790_000_000.0


def received(client=None, recipients=1):
    """A trace header, unfolded."""
    client = client or Client("192.0.2.1", "c.example", "ESMTP")
    envelope = Envelope(None, tuple(Recipient(mailbox(f"b{n}@b.example")) for n in range(recipients)))
    return TraceHeader("gw.example").received(client, envelope, 1, NOW).decode().replace("\r\n\t", " ")


def find(zone, domain="b.example", **rules):
    """Where to connect for a domain."""
    coroutine = find_hops(ViaMx(), domain, MemoryResolver(zone), HopRules(**rules), Random(1))
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waited")


class TraceTests(SynchronousTestCase):
    """Section 4.4."""

    @holds("5321", "4.4", "The from clause has the name that EHLO gave and the address of the connection.")
    def test_from(self):
        """IPv6 with its tag; the confirmed name of the address, if there is one."""
        self.assertIn("from c.example ([192.0.2.1]) ", received())
        self.assertIn("from c ([IPv6:2001:db8::1]) ", received(Client("2001:db8::1", "c")))
        self.assertIn("from c (real.example [192.0.2.1]) ", received(Client("192.0.2.1", "c", name="real.example")))

    @holds("5321", "4.4", "The date has four digits of the year and a numeric zone.")
    def test_date(self):
        """As it was when the message came."""
        date = received().rpartition("; ")[2].strip()
        self.assertRegex(date, r"\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d \+0000\Z")
        self.assertEqual(parsedate_to_datetime(date).timestamp(), NOW)

    @holds("5321", "4.4", "A for clause has one address, never more.")
    def test_for(self):
        """None for two."""
        self.assertIn(" for <b0@b.example>;", received())
        self.assertNotIn(" for ", received(recipients=2))

    @holds("5321", "4.4", "Received lines and Return-Path that were there stay as they are; ours goes before them.")
    def test_older_lines(self):
        """No line is changed, moved or taken out of what is relayed."""
        house = House()
        house.mx("a.test", "192.0.2.1")
        house.dialer.hosts["192.0.2.1"] = relays
        content = b"Return-Path: <x@y.example>\r\nReceived: from x by y; whenever\r\nSubject: x\r\n\r\nbody\r\n"
        house.submit("x@a.test", content=content)
        house.run(1)
        [(_, job)] = house.dialer.sent
        self.assertTrue(job.message.trace.startswith(b"Received: from client.test ([192.0.2.77])\r\n"))
        self.assertEqual(job.message.trace.count(b"Received:"), 1)
        self.assertEqual(job.body.inline(), content)


class RetryTests(SynchronousTestCase):
    """Section 4.5.4.1."""

    def setUp(self):
        self.house = House()
        self.house.mx("a.test", "192.0.2.1")

    @does_not_hold(
        "5321",
        "4.5.4.1",
        "At least 30 minutes lie between two attempts.",
        "The first waits are 5, 10 and 20 minutes, for those who greylist; delivery.retry changes it.",
    )
    def test_intervals(self):
        """The default."""
        retry = DeliveryConfig().retry_seconds
        self.assertEqual(retry[:4], (300, 600, 1200, 2400))

    @holds("5321", "4.5.4.1", "We give up after four to five days.")
    def test_expiry(self):
        """The default."""
        self.assertEqual(DeliveryConfig().expire_seconds, 5 * 86400)

    @holds("5321", "4.5.4.1", "A message that can't be sent now is kept and tried again.")
    def test_again(self):
        """After the first wait, not before it, and then it arrives."""
        self.house.dialer.hosts["192.0.2.1"] = defers
        self.house.submit("x@a.test")
        self.house.run(299)
        self.assertEqual(len(self.house.dialer.sent), 1)
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.run(60)
        self.assertEqual((len(self.house.dialer.sent), self.house.spool.entries), (2, {}))

    @holds("5321", "4.5.4.1", "A host that can't be reached is remembered: other mail for it does not try it at once.")
    def test_unreachable(self):
        """One attempt for three messages."""
        self.house.submit("x@a.test")
        self.house.run(1)
        opened = len(self.house.dialer.opened)
        self.house.submit("y@a.test")
        self.house.submit("z@a.test")
        self.house.run(10)
        self.assertEqual((opened, len(self.house.dialer.opened)), (1, 1))
        self.assertEqual(len(self.house.spool.entries), 3)

    @holds("5321", "4.5.4.1", "While mail for one host waits, mail for others goes out.")
    def test_others(self):
        """Nobody waits for somebody else's host."""
        self.house.mx("b.test", "192.0.2.2")
        self.house.dialer.hosts["192.0.2.2"] = relays
        self.house.submit("x@a.test")
        self.house.submit("x@b.test")
        self.house.run(1)
        self.assertEqual([address for address, _ in self.house.dialer.sent], ["192.0.2.2"])


class ResolutionTests(SynchronousTestCase):
    """Section 5."""

    @holds("5321", "5.1", "Mail for a domain that does not exist fails.")
    def test_no_domain(self):
        """5.1.2."""
        failed = find({})
        self.assertIsInstance(failed, Failed)
        self.assertEqual(failed.status, "5.1.2")

    @holds("5321", "5.1", "Every host and every address is there to be tried, until there are thirty.")
    def test_many(self):
        """At most ten hosts, ten addresses of each."""
        zone = {("b.example", MX): [MxRecord(n, f"m{n}.example") for n in range(12)]}
        for n in range(12):
            zone[f"m{n}.example", A] = [f"192.0.2.{20 * n + m}" for m in range(2)]
        hops = find(zone).hops
        self.assertEqual([hop.host for hop in hops], [f"m{n}.example" for n in range(10) for _ in range(2)])
        zone["m0.example", A] = [f"198.51.100.{n}" for n in range(50)]
        self.assertEqual(sum(hop.host == "m0.example" for hop in find(zone).hops), 10)

    @holds("5321", "5.1", "An address literal is the address to connect to; no name is looked up.")
    def test_literal(self):
        """Of both families."""
        self.assertEqual([hop.address for hop in find({}, "[192.0.2.9]").hops], ["192.0.2.9"])
        self.assertEqual([hop.address for hop in find({}, "[IPv6:2001:db8::9]").hops], ["2001:db8::9"])

    @holds("5321", "5.1", "A host whose address can't be looked up now does not make the mail fail.")
    def test_host_temporary(self):
        """It is delayed."""
        zone = {("b.example", MX): [MxRecord(1, "m.example")], ("m.example", A): AnswerStatus.TEMPORARY}
        self.assertIsInstance(find(zone), Delayed)

    @holds("5321", "5.2", "Hosts with addresses of IPv4, of IPv6 and of both are served.")
    def test_families(self):
        """All of them are hops of their host."""
        zone = {
            ("b.example", MX): [MxRecord(1, "four.example"), MxRecord(2, "six.example"), MxRecord(3, "both.example")],
            ("four.example", A): ["192.0.2.4"],
            ("six.example", AAAA): ["2001:db8::6"],
            ("both.example", A): ["192.0.2.10"],
            ("both.example", AAAA): ["2001:db8::10"],
        }
        addresses = [hop.address for hop in find(zone).hops]
        self.assertEqual(addresses[:2], ["192.0.2.4", "2001:db8::6"])
        self.assertEqual(sorted(addresses[2:]), ["192.0.2.10", "2001:db8::10"])


class ProblemTests(SynchronousTestCase):
    """Section 6."""

    def setUp(self):
        self.house = House()
        self.house.mx("a.test", "192.0.2.1")
        self.house.mx("from.test", "192.0.2.2")
        self.house.dialer.hosts = {"192.0.2.1": refuses, "192.0.2.2": relays}

    def notifications(self):
        """Those that were sent."""
        return [job for address, job in self.house.dialer.sent if address == "192.0.2.2"]

    @holds("5321", "6.1", "A notification goes to the reverse-path of the message, and to nobody else.")
    def test_to_whom(self):
        """One, for all recipients that failed."""
        self.house.submit("x@a.test", "y@a.test")
        self.house.run(1)
        [job] = self.notifications()
        recipients = [str(recipient.mailbox) for recipient in job.message.envelope.recipients]
        self.assertEqual((job.message.envelope.reverse_path, recipients), (None, ["sender@from.test"]))

    @holds("5321", "6.1", "A message from the null path that fails makes no notification.")
    def test_no_second(self):
        """It ends there."""
        self.house.dialer.hosts["192.0.2.2"] = refuses
        self.house.submit("x@a.test")
        self.house.run(1)
        self.assertEqual(len(self.notifications()), 1)
        self.assertEqual(self.house.spool.entries, {})

    @holds_in_part(
        "5321",
        "6.2",
        "What was accepted is not dropped silently.",
        "Never by us; a milter that says discard is obeyed, and the log says so.",
    )
    def test_not_dropped(self):
        """What fails is told, what can't even be told is in the log as failed."""
        self.house.submit("x@a.test")
        self.house.submit("x@a.test", reverse_path="")
        self.house.run(1)
        self.assertEqual(len(self.notifications()), 1)
        outcomes = [notice.outcome for notice in self.house.notices if type(notice).__name__ == "Attempted"]
        self.assertEqual(sum(isinstance(outcome, Failed) for outcome in outcomes), 2)
        self.assertNotIn(Scope.HOST, {outcome.scope for outcome in outcomes if isinstance(outcome, Failed)})

    @holds("5321", "6.4", "As a relay, nothing that a header lacks is put in, and nothing that is odd is put right.")
    def test_no_fixing(self):
        """No Date, no Message-ID, no To."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        for content in (b"", b"body only\r\n", b"Subject: x\r\n\r\n", b"Date: yesterday\r\nfrom : x\r\n\r\n"):
            self.house.submit("x@a.test", content=content)
        self.house.run(1)
        jobs = [job for _, job in self.house.dialer.sent]
        contents = {job.body.inline() for job in jobs}
        self.assertEqual(
            contents, {b"", b"body only\r\n", b"Subject: x\r\n\r\n", b"Date: yesterday\r\nfrom : x\r\n\r\n"}
        )
        for job in jobs:
            self.assertRegex(job.message.trace, rb"\AReceived: (?:[^\r\n]|\r\n\t)+\r\n\Z")
