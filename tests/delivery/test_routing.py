"""Tests for choosing routes."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.routing import Router, RouteRule
from smtpgw.model.domains import LocalDomain, LocalDomains
from smtpgw.model.route import Route, ViaMx, ViaSink

DEFAULT = Route("default", ViaMx())
NOWHERE = LocalDomains()
LOCAL = Route("domain ours.example", ViaSink("maildir:mail"))


def rule(name, to="*", reverse="*"):
    """A rule and the name by which its route is known."""
    return RouteRule(Route(name, ViaMx()), to, reverse)


class RouterTests(SynchronousTestCase):
    """Local domains, then the rules in order, then the default."""

    def chosen(self, rules, domain, reverse="", domains=NOWHERE):
        """Name of the chosen route, asked twice."""
        router = Router(domains, rules, DEFAULT)
        first = router.route(domain, reverse)
        self.assertIs(router.route(domain, reverse), first)
        return first.name

    def test_default(self):
        """Without rules everything goes to the MX hosts."""
        self.assertEqual(self.chosen([], "example.net"), "default")

    def test_local(self):
        """Mail for our domains stays here, even if a rule matches everything."""
        domains = LocalDomains([LocalDomain("ours.example", LOCAL)])
        self.assertEqual(self.chosen([rule("all")], "ours.example", domains=domains), LOCAL.name)
        self.assertEqual(self.chosen([rule("all")], "sub.ours.example", domains=domains), "all")
        self.assertEqual(self.chosen([rule("all")], "", domains=domains), LOCAL.name)

    def test_patterns(self):
        """A name means itself, a star and a dot everything below it and not itself."""
        rules = [rule("exact", "example.net"), rule("below", "*.example.net")]
        self.assertEqual(self.chosen(rules, "example.net"), "exact")
        self.assertEqual(self.chosen(rules, "a.b.example.net"), "below")
        self.assertEqual(self.chosen(rules[1:], "example.net"), "default")
        self.assertEqual(self.chosen(rules, "notexample.net"), "default")
        self.assertEqual(self.chosen(rules, ".example.net"), "default")

    def test_first_wins(self):
        """The order of the configuration decides, not how exact a pattern is."""
        self.assertEqual(self.chosen([rule("all"), rule("exact", "example.net")], "example.net"), "all")

    def test_reverse(self):
        """A rule can ask for the domain of the sender as well; the null path matches only a star."""
        rules = [rule("bulk", "*", "news.example"), rule("ours", "*", "*.example")]
        self.assertEqual(self.chosen(rules, "a.net", "news.example"), "bulk")
        self.assertEqual(self.chosen(rules, "a.net", "x.example"), "ours")
        self.assertEqual(self.chosen(rules, "a.net", ""), "default")
        router = Router(LocalDomains(), rules, DEFAULT)
        self.assertEqual([router.route("a.net", r).name for r in ("news.example", "")], ["bulk", "default"])

    def test_international(self):
        """A domain is the same in Unicode and in A-labels, in the rule and in the address."""
        for pattern in ("bücher.example", "xn--bcher-kva.example"):
            for domain in ("bücher.example", "xn--bcher-kva.example"):
                self.assertEqual(self.chosen([rule("books", pattern)], domain), "books")
        self.assertEqual(self.chosen([rule("books", "*.bücher.example")], "a.xn--bcher-kva.example"), "books")

    def test_literal(self):
        """Address literals match a star and themselves."""
        self.assertEqual(self.chosen([rule("x", "*.example"), rule("it", "[192.0.2.1]")], "[192.0.2.1]"), "it")

    def test_bounded(self):
        """Senders who make up domains without end don't fill the memory."""
        router = Router(LocalDomains(), [], DEFAULT)
        for number in range(50_000):
            router.route("example.net", f"{number}.example")
        self.assertEqual(len(router._known), 1)
        for number in range(50_000):
            router.route(f"{number}.example", "")
        self.assertLessEqual(len(router._known), 20_000)
