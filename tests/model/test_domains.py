"""Tests for names of domains and the local ones."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.domains import (
    LocalDomain,
    LocalDomains,
    canonical_domain,
    canonical_local,
    matches_domain,
    parents,
)
from smtpgw.model.route import Route, ViaSink

ROUTE = Route("test", ViaSink("discard:"))


class CanonicalTests(SynchronousTestCase):
    """All that means the same domain is spelled the same."""

    def test_spellings(self):
        """Case, the dot at the end, and the form of international labels make no difference."""
        table = {
            "Example.COM": "example.com",
            "example.com.": "example.com",
            "BÜCHER.example": "xn--bcher-kva.example",
            "u\u0308ber.example": "xn--ber-goa.example",
            "xn--bcher-kva.example": "xn--bcher-kva.example",
            "*.bücher.example": "*.xn--bcher-kva.example",
            "[IPv6:2001:DB8::1]": "[ipv6:2001:db8::1]",
            "": "",
            "*": "*",
        }
        for domain, canonical in table.items():
            self.assertEqual(canonical_domain(domain), canonical)

    @given(st.text(max_size=300))
    @settings(max_examples=200, deadline=None)
    def test_hostile(self, domain):
        """Nonsense raises nothing, and what is canonical stays so."""
        canonical = canonical_domain(domain)
        if canonical.isascii():
            self.assertEqual(canonical_domain(canonical).rstrip("."), canonical.lower().rstrip("."))

    def test_long(self):
        """A name that is too long is not worked on."""
        self.assertEqual(canonical_domain("ü" * 100_000), "ü" * 100_000)

    def test_local_part(self):
        """Local parts are compared without case, and composed or not."""
        self.assertEqual(canonical_local("Alice"), "alice")
        self.assertEqual(canonical_local("ZOE\u0308"), canonical_local("zoë"))


class PatternTests(SynchronousTestCase):
    """Patterns of domains."""

    def test_table(self):
        """A star is for all, a star and a dot for subdomains, and a name for itself."""
        table = [
            ("*", "a.example", True),
            ("*", "", True),
            ("a.example", "a.example", True),
            ("a.example", "b.a.example", False),
            ("*.a.example", "b.a.example", True),
            ("*.a.example", "c.b.a.example", True),
            ("*.a.example", "a.example", False),
            ("*.a.example", ".a.example", False),
            ("*.a.example", "ba.example", False),
            ("a.example", "", False),
        ]
        for pattern, domain, answer in table:
            self.assertEqual(matches_domain(pattern, domain), answer, (pattern, domain))

    def test_parents(self):
        """The nearest comes first."""
        self.assertEqual(list(parents("a.b.c")), ["b.c", "c"])
        self.assertEqual(list(parents("c")), [])


class LocalDomainsTests(SynchronousTestCase):
    """Which configured domain an address belongs to."""

    def found(self, names, domain):
        """The name of the domain that was found."""
        found = LocalDomains([LocalDomain(name, ROUTE) for name in names]).find(domain)
        return found and found.name

    def test_exact_first(self):
        """The exact name wins over a wildcard, wherever it stands."""
        self.assertEqual(self.found(["*.example.com", "a.example.com"], "a.example.com"), "a.example.com")

    def test_nearest_wildcard(self):
        """Of two wildcards the nearer one wins."""
        names = ["*.example.com", "*.a.example.com"]
        self.assertEqual(self.found(names, "x.a.example.com"), "*.a.example.com")
        self.assertEqual(self.found(names, "a.example.com"), "*.example.com")

    def test_not_ours(self):
        """A domain that only looks like ours is not."""
        names = ["example.com", "*.example.net"]
        for domain in ("example.com.evil.example", "notexample.com", "example.net", "[192.0.2.1]", "com"):
            self.assertIsNone(self.found(names, domain), domain)

    def test_no_domain(self):
        """The empty domain of <postmaster> is the first of ours, if there is one with a name."""
        self.assertEqual(self.found(["*.example.net", "b.example", "a.example"], ""), "b.example")
        self.assertIsNone(self.found(["*.example.net"], ""))
        self.assertIsNone(self.found([], ""))

    def test_international(self):
        """It makes no difference which form was configured and which one is used."""
        for name in ("bücher.example", "xn--bcher-kva.example"):
            for domain in ("bücher.example", "xn--bcher-kva.example"):
                self.assertEqual(self.found([name], domain), name)
        self.assertEqual(self.found(["*.bücher.example"], "ä.bücher.example"), "*.bücher.example")

    def test_many_labels(self):
        """An endless name is looked up in steps of its labels, a too long one not at all."""
        self.assertEqual(self.found(["*.x"], "a." * 120 + "x"), "*.x")
        self.assertIsNone(self.found(["*.x"], "a." * 1_000_000 + "x"))

    def test_recipients(self):
        """Recipients may be configured in any case."""
        domain = LocalDomain("a.example", ROUTE, frozenset({"Alice", "BOB"}))
        self.assertEqual(domain.recipients, {"alice", "bob"})
