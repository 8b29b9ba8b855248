"""Tests of :mod:`smtpgw.delivery.hops`."""

from ipaddress import ip_address, ip_network
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.hops import (
    ANY_ADDRESS,
    HopRules,
    HostAddresses,
    is_forbidden,
    is_ours,
    mixed_addresses,
    order_hops,
    parse_address,
    shuffled_hosts,
    site_name,
    without_us,
)
from smtpgw.model.dns import MxRecord
from smtpgw.model.outcome import Delayed, Failed
from smtpgw.model.route import Hop
from tests.clauses import holds

LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"), ip_network("0.0.0.0/8"))


class AddressTests(SynchronousTestCase):
    """Addresses are judged as what they reach."""

    def test_mapped(self) -> None:
        """An IPv4-mapped address is the IPv4 address."""
        self.assertEqual(parse_address("::ffff:127.0.0.1"), ip_address("127.0.0.1"))

    def test_none(self) -> None:
        """What is no address is none."""
        for text in ("", "mx.example", "1.2.3", "1.2.3.4.5", "0x7f.1", "127.1"):
            self.assertIsNone(parse_address(text))

    def test_forbidden(self) -> None:
        """Every way to write this machine's own address is found."""
        for text in ("127.0.0.1", "127.255.0.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1", "::ffff:7f00:1"):
            address = parse_address(text)
            assert address is not None
            self.assertTrue(is_forbidden(address, LOOPBACK), text)

    def test_allowed(self) -> None:
        """Other addresses pass, and with an empty list all do."""
        self.assertFalse(is_forbidden(ip_address("192.0.2.1"), LOOPBACK))
        self.assertFalse(is_forbidden(ip_address("2001:db8::1"), LOOPBACK))
        self.assertFalse(is_forbidden(ip_address("127.0.0.1"), ()))

    def test_unspecified_only_when_asked(self) -> None:
        """The unspecified IPv6 address is not forbidden by networks that have nothing to do with it."""
        self.assertFalse(is_forbidden(ip_address("::"), (ip_network("10.0.0.0/8"),)))

    def test_unspecified_is_loopback(self) -> None:
        """Connecting to the unspecified address reaches this machine: any forbidden part of loopback forbids it."""
        for network in (
            "127.0.0.0/16",
            "127.5.0.0/16",
            "127.0.0.1/32",
            "126.0.0.0/7",
            "::1/128",
            "::/127",
            "0.0.0.0/8",
        ):
            for text in ("0.0.0.0", "::", "::ffff:0.0.0.0"):
                address = parse_address(text)
                assert address is not None
                self.assertTrue(is_forbidden(address, (ip_network(network),)), (text, network))
        self.assertFalse(is_forbidden(ip_address("0.0.0.0"), (ip_network("10.0.0.0/8"), ip_network("fc00::/7"))))
        self.assertFalse(is_forbidden(ip_address("0.0.0.1"), (ip_network("127.0.0.0/8"),)))


class OursTests(SynchronousTestCase):
    """What reaches a listener of this gateway."""

    def assert_ours(self, own: tuple[str, int], *texts: str, expected: bool = True) -> None:
        """With port 25."""
        for text in texts:
            address = parse_address(text)
            assert address is not None
            self.assertIs(is_ours(address, 25, HopRules(own_addresses=frozenset({own}))), expected, (own, text))

    def test_one_address(self) -> None:
        """A listener on one address is that address, however it is written."""
        self.assert_ours(("192.0.2.1", 25), "192.0.2.1", "::ffff:192.0.2.1")
        self.assert_ours(("192.0.2.1", 25), "192.0.2.2", "127.0.0.1", "0.0.0.0", "::1", expected=False)
        self.assert_ours(("192.0.2.1", 26), "192.0.2.1", expected=False)

    def test_loopback(self) -> None:
        """One on 127.0.0.1 or ::1 is also what the unspecified address of its family leads to."""
        self.assert_ours(("127.0.0.1", 25), "127.0.0.1", "0.0.0.0")
        self.assert_ours(("127.0.0.1", 25), "127.0.0.2", "::1", "::", expected=False)
        self.assert_ours(("::1", 25), "::1", "::")

    def test_all_addresses(self) -> None:
        """One on all addresses is the whole of loopback, on its port."""
        self.assert_ours((ANY_ADDRESS, 25), "127.0.0.1", "127.0.0.3", "127.255.255.254", "::1", "0.0.0.0", "::")
        self.assert_ours((ANY_ADDRESS, 25), "192.0.2.1", "2001:db8::1", expected=False)
        self.assert_ours((ANY_ADDRESS, 2525), "127.0.0.1", "0.0.0.0", expected=False)


class PreferenceTests(SynchronousTestCase):
    """The order of hosts."""

    @given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["a", "b", "c", "d"])), max_size=12), st.integers())
    @settings(max_examples=80, deadline=None)
    def test_sorted(self, pairs: list[tuple[int, str]], seed: int) -> None:
        """A better preference always comes first; a host that is named twice counts once, with its better one."""
        hosts = shuffled_hosts([MxRecord(preference, host) for preference, host in pairs], Random(seed))
        self.assertEqual([record.preference for record in hosts], sorted(record.preference for record in hosts))
        best = {host: min(preference for preference, other in pairs if other == host) for _, host in pairs}
        self.assertEqual({record.host: record.preference for record in hosts}, best)

    @holds("5321", "5.1", "Of hosts with equal preference each is the first about as often.")
    def test_equal_ones_share(self) -> None:
        """Among hosts of equal preference each is the first about as often."""
        random = Random(1)
        first = [shuffled_hosts([MxRecord(10, name) for name in "abcd"], random)[0].host for _ in range(400)]
        for name in "abcd":
            self.assertTrue(60 < first.count(name) < 140, (name, first.count(name)))

    def test_order_on_the_wire_does_not_matter(self) -> None:
        """The same dice give the same order, however the name server sorted."""
        records = [MxRecord(10, name) for name in "abcdef"]
        self.assertEqual(shuffled_hosts(records, Random(3)), shuffled_hosts(records[::-1], Random(3)))

    @holds("5321", "5.1", "Hosts of our own preference and worse ones are left out.")
    def test_without_us(self) -> None:
        """Hosts as good as we are, and worse ones, are left out: they would send the mail back to us."""
        hosts = [MxRecord(5, "best"), MxRecord(10, "us"), MxRecord(10, "peer"), MxRecord(20, "backup")]
        rules = HopRules(own_names=frozenset({"us"}))
        self.assertEqual(without_us(hosts, rules), [MxRecord(5, "best")])
        self.assertEqual(without_us(hosts[1:], rules), [])
        self.assertEqual(without_us(hosts, HopRules()), hosts)


class MixedAddressTests(SynchronousTestCase):
    """The order of one host's addresses."""

    def test_alternate(self) -> None:
        """The families take turns for as long as there are both."""
        mixed = mixed_addresses(["192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1"], Random(1))
        versions = [address.version for address in mixed]
        self.assertIn(versions, ([4, 6, 4, 4], [6, 4, 4, 4]))

    def test_either_is_first(self) -> None:
        """Neither family is always the first, and no address is."""
        random = Random(1)
        texts = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"]
        first = [str(mixed_addresses(texts, random)[0]) for _ in range(400)]
        for text in texts:
            self.assertTrue(60 < first.count(text) < 140, (text, first.count(text)))

    def test_each_once(self) -> None:
        """An address that is told twice, once as mapped, is tried once; what is none is left out."""
        mixed = mixed_addresses(["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "nonsense"], Random(1))
        self.assertEqual(mixed, [ip_address("192.0.2.1")])


class SiteNameTests(SynchronousTestCase):
    """The name of a site."""

    def test_set(self) -> None:
        """The same hosts are the same site, in whatever order."""
        self.assertEqual(site_name(["b.example", "a.example", "b.example"]), "a.example,b.example")

    def test_long(self) -> None:
        """Long lists are shortened, and stay different from each other."""
        names = [f"mx{number}.{'x' * 60}.example" for number in range(10)]
        short = site_name(names)
        self.assertLess(len(short), 256)
        self.assertTrue(short.startswith("mx0."))
        self.assertNotEqual(short, site_name(names[:9]))
        self.assertEqual(short, site_name(names[::-1]))


class OrderHopsTests(SynchronousTestCase):
    """From hosts to hops."""

    def order(self, *hosts: HostAddresses, **rules: object) -> object:
        """With port 25."""
        return order_hops(hosts, 25, HopRules(**rules), Random(1))  # type: ignore[arg-type]

    def test_hosts_in_order(self) -> None:
        """All addresses of a better host come before those of a worse one, an address of both only once."""
        hops = self.order(
            HostAddresses(10, "a.example", ("192.0.2.1",)), HostAddresses(20, "b.example", ("192.0.2.1", "192.0.2.2"))
        )
        self.assertEqual(hops, (Hop("a.example", "192.0.2.1", 25), Hop("b.example", "192.0.2.2", 25)))

    def test_bounds(self) -> None:
        """A host with many addresses leaves room for the others, and all together are bounded."""
        many = tuple(f"192.0.2.{number}" for number in range(1, 100))
        hosts = [HostAddresses(10, "a.example", many)]
        hosts += [HostAddresses(20, f"b{n}.example", tuple(f"198.51.{n}.{m}" for m in range(50))) for n in range(5)]
        hops = self.order(*hosts)
        assert isinstance(hops, tuple)
        self.assertEqual(len(hops), 30)
        self.assertEqual(sum(hop.host == "a.example" for hop in hops), 10)

    def test_own_address(self) -> None:
        """A host that is us under another name is left out with all that are no better."""
        hosts = [
            HostAddresses(5, "a.example", ("192.0.2.5",)),
            HostAddresses(10, "alias.example", ("2001:db8::1",)),
            HostAddresses(10, "b.example", ("192.0.2.7",)),
        ]
        own = frozenset({("2001:db8::1", 25)})
        self.assertEqual(self.order(*hosts, own_addresses=own), (Hop("a.example", "192.0.2.5", 25),))
        self.assertEqual(getattr(self.order(*hosts[1:], own_addresses=own), "status", None), "5.4.6")

    def test_own_address_other_port(self) -> None:
        """Another server on this machine is not us."""
        own = frozenset({("192.0.2.5", 2525)})
        self.assertIsInstance(self.order(HostAddresses(5, "a.example", ("192.0.2.5",)), own_addresses=own), tuple)

    def test_forbidden(self) -> None:
        """Addresses in forbidden networks are left out; when none is left, that is final and says why."""
        good, bad = HostAddresses(10, "a.example", ("192.0.2.1",)), HostAddresses(5, "b.example", ("127.0.0.1", "::1"))
        self.assertEqual(self.order(good, bad, forbidden_networks=LOOPBACK), (Hop("a.example", "192.0.2.1", 25),))
        failed = self.order(bad, forbidden_networks=LOOPBACK)
        assert isinstance(failed, Failed)
        self.assertEqual(failed.status, "5.4.4")
        self.assertIn("may not be sent to", failed.reason)

    def test_unknown_is_a_delay(self) -> None:
        """As long as any host's addresses might still be found, nothing is final."""
        unknown = HostAddresses(10, "a.example", (), "SERVFAIL")
        for other in (HostAddresses(20, "b.example", ()), HostAddresses(20, "b.example", ("127.0.0.1",))):
            delayed = self.order(unknown, other, forbidden_networks=LOOPBACK)
            assert isinstance(delayed, Delayed)
            self.assertEqual(delayed.status, "4.4.3")

    def test_half_unknown_is_a_delay(self) -> None:
        """A host with a forbidden IPv4 address, whose IPv6 addresses are not known, may still be good."""
        half = HostAddresses(10, "a.example", ("127.0.0.1",), "SERVFAIL")
        self.assertIsInstance(self.order(half, forbidden_networks=LOOPBACK), Delayed)

    def test_unknown_but_another_is_usable(self) -> None:
        """A host that can't be looked up doesn't keep mail from the next one."""
        hops = self.order(HostAddresses(10, "a", (), "SERVFAIL"), HostAddresses(20, "b", ("192.0.2.1",)))
        self.assertEqual(hops, (Hop("b", "192.0.2.1", 25),))

    def test_nothing(self) -> None:
        """Hosts without any address are final."""
        self.assertEqual(getattr(self.order(HostAddresses(10, "a", ())), "status", None), "5.4.4")
