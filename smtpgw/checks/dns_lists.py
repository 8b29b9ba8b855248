"""
Refuses clients that DNS lists know as bad, unless another list knows them as good (RFC 5782).

The lists are asked at the door, in the background, and their word is used at RCPT: until then a client may log in, and
only then it is known to whom it writes. Mail to postmaster is never refused here, in any domain: RFC 5321 section 4.5.1
wants it taken, and whoever is listed by mistake must be able to say so. Greylisting, which only delays, has no such
exception.

A list of good clients that is down can make no client good: what a list of bad ones says is then delayed instead of
refused, or stands, as the list of good ones is configured.
"""

from collections.abc import Awaitable

from smtpgw.boundaries.deadline import Task
from smtpgw.delivery.escape import printable_ascii
from smtpgw.model.domains import canonical_local
from smtpgw.model.envelope import Client, MailFrom, Recipient
from smtpgw.model.network import plain_address
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict
from smtpgw.policy.dns_listings import DnsListings, Listings

_MAX_REASON = 200


class DnsLists:
    """554 5.7.1 to clients on a list of bad ones; 451 4.4.3 while a list that must be asked is down."""

    name = "dns_lists"

    def __init__(self, listings: DnsListings) -> None:
        self._listings = listings

    def check_connect(self, client: Client) -> Verdict:
        """Begin to ask; nobody is refused here."""
        self._listings.get(client.address)
        return ACCEPT

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """See the module."""
        if canonical_local(recipient.mailbox.local) == "postmaster":
            return ACCEPT
        found = self._listings.get(client.address)
        return self._verdict(client, found) if isinstance(found, Listings) else self._wait(client, found)

    def is_good(self, client: Client) -> bool | Awaitable[bool]:
        """Whether a list of good clients has it."""
        found = self._listings.get(client.address)
        return found.good is not None if isinstance(found, Listings) else _is_good(found)

    async def _wait(self, client: Client, found: Task[Listings]) -> Verdict:
        return self._verdict(client, await found)

    def _verdict(self, client: Client, found: Listings) -> Verdict:
        if found.good is not None:
            return Accept((f"{self.name}: listed by {found.good.zone} as good",))
        if found.bad is not None and not found.good_down:
            # Whoever runs the zone, or its name servers, has written it.
            reason = f": {printable_ascii(found.bad.reason, _MAX_REASON)}" if found.bad.reason else ""
            # As read, not as text from elsewhere.
            address = plain_address(client.address)
            text = f"Your address {address} is listed by {found.bad.zone}{reason}"
            return Refuse(reply(554, "5.7.1", text), self.name)
        down = found.bad_down if found.bad is None else found.good_down
        if down:
            text = "Temporary trouble with a name server, try again later"
            return Refuse(reply(451, "4.4.3", text), self.name, f"no answer from {', '.join(down)}")
        if found.left_out:
            return Accept((f"{self.name}: no answer from {', '.join(found.left_out)}",))
        return ACCEPT


async def _is_good(found: Task[Listings]) -> bool:
    return (await found).good is not None
