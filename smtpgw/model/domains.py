"""
Names of domains: one spelling, patterns, and the domains whose mail ends here.

Policy asks it who is local, routing where the mail of the local ones goes. It reads nothing and asks nobody: recipients
that are kept elsewhere come as a function.
"""

import unicodedata
from collections.abc import Awaitable, Callable, Iterator, Sequence

import idna
from msgspec import Struct
from msgspec.structs import force_setattr

from smtpgw.model.route import Route

RecipientLookup = Callable[[str, str], bool | Awaitable[bool]]
"""
Whether a local part of a domain, both made canonical, is a recipient. Answers at once where it can.

The domain is the recipient's, which for a wildcard is not the name that the configuration has.

Raises :exc:`LookupTrouble` (or :exc:`OSError`) when it can't know now.
"""

_MAX_DOMAIN = 255
"""RFC 5321 section 4.5.3.1.2. Longer ones match nothing, and cost nothing."""


class LookupTrouble(Exception):
    """A lookup can't answer now; its text is for the log only."""


def canonical_domain(domain: str) -> str:
    """
    One spelling for all that mean the same domain: lower case, A-labels (RFC 5890), no dot at the end.

    What can't be a domain name (address literals, broken labels) comes back in lower case, otherwise untouched.
    """
    if len(domain) > _MAX_DOMAIN:
        return domain
    domain = domain.lower().removesuffix(".")
    if domain.isascii():
        return domain
    star = domain.startswith("*.")
    try:
        encoded = idna.encode(domain[2:] if star else domain, uts46=True).decode("ascii")
    except (idna.IDNAError, UnicodeError):
        return domain
    return f"*.{encoded}" if star else encoded


def canonical_local(local: str) -> str:
    """One spelling for all local parts that we take for the same: lower case, NFC (RFC 6532 section 3.1)."""
    local = local.lower()
    return local if local.isascii() else unicodedata.normalize("NFC", local)


def parents(domain: str) -> Iterator[str]:
    """The domains above one, the nearest first: ``b.c`` and ``c`` for ``a.b.c``."""
    dot = domain.find(".")
    while dot >= 0:
        yield domain[dot + 1 :]
        dot = domain.find(".", dot + 1)


def matches_domain(pattern: str, domain: str) -> bool:
    """
    Whether a domain is meant by a pattern, both canonical.

    :param pattern: ``*`` for all, also for no domain at all; ``*.example.net`` for everything below it, not for itself;
        ``example.net`` for itself.
    """
    if pattern == "*" or pattern == domain:
        return True
    # A domain longer than the pattern's suffix, so that ".example.net" alone is no subdomain.
    return pattern.startswith("*.") and len(domain) >= len(pattern) and domain.endswith(pattern[1:])


class LocalDomain(Struct, frozen=True):
    """
    A domain whose mail ends here (``[[domain]]``).

    :ivar name: a domain, or ``*.`` and a domain for everything below it.
    :ivar recipients: local parts (made canonical), or a function that knows them, or ``None`` for every local part.
    :ivar subaddress: separates a local part from its tag; empty for none.
    """

    name: str
    deliver: Route
    recipients: frozenset[str] | RecipientLookup | None = None
    subaddress: str = "+"

    def __post_init__(self) -> None:
        """Make the recipients comparable."""
        if isinstance(self.recipients, frozenset):
            force_setattr(self, "recipients", frozenset(map(canonical_local, self.recipients)))


class LocalDomains:
    """
    Finds the local domain that an address belongs to.

    An exact name wins over a wildcard, a longer wildcard over a shorter one, the first of two equals over the second.
    """

    def __init__(self, domains: Sequence[LocalDomain] = ()) -> None:
        self.domains = tuple(domains)
        self._exact: dict[str, LocalDomain] = {}
        self._below: dict[str, LocalDomain] = {}
        for domain in self.domains:
            name = canonical_domain(domain.name)
            if name.startswith("*."):
                self._below.setdefault(name[2:], domain)
            else:
                self._exact.setdefault(name, domain)
        self._default = next(iter(self._exact.values()), None)

    def find(self, domain: str) -> LocalDomain | None:
        """
        The local domain of a mailbox's domain; ``None`` when it isn't ours.

        :param domain: as in a :class:`~smtpgw.model.address.Mailbox`. Empty is that of ``<postmaster>`` (RFC 5321
            section 4.1.1.3) and means the first domain that is no wildcard.
        """
        found = self._exact.get(domain)
        if found is not None:
            return found
        if not domain:
            return self._default
        if len(domain) > _MAX_DOMAIN:
            return None
        if not domain.isascii():
            domain = canonical_domain(domain)
            found = self._exact.get(domain)
            if found is not None:
                return found
        if self._below:
            for parent in parents(domain):
                found = self._below.get(parent)
                if found is not None:
                    return found
        return None
