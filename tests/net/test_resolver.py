"""Tests of :mod:`smtpgw.net.resolver`, over packets on loopback."""

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from smtpgw.boundaries.world import Resolver
from smtpgw.model.dns import Answer, AnswerStatus, MxRecord, RecordType
from smtpgw.net import resolver as resolver_module
from smtpgw.net.dns_cache import DnsCache
from smtpgw.net.resolver import DnsResolver, gather
from smtpgw.testing.names import FakeNameServer, Fault
from tests.clauses import holds
from tests.contracts.resolver import CONTRACT_ZONE, ResolverContract


class _SetClock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def time(self) -> float:
        return self.now


class _ServerTestCase(TestCase):
    """With a name server on loopback."""

    timeout = 10

    def setUp(self) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.clock = _SetClock()
        self.server = self.make_server()

    def make_server(self, zone: Any = CONTRACT_ZONE, **options: Any) -> FakeNameServer:
        server = FakeNameServer(self.reactor, zone, **options)
        server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def make_resolver(self, *servers: Any, **options: Any) -> DnsResolver:
        options.setdefault("deadline_seconds", 1.5)
        options.setdefault("server_seconds", 0.2)
        addresses = [server.address for server in servers or (self.server,)]
        return DnsResolver(self.reactor, addresses, clock=self.clock, **options)

    async def look_up(self, name: str, record_type: RecordType = RecordType.MX, **options: Any) -> Answer:
        """One question to a new resolver."""
        return await self.make_resolver(**options).lookup(name, record_type)


class DnsResolverContractTests(ResolverContract, _ServerTestCase):
    """The real resolver keeps the promises of every resolver."""

    def make_resolver(self, *servers: Any, **options: Any) -> Resolver:  # type: ignore[override]
        return _ServerTestCase.make_resolver(self, *servers, **options)


class QuestionTests(_ServerTestCase):
    """What is asked."""

    async def test_edns_and_ad(self) -> None:
        """Answers of up to 1232 octets are taken by UDP, and the AD bit is asked for."""
        await self.look_up("two.example")
        flags, payload = self.server.flags[0]
        self.assertEqual(payload, 1232)
        self.assertEqual(flags & 0x0120, 0x0120)

    async def test_impossible_names_are_not_asked_for(self) -> None:
        """No packet leaves for an address, for an onion name, or for what is no name."""
        resolver = self.make_resolver()
        for name in ("192.0.2.1", "x.onion", "a..b", "[192.0.2.1]"):
            self.assertIs((await resolver.lookup(name, RecordType.A)).status, AnswerStatus.NO_NAME)
        self.assertEqual(self.server.questions, [])

    async def test_odd_octets_are_asked_for_as_they_are(self) -> None:
        """A backslash or an asterisk in a name is no escape."""
        self.server.zone["a\\046b.text.example", RecordType.TXT] = [b"literal"]
        answer = await self.look_up("a\\046b.text.example", RecordType.TXT)
        self.assertIs(answer.status, AnswerStatus.NO_NAME)
        self.assertEqual(self.server.questions, [("a\\\\046b.text.example", "TXT", "udp")])


class CacheTests(_ServerTestCase):
    """A question is asked again only when its answer is too old."""

    async def test_positive(self) -> None:
        """An answer is used until its TTL is over."""
        resolver = self.make_resolver()
        for now in (0.0, 299.0, 301.0):
            self.clock.now = 1_000_000.0 + now
            answer = await resolver.lookup("two.example", RecordType.MX)
            self.assertEqual(len(answer.records), 2)
        self.assertEqual(len(self.server.questions), 2)

    async def test_negative(self) -> None:
        """That something does not exist is kept for the minimum of the SOA record."""
        for name in ("absent.example", "two.example"):
            resolver = self.make_resolver()
            self.server.questions.clear()
            for now in (0.0, 59.0, 61.0):
                self.clock.now = 2_000_000.0 + now
                await resolver.lookup(name, RecordType.A)
            self.assertEqual(len(self.server.questions), 2)

    async def test_temporary_is_not_kept(self) -> None:
        """After a failure the next question is asked."""
        resolver = self.make_resolver()
        self.server.fault = Fault.SERVFAIL
        first = await resolver.lookup("two.example", RecordType.MX)
        self.server.fault = None
        second = await resolver.lookup("two.example", RecordType.MX)
        self.assertIs(first.status, AnswerStatus.TEMPORARY)
        self.assertIs(second.status, AnswerStatus.FOUND)

    @holds("5321", "5.1", "An alias (CNAME) is followed, and what it leads to is used in its place.")
    async def test_shortest_ttl_of_a_chain(self) -> None:
        """Aliases are followed."""
        self.server.aliases["alias.example"] = "two.example"
        answer = await self.look_up("alias.example")
        self.assertEqual(len(answer.records), 2)
        self.assertEqual(answer.expires_at, self.clock.now + 300.0)

    async def test_single_flight(self) -> None:
        """A hundred messages to one domain ask once."""
        resolver = self.make_resolver()
        answers = await gather([resolver.lookup("two.example", RecordType.MX) for _ in range(100)])
        self.assertEqual({answer.status for answer in answers}, {AnswerStatus.FOUND})
        self.assertEqual(len(self.server.questions), 1)

    async def test_one_waiter_gives_up(self) -> None:
        """Whoever stops waiting does not take the answer from the others."""
        resolver = self.make_resolver()
        impatient = Deferred.fromCoroutine(resolver.lookup("two.example", RecordType.MX))
        patient = Deferred.fromCoroutine(resolver.lookup("two.example", RecordType.MX))
        impatient.addErrback(lambda failure: None)
        impatient.cancel()
        self.assertIs((await patient).status, AnswerStatus.FOUND)


class AuthenticationTests(_ServerTestCase):
    """The AD bit."""

    async def test_loopback(self) -> None:
        """A validating resolver on this machine is believed, also about what does not exist."""
        self.server.authenticated = True
        resolver = self.make_resolver()
        for name, record_type in (
            ("two.example", RecordType.MX),
            ("two.example", RecordType.A),
            ("no.example", RecordType.A),
        ):
            self.assertTrue((await resolver.lookup(name, record_type)).authenticated)

    async def test_absent(self) -> None:
        """Without the bit nothing is authenticated."""
        self.assertFalse((await self.look_up("two.example")).authenticated)

    async def test_elsewhere(self) -> None:
        """The bit of a server that is not on loopback is worth nothing."""
        self.patch(resolver_module, "is_loopback", lambda address: False)
        self.server.authenticated = True
        resolver = self.make_resolver()
        for name, record_type in (
            ("two.example", RecordType.MX),
            ("two.example", RecordType.A),
            ("no.example", RecordType.A),
        ):
            self.assertFalse((await resolver.lookup(name, record_type)).authenticated)


class FailoverTests(_ServerTestCase):
    """The next server is asked when one does not help."""

    async def test_next_server(self) -> None:
        """SERVFAIL, REFUSED, silence and garbage all lead to the next server."""
        for fault in (Fault.SERVFAIL, Fault.REFUSED, Fault.DROP, Fault.GARBAGE, Fault.POINTER_LOOP, Fault.CNAME_LOOP):
            bad = self.make_server()
            bad.fault = fault
            answer = await self.make_resolver(bad, self.server).lookup("two.example", RecordType.MX)
            self.assertIs(answer.status, AnswerStatus.FOUND, fault)

    async def test_nobody_listens(self) -> None:
        """A server that isn't there is left at once."""
        gone = FakeNameServer(self.reactor)
        gone.start()
        await gone.stop()
        start = self.reactor.seconds()
        answer = await self.make_resolver(gone, self.server, server_seconds=5.0).lookup("two.example", RecordType.MX)
        self.assertIs(answer.status, AnswerStatus.FOUND)
        self.assertLess(self.reactor.seconds() - start, 3.0)

    async def test_absence_is_final(self) -> None:
        """Another server is not asked for a name that doesn't exist."""
        other = self.make_server()
        await self.make_resolver(other, self.server).lookup("absent.example", RecordType.MX)
        self.assertEqual(self.server.questions, [])

    async def test_nobody_answers(self) -> None:
        """Silence ends at the time limit."""
        self.server.fault = Fault.DROP
        start = self.reactor.seconds()
        answer = await self.look_up("two.example", deadline_seconds=0.4)
        self.assertIs(answer.status, AnswerStatus.TEMPORARY)
        self.assertLess(self.reactor.seconds() - start, 2.0)
        self.assertNotEqual(answer.detail, "")


class HostileAnswerTests(_ServerTestCase):
    """What a name server of a stranger may send."""

    async def test_no_answer_in_them(self) -> None:
        """Wrong ids, wrong questions, loops and garbage are as good as silence."""
        faults = (
            Fault.WRONG_ID,
            Fault.WRONG_QUESTION,
            Fault.GARBAGE,
            Fault.POINTER_LOOP,
            Fault.CNAME_LOOP,
            Fault.LONG_CHAIN,
        )
        resolver = self.make_resolver(deadline_seconds=0.5)
        for number, fault in enumerate(faults):
            self.server.faults[f"x{number}.example"] = fault
        answers = await gather([resolver.lookup(f"x{number}.example", RecordType.A) for number in range(len(faults))])
        self.assertEqual([answer.status for answer in answers], [AnswerStatus.TEMPORARY] * len(faults))

    async def test_forged_answers_before_the_right_one(self) -> None:
        """A forged answer that comes first does not win, nor end the wait."""
        self.server.fault = Fault.FORGED_FIRST
        self.assertIs((await self.look_up("two.example")).status, AnswerStatus.FOUND)
        self.assertEqual(len(self.server.questions), 1)

    async def test_truncated(self) -> None:
        """A truncated answer is asked for by TCP."""
        self.server.fault = Fault.TRUNCATE
        self.assertIs((await self.look_up("two.example")).status, AnswerStatus.FOUND)
        self.assertEqual([transport for _, _, transport in self.server.questions], ["udp", "tcp"])

    async def test_silent_after_truncation(self) -> None:
        """Silence over TCP ends at the time limit, and the connection is closed."""
        self.server.fault = Fault.SILENT_TCP
        answer = await self.look_up("two.example", deadline_seconds=0.5)
        self.assertIs(answer.status, AnswerStatus.TEMPORARY)
        await deferLater(self.reactor, 0.05)

    async def test_1500_mx_records(self) -> None:
        """Of 1,500 mail hosts the 50 best are kept, whatever their order."""
        records = [MxRecord(number % 1500, f"m{number}.example") for number in range(3, 1503)]
        self.server.zone["many.example", RecordType.MX] = records
        answer = await self.look_up("many.example")
        self.assertEqual(answer.records, tuple(sorted(records)[:50]))

    async def test_too_dear(self) -> None:
        """An answer with more records than any honest one is not read."""
        self.server.zone["dear.example", RecordType.TXT] = [b"%d" % number for number in range(2_001)]
        answer = await self.look_up("dear.example", RecordType.TXT)
        self.assertEqual((answer.status, answer.records), (AnswerStatus.TEMPORARY, ()))

    async def test_odd_hosts(self) -> None:
        """Mail hosts that are no host names are left out."""
        odd = [
            "a\r\nb.example",
            "a b.example",
            "-a.example",
            "192.0.2.1",
            "\x00.example",
            "a\\.example",
            "x" * 63 + ".é",
            "*.a",
        ]
        good = MxRecord(20, "good_host-1.example")
        self.server.zone["odd.example", RecordType.MX] = [*(MxRecord(10, host) for host in odd), good]
        self.assertEqual((await self.look_up("odd.example")).records, (good,))

    async def test_only_odd_hosts(self) -> None:
        """A domain whose only host is no host name has mail hosts, none of which can be used."""
        self.server.zone["odd.example", RecordType.MX] = [MxRecord(10, "a\nb.example")]
        answer = await self.look_up("odd.example")
        self.assertEqual((answer.status, answer.records), (AnswerStatus.FOUND, ()))

    async def test_capitals_in_hosts(self) -> None:
        """Hosts are told in lower case, each once."""
        self.server.zone["caps.example", RecordType.MX] = [MxRecord(10, "MX.Example"), MxRecord(10, "mx.example")]
        self.assertEqual((await self.look_up("caps.example")).records, (MxRecord(10, "mx.example"),))


class BoundTests(_ServerTestCase):
    """Questions are bounded."""

    async def test_line(self) -> None:
        """Questions beyond those under way wait in line and are asked then; beyond the line they are a delay."""
        resolver = self.make_resolver(max_running=1, max_waiting=1)
        self.server.zone.update({(f"x{n}.example", RecordType.A): ["192.0.2.9"] for n in range(3)})
        first = Deferred.fromCoroutine(resolver.lookup("x0.example", RecordType.A))
        await deferLater(self.reactor, 0)
        answers = await gather([resolver.lookup(f"x{n}.example", RecordType.A) for n in (1, 2)])
        self.assertIs((await first).status, AnswerStatus.FOUND)
        self.assertEqual([answer.status for answer in answers], [AnswerStatus.FOUND, AnswerStatus.TEMPORARY])

    async def test_time_in_line_counts(self) -> None:
        """Whoever waits in line behind a silent server is told at the time limit."""
        self.server.fault = Fault.DROP
        resolver = self.make_resolver(max_running=1, deadline_seconds=0.3)
        start = self.reactor.seconds()
        answers = await gather([resolver.lookup(f"x{n}.example", RecordType.A) for n in range(5)])
        self.assertEqual({answer.status for answer in answers}, {AnswerStatus.TEMPORARY})
        self.assertLess(self.reactor.seconds() - start, 1.2)

    async def test_close(self) -> None:
        """Closing answers everybody at once, under way or in line, and leaves no socket behind."""
        self.server.fault = Fault.DROP
        resolver = self.make_resolver(max_running=1)
        waiting = [Deferred.fromCoroutine(resolver.lookup(f"x{n}.example", RecordType.A)) for n in range(3)]
        await deferLater(self.reactor, 0.05)
        resolver.close()
        answers = await gatherResults(waiting)
        answers.append(await resolver.lookup("later.example", RecordType.A))
        self.assertEqual({answer.status for answer in answers}, {AnswerStatus.TEMPORARY})

    async def test_bounded_cache(self) -> None:
        """The cache given is the one that is used."""
        cache = DnsCache(max_entries=1)
        resolver = self.make_resolver(cache=cache)
        await resolver.lookup("two.example", RecordType.MX)
        await resolver.lookup("text.example", RecordType.TXT)
        self.assertEqual(len(cache), 1)


class GatherTests(_ServerTestCase):
    """Waiting for several at a time."""

    async def test_in_order(self) -> None:
        """Results come in the order of the questions, whichever is ready first."""

        async def later(seconds: float) -> float:
            await deferLater(self.reactor, seconds)
            return seconds

        self.assertEqual(await gather([later(0.03), later(0.0), later(0.01)]), [0.03, 0.0, 0.01])

    async def test_failure(self) -> None:
        """A failure comes out."""

        async def fail() -> None:
            raise ValueError("x")

        with self.assertRaises(ValueError):
            await gather([fail()])
