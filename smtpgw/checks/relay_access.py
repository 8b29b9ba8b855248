"""
Who may send where: anyone to our own domains, and to all others only who may relay.

It reads the domain and nothing else of an address. Another domain in a local part (``user%other@ours``,
``other!user@ours``) is never looked at, so mail to it stays at ours, where :mod:`smtpgw.checks.recipients` does not
know it. Source routes are gone before (RFC 5321 appendix C). An address literal or a host name of ours is local only if
it is configured as a domain. ``<postmaster>`` without a domain belongs to the first local domain, and to nobody if
there is none.
"""

from collections.abc import Sequence

from smtpgw.model.domains import LocalDomains
from smtpgw.model.envelope import Client, MailFrom, Recipient
from smtpgw.model.network import Network
from smtpgw.model.reply import reply
from smtpgw.model.verdict import Accept, Refuse, Verdict
from smtpgw.policy.client_network import membership

_LOCAL = Accept(("relay_access: local domain",))
_NETWORK = Accept(("relay_access: client in the relay networks",))
_IDENTITY = Accept(("relay_access: authenticated client",))
_OWN = Accept(("relay_access: handed in on this host",))


class RelayAccess:
    """
    Accepts RCPT for local domains, and for all others from clients that may relay; otherwise 550 5.7.1.

    May relay: addresses in the networks, authenticated clients, and what is handed in through our own command.
    """

    name = "relay_access"

    def __init__(self, domains: LocalDomains, networks: Sequence[Network]) -> None:
        """
        :param domains: none at all for a listener that only relays.
        :param networks: of this listener; none: nobody may relay by address.
        """
        self._domains = domains
        self._is_in_networks = membership(networks)
        self._refuse = Refuse(reply(550, "5.7.1", "Relay access denied"), self.name)
        self._no_postmaster = Refuse(reply(550, "5.1.1", "No such recipient here"), self.name)

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict:
        """See the class."""
        if self._domains.find(recipient.mailbox.domain) is not None:
            return _LOCAL
        if not recipient.mailbox.domain:
            # <postmaster> is somebody here (RFC 5321 section 4.1.1.3), and nobody is.
            return self._no_postmaster
        if self._is_in_networks(client.address):
            return _NETWORK
        if client.identity:
            return _IDENTITY
        if client.protocol == "LOCAL":
            return _OWN
        return self._refuse
