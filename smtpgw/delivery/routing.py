"""
Which route the mail of a recipient takes: local domains first, then the rules in their order, then the default.

Names of hosts are looked up later and elsewhere; this only chooses by the two domains.
"""

from collections.abc import Sequence

from msgspec import Struct

from smtpgw.model.domains import LocalDomains, canonical_domain, matches_domain
from smtpgw.model.route import Route

_KEPT = 20_000
"""Answers remembered. Senders choose the domains, so there must be a bound; when it is reached all are forgotten."""


class RouteRule(Struct, frozen=True):
    """
    One ``[[route]]``.

    :ivar to: pattern of the recipient's domain: ``*``, ``*.example.net`` (subdomains only), ``example.net``.
    :ivar reverse: pattern of the reverse path's domain; only ``*`` matches the null path.
    """

    route: Route
    to: str = "*"
    reverse: str = "*"


class Router:
    """Chooses routes; remembers what it chose."""

    def __init__(self, domains: LocalDomains, rules: Sequence[RouteRule], default: Route) -> None:
        self._domains = domains
        self._rules = [(canonical_domain(rule.to), canonical_domain(rule.reverse), rule.route) for rule in rules]
        self._default = default
        # Without a rule about them, reverse paths must not fill the memory.
        self._reads_reverse = any(reverse != "*" for _, reverse, _ in self._rules)
        self._known: dict[tuple[str, str], Route] = {}

    def route(self, mailbox_domain: str, reverse_domain: str) -> Route:
        """
        The route of one recipient. The first rule that matches wins.

        :param mailbox_domain: as in a :class:`~smtpgw.model.address.Mailbox`; empty for ``<postmaster>``.
        :param reverse_domain: likewise, of the reverse path; empty for the null path.
        """
        key = (mailbox_domain, reverse_domain if self._reads_reverse else "")
        route = self._known.get(key)
        if route is None:
            route = self._choose(mailbox_domain, reverse_domain)
            if len(self._known) >= _KEPT:
                self._known.clear()
            self._known[key] = route
        return route

    def _choose(self, mailbox_domain: str, reverse_domain: str) -> Route:
        local = self._domains.find(mailbox_domain)
        if local is not None:
            return local.deliver
        domain = canonical_domain(mailbox_domain)
        reverse_domain = canonical_domain(reverse_domain)
        for to, reverse, route in self._rules:
            if matches_domain(to, domain) and matches_domain(reverse, reverse_domain):
                return route
        return self._default
