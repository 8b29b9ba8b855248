"""Tests of :mod:`smtpgw.delivery.resolution`."""

from ipaddress import ip_network
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.hops import HopRules, Hops
from smtpgw.delivery.resolution import find_hops, to_a_labels
from smtpgw.model.dns import Answer, AnswerStatus, MxRecord, Record, RecordType
from smtpgw.model.outcome import Delayed, Failed
from smtpgw.model.route import Hop, ViaHost, ViaMx
from smtpgw.testing.memory_names import MemoryResolver
from tests.clauses import holds

A, AAAA, MX = RecordType.A, RecordType.AAAA, RecordType.MX
TEMPORARY, NO_NAME, NO_DATA = AnswerStatus.TEMPORARY, AnswerStatus.NO_NAME, AnswerStatus.NO_DATA

ZONE: dict[tuple[str, RecordType], list[Record]] = {
    ("example.test", MX): [MxRecord(10, "mx1.example.test"), MxRecord(20, "mx2.example.test")],
    ("mx1.example.test", A): ["192.0.2.1"],
    ("mx2.example.test", A): ["192.0.2.2"],
    ("alone.test", A): ["192.0.2.9"],
    ("null.test", MX): [MxRecord(0, "")],
    ("xn--bcher-kva.test", MX): [MxRecord(10, "mx1.example.test")],
}


class _FindHopsTestCase(SynchronousTestCase):
    def find(self, domain: str = "", via: Any = None, zone: Any = None, resolver: Any = None, **rules: Any) -> Any:
        """The result for a domain, with changes to the zone."""
        self.resolver = resolver or MemoryResolver({**ZONE, **(zone or {})}, expires_at=5000.0)
        coroutine = find_hops(via or ViaMx(), domain, self.resolver, HopRules(**rules), Random(1))
        try:
            coroutine.send(None)
        except StopIteration as stop:
            return stop.value
        return self.fail("it waited for something")

    def assert_failed(self, result: Any, status: str) -> None:
        """A final failure."""
        self.assertIsInstance(result, Failed)
        self.assertEqual(result.status, status)

    def assert_delayed(self, result: Any, status: str = "4.4.3") -> None:
        """A failure that may pass."""
        self.assertIsInstance(result, Delayed)
        self.assertEqual(result.status, status)


class MxTests(_FindHopsTestCase):
    """Mail hosts of a domain (RFC 5321 section 5.1)."""

    def test_by_preference(self) -> None:
        """The best host comes first; the site is named by all hosts."""
        expected = (Hop("mx1.example.test", "192.0.2.1", 25), Hop("mx2.example.test", "192.0.2.2", 25))
        self.assertEqual(self.find("example.test"), Hops(expected, "mx1.example.test,mx2.example.test", 5000.0))

    def test_port(self) -> None:
        """The port is that of the route."""
        self.assertEqual({hop.port for hop in self.find("example.test", ViaMx(2525)).hops}, {2525})

    @holds("5321", "5.1", "A domain without MX records is its own host.")
    def test_no_mx(self) -> None:
        """A domain without MX records is its own host."""
        self.assertEqual(self.find("alone.test"), Hops((Hop("alone.test", "192.0.2.9", 25),), "alone.test", 5000.0))

    @holds("7505", "4", "Mail to a domain with a null MX fails with 5.1.10.")
    def test_null_mx(self) -> None:
        """A domain that takes no mail is final at once (RFC 7505)."""
        self.assert_failed(self.find("null.test"), "5.1.10")

    @holds("7505", "3", "A null MX beside other MX records is passed over.")
    def test_null_mx_among_others(self) -> None:
        """A null MX record beside others means nothing."""
        zone = {("example.test", MX): [MxRecord(0, ""), MxRecord(10, "mx1.example.test")]}
        self.assertEqual(self.find("example.test", zone=zone).site, "mx1.example.test")

    def test_no_domain(self) -> None:
        """A domain that doesn't exist is final."""
        self.assert_failed(self.find("absent.test"), "5.1.2")

    @holds("5321", "5.1", "While the MX records can't be looked up the message is delayed.")
    def test_temporary(self) -> None:
        """Trouble with the MX records is a delay, though the domain has an address."""
        self.assert_delayed(self.find("alone.test", zone={("alone.test", MX): TEMPORARY}))

    @holds("5321", "5.1", "Where there are MX records but no usable host, the domain's own address is not tried.")
    def test_unusable_mx_records(self) -> None:
        """Where all hosts were no host names, the domain's own address is not tried: it has not said so."""
        zone = {("alone.test", MX): Answer(AnswerStatus.FOUND, ())}
        self.assert_failed(self.find("alone.test", zone=zone), "5.4.4")

    def test_host_without_address(self) -> None:
        """A host without addresses is passed over; without any other it is final."""
        for missing in (NO_NAME, NO_DATA):
            zone: Any = {("mx1.example.test", A): missing, ("mx1.example.test", AAAA): missing}
            self.assertEqual([hop.host for hop in self.find("example.test", zone=zone).hops], ["mx2.example.test"])
            zone["mx2.example.test", A] = missing
            self.assert_failed(self.find("example.test", zone=zone), "5.4.4")

    def test_host_temporary(self) -> None:
        """A host that can't be looked up is passed over, for a minute; if none is left it is a delay."""
        zone: Any = {("mx1.example.test", A): Answer(TEMPORARY, expires_at=1000.0), ("mx1.example.test", AAAA): NO_DATA}
        hops = self.find("example.test", zone=zone)
        self.assertEqual([hop.host for hop in hops.hops], ["mx2.example.test"])
        self.assertEqual(hops.expires_at, 1060.0)
        self.assertEqual(hops.site, "mx1.example.test,mx2.example.test")
        zone["mx2.example.test", A] = TEMPORARY
        self.assert_delayed(self.find("example.test", zone=zone))

    def test_absent_name_is_known(self) -> None:
        """A host name that doesn't exist has no address, though one of the two questions failed."""
        zone = {("example.test", MX): [MxRecord(1, "x.test")], ("x.test", A): NO_NAME, ("x.test", AAAA): TEMPORARY}
        self.assert_failed(self.find("example.test", zone=zone), "5.4.4")

    def test_many_hosts(self) -> None:
        """Of many hosts only the best ten are looked up."""
        records = [MxRecord(number, f"m{number:02d}.test") for number in range(50)]
        zone: Any = {("m.test", MX): records}
        zone.update({(record.host, A): [f"192.0.2.{record.preference + 1}"] for record in records})
        hops = self.find("m.test", zone=zone)
        self.assertEqual([hop.host for hop in hops.hops], [f"m{number:02d}.test" for number in range(10)])
        self.assertEqual(len(self.resolver.questions), 21)

    def test_expiry(self) -> None:
        """The answer that expires first decides."""
        zone = {("mx2.example.test", A): Answer(AnswerStatus.FOUND, ("192.0.2.2",), 100.0)}
        self.assertEqual(self.find("example.test", zone=zone).expires_at, 100.0)

    def test_authenticated(self) -> None:
        """Only when the MX records and all addresses are."""
        secure = MemoryResolver(ZONE, authenticated=True)
        self.assertTrue(self.find("example.test", resolver=secure).authenticated)
        secure.zone["mx2.example.test", A] = Answer(AnswerStatus.FOUND, ("192.0.2.2",), 100.0)
        self.assertFalse(self.find("example.test", resolver=secure).authenticated)


class LoopTests(_FindHopsTestCase):
    """Mail must not come back to us."""

    def test_backup(self) -> None:
        """A backup host sends only to better ones."""
        hops = self.find("example.test", own_names=frozenset({"mx2.example.test"}))
        self.assertEqual([hop.host for hop in hops.hops], ["mx1.example.test"])

    @holds("5321", "5.1", "When we are the best host of a domain that is not ours, its mail fails with 5.4.6.")
    def test_best(self) -> None:
        """When we are the best host, there is nowhere to send to; nothing is looked up for that."""
        self.assert_failed(self.find("example.test", own_names=frozenset({"mx1.example.test"})), "5.4.6")
        self.assertEqual(len(self.resolver.questions), 1)

    def test_without_mx(self) -> None:
        """Also when the domain is our own name."""
        self.assert_failed(self.find("alone.test", own_names=frozenset({"alone.test"})), "5.4.6")

    def test_by_address(self) -> None:
        """Also when a stranger's name has our address."""
        own = frozenset({("192.0.2.1", 25)})
        self.assert_failed(self.find("example.test", own_addresses=own), "5.4.6")

    def test_by_any_address(self) -> None:
        """A listener on all addresses is reached by every address of loopback, named by a host or as a literal."""
        own = frozenset({("0.0.0.0", 25)})
        zone = {("us.test", A): ["127.0.0.9"]}
        for domain in ("us.test", "[127.0.0.3]", "[IPv6:::1]", "[0.0.0.0]", "[IPv6:::]"):
            self.assert_failed(self.find(domain, zone=zone, own_addresses=own), "5.4.6")
            self.assertIsInstance(self.find(domain, ViaMx(26), zone=zone, own_addresses=own), Hops)

    def test_literal(self) -> None:
        """Also by a literal with the address of a listener."""
        self.assert_failed(self.find("[192.0.2.1]", own_addresses=frozenset({("192.0.2.1", 25)})), "5.4.6")

    def test_smarthost(self) -> None:
        """A smarthost that is one of our own listeners is a mistake that the reason names."""
        own = frozenset({("127.0.0.1", 2525), ("192.0.2.1", 2525), ("0.0.0.0", 2526)})
        for host, port in (
            ("127.0.0.1", 2525),
            ("0.0.0.0", 2525),
            ("::ffff:127.0.0.1", 2525),
            ("mx1.example.test", 2525),
            ("127.1.2.3", 2526),
            ("::1", 2526),
            ("localhost", 2526),
        ):
            failed = self.find("example.test", ViaHost(host, port), own_addresses=own)
            self.assert_failed(failed, "5.4.6")
            self.assertIn(f"the next hop {host} port {port} is this gateway itself: a routing loop", failed.reason)
            self.assertIsInstance(self.find("example.test", ViaHost(host, 587), own_addresses=own), Hops)

    def test_smarthost_partly(self) -> None:
        """Of a smarthost's addresses only ours are left out; what can't be looked up may still be another's."""
        own, zone = frozenset({("192.0.2.1", 25)}), {("both.test", A): ["192.0.2.1", "192.0.2.2"]}
        hops = self.find(via=ViaHost("both.test", 25), zone=zone, own_addresses=own)
        self.assertEqual(hops.hops, (Hop("both.test", "192.0.2.2", 25),))
        half: Any = {("mx1.example.test", AAAA): TEMPORARY}
        self.assert_delayed(self.find(via=ViaHost("mx1.example.test", 25), zone=half, own_addresses=own))


class ForbiddenTests(_FindHopsTestCase):
    """Names of strangers must not lead into our networks."""

    networks = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("0.0.0.0/8"), ip_network("10.0.0.0/8"))

    def test_addresses(self) -> None:
        """However the address is written and wherever it is found."""
        for address in ("127.0.0.1", "::1", "::ffff:10.1.2.3", "::", "0.0.0.0"):
            zone = {("evil.test", A if "." in address and ":" not in address else AAAA): [address]}
            self.assert_failed(self.find("evil.test", zone=zone, forbidden_networks=self.networks), "5.4.4")

    def test_literals(self) -> None:
        """Also in an address literal."""
        for literal in ("[127.0.0.1]", "[IPv6:::1]", "[IPv6:::ffff:127.0.0.1]"):
            self.assert_failed(self.find(literal, forbidden_networks=self.networks), "5.4.4")

    def test_smarthost(self) -> None:
        """The operator's own smarthost may be anywhere."""
        hops = self.find(via=ViaHost("127.0.0.1", 2525), forbidden_networks=self.networks)
        self.assertEqual(hops.hops, (Hop("127.0.0.1", "127.0.0.1", 2525),))


class LiteralTests(_FindHopsTestCase):
    """Address literals (RFC 5321 section 4.1.3)."""

    def test_good(self) -> None:
        """Lead to their address, whatever the name server says."""
        self.assertEqual(self.find("[192.0.2.7]").hops, (Hop("[192.0.2.7]", "192.0.2.7", 25),))
        self.assertEqual(self.find("[IPv6:2001:DB8::7]").hops, (Hop("[IPv6:2001:db8::7]", "2001:db8::7", 25),))
        self.assertEqual(self.resolver.questions, [])

    def test_bad(self) -> None:
        """What is no literal is final."""
        for domain in (
            "[]",
            "[1.2.3]",
            "[1.2.3.4",
            "[IPv6:1.2.3.4]",
            "[2001:db8::1]",
            "[x]",
            "[IPv6:fe80::1%eth0]",
            "[IPv6:]",
        ):
            self.assert_failed(self.find(domain), "5.1.2")


class SmarthostTests(_FindHopsTestCase):
    """A named host: its MX records are not asked for, and its trouble is never final."""

    def test_name(self) -> None:
        """Its addresses are looked up."""
        hops = self.find("whatever.test", ViaHost("mx1.example.test", 587))
        self.assertEqual(hops, Hops((Hop("mx1.example.test", "192.0.2.1", 587),), "mx1.example.test:587", 5000.0))
        self.assertNotIn(MX, [record_type for _, record_type in self.resolver.questions])

    def test_ipv6(self) -> None:
        """An IPv6 address needs no look-up, and brackets in the site's name."""
        hops = self.find(via=ViaHost("2001:db8::1", 25))
        self.assertEqual(hops.site, "[2001:db8::1]:25")
        self.assertEqual(self.resolver.questions, [])

    def test_trouble(self) -> None:
        """A typing error in the configuration delays mail, and returns none."""
        self.assert_delayed(self.find(via=ViaHost("absent.test", 25)), "4.4.4")
        self.assert_delayed(self.find(via=ViaHost("x" * 300, 25)), "4.4.4")
        self.assert_delayed(self.find(via=ViaHost("t.test", 25), zone={("t.test", A): TEMPORARY}))

    def test_localhost(self) -> None:
        """The name localhost and those below it are this machine; no name server is asked (RFC 6761 section 6.3)."""
        for name in ("localhost", "LOCALHOST", "localhost.", "mail.localhost"):
            hops = self.find(via=ViaHost(name, 25), zone={("localhost", A): ["192.0.2.66"]})
            self.assertEqual({hop.address for hop in hops.hops}, {"127.0.0.1", "::1"}, name)
            self.assertEqual((hops.site, hops.expires_at), (f"{name}:25", float("inf")))
            self.assertEqual(self.resolver.questions, [])
        zone = {("notlocalhost", A): ["192.0.2.7"]}
        self.assertEqual(self.find(via=ViaHost("notlocalhost", 25), zone=zone).hops[0].address, "192.0.2.7")

    def test_own_name(self) -> None:
        """It may have our name and address: another server on this machine, on another port."""
        rules: Any = {"own_names": frozenset({"mx1.example.test"}), "own_addresses": frozenset({("192.0.2.1", 25)})}
        self.assertIsInstance(self.find(via=ViaHost("mx1.example.test", 587), **rules), Hops)


class DomainNameTests(_FindHopsTestCase):
    """Names of all scripts."""

    def test_a_labels(self) -> None:
        """A domain is asked for as the name server knows it."""
        self.assertEqual(self.find("bücher.test").site, "mx1.example.test")
        self.assertEqual(to_a_labels("BÜCHER.Test"), "xn--bcher-kva.test")
        self.assertEqual(to_a_labels("EXAMPLE.Test"), "example.test")

    def test_impossible(self) -> None:
        """What can't be a domain name is final, and never raises."""
        for domain in ("", "ü" * 300, "\u200d.test", "a\u0378.test", "-ü.test", "ü..test", "\ud800.test"):
            self.assertIsNone(to_a_labels(domain), repr(domain))
            self.assert_failed(self.find(domain), "5.1.2")
