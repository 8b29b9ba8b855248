"""
Whose reverse path somebody who has logged in may use (RFC 6409 section 6.1).

Each login has patterns: an address, ``*@domain``, ``*@*.domain`` for everything below a domain, or ``*``. A login that
has none may use its own name. The null path is everybody's: notifications of reading must have it (RFC 8098 section
2.1), and nobody is named by it. Clients that have not logged in are not asked.
"""

from collections.abc import Mapping, Sequence

from smtpgw.model.address import Mailbox
from smtpgw.model.domains import canonical_domain, canonical_local, parents
from smtpgw.model.envelope import Client, MailFrom
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse, Verdict

_MAX_DOMAIN = 255


class SenderLogin:
    """Refuses a reverse path that is not the login's, 553 5.7.1. Local parts and domains are compared without case."""

    name = "sender_login"

    def __init__(self, senders: Mapping[str, Sequence[str]]) -> None:
        """:param senders: patterns by login; of one that is not in it, or has none, the name is the pattern."""
        self._patterns = {_folded(login): _Patterns(patterns) for login, patterns in senders.items() if patterns}
        self._refuse = Refuse(reply(553, "5.7.1", "Sender address rejected: not owned by user"), self.name)

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict:
        """See the class."""
        identity, mailbox = client.identity, mail.reverse_path
        if identity is None or mailbox is None:
            return ACCEPT
        patterns = self._patterns.get(_folded(identity))
        owns = _address(identity) == _key(mailbox) if patterns is None else patterns.match(mailbox)
        return ACCEPT if owns else self._refuse


class _Patterns:
    """Of one login, sorted by what they match."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._any = "*" in patterns
        self._addresses: set[tuple[str, str]] = set()
        self._domains: set[str] = set()
        self._below: set[str] = set()
        for pattern in patterns:
            local, domain = _address(pattern)
            if local != "*":
                self._addresses.add((local, domain))
            elif domain.startswith("*."):
                self._below.add(domain[2:])
            else:
                self._domains.add(domain)

    def match(self, mailbox: Mailbox) -> bool:
        if self._any:
            return True
        key = _key(mailbox)
        domain = key[1]
        if key in self._addresses or domain in self._domains:
            return True
        return bool(self._below) and len(domain) <= _MAX_DOMAIN and any(map(self._below.__contains__, parents(domain)))


def _folded(login: str) -> str:
    return canonical_local(login)


def _key(mailbox: Mailbox) -> tuple[str, str]:
    return canonical_local(mailbox.local), canonical_domain(mailbox.domain)


def _address(text: str) -> tuple[str, str]:
    """Its parts, made one spelling. What has no ``@`` has no domain, and so it is no mailbox's."""
    local, at, domain = text.rpartition("@")
    return (canonical_local(local), canonical_domain(domain)) if at else (canonical_local(text), "")
