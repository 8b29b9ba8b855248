"""
Which recipients our own domains have.

Local parts are compared without case, as nearly every system does and RFC 5321 section 2.4 leaves to us. Postmaster
always exists (section 4.5.1). Says nothing about other domains: :mod:`smtpgw.checks.relay_access` does.
"""

from collections.abc import Awaitable

from smtpgw.model.domains import LocalDomains, LookupTrouble, RecipientLookup, canonical_domain, canonical_local
from smtpgw.model.envelope import Client, MailFrom, Recipient
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict

_ROUTING = frozenset("@%!")
"""Another address inside a local part: forms of routing from before domains. Known only where listed by name."""


class Recipients:
    """
    Refuses recipients that a local domain does not have, 550 5.1.1; 451 4.3.0 while a lookup can't tell.

    A local part is sought as it is, then without its tag (``alice`` for ``alice+lists``).
    """

    name = "recipients"

    def __init__(self, domains: LocalDomains) -> None:
        self._domains = domains
        self._unknown = Refuse(reply(550, "5.1.1", "No such recipient here"), self.name)

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """See the class."""
        mailbox = recipient.mailbox
        domain = self._domains.find(mailbox.domain)
        if domain is None:
            return ACCEPT
        candidates = _candidates(mailbox.local, domain.subaddress)
        if candidates[-1] == "postmaster":
            return ACCEPT
        if not mailbox.domain:
            return self._unknown
        known = domain.recipients
        if known is None:
            return self._unknown if _ROUTING.intersection(mailbox.local) else ACCEPT
        if isinstance(known, frozenset):
            return ACCEPT if any(local in known for local in candidates) else self._unknown
        return self._look_up(known, canonical_domain(mailbox.domain), candidates)

    def _look_up(
        self, lookup: RecipientLookup, domain: str, candidates: tuple[str, ...]
    ) -> Verdict | Awaitable[Verdict]:
        for index, local in enumerate(candidates):
            try:
                known = lookup(local, domain)
            except (LookupTrouble, OSError) as trouble:
                return self._trouble(trouble)
            if not isinstance(known, bool):
                return self._wait(known, lookup, domain, candidates[index + 1 :])
            if known:
                return ACCEPT
        return self._unknown

    async def _wait(
        self, awaited: Awaitable[bool], lookup: RecipientLookup, domain: str, candidates: tuple[str, ...]
    ) -> Verdict:
        try:
            known = await awaited
        except (LookupTrouble, OSError) as trouble:
            return self._trouble(trouble)
        if known:
            return ACCEPT
        verdict = self._look_up(lookup, domain, candidates)
        return verdict if isinstance(verdict, (Accept, Refuse)) else await verdict

    def _trouble(self, trouble: Exception) -> Refuse:
        cause = f"recipient lookup: {trouble}"
        return Refuse(reply(451, "4.3.0", "Temporary trouble, please try again later"), self.name, cause)


def _candidates(local: str, separator: str) -> tuple[str, ...]:
    """What a local part may be listed as, the most exact first."""
    local = canonical_local(local)
    if separator:
        base = local.partition(separator)[0]
        if base and base != local:
            return (local, base)
    return (local,)
