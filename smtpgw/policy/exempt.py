"""Who is not asked: clients that are trusted for what they are, before any rule is."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from smtpgw.boundaries.checks import ConnectCheck, MailCheck, RcptCheck
from smtpgw.model.envelope import Client, MailFrom, Recipient
from smtpgw.model.network import Network
from smtpgw.model.verdict import ACCEPT, Verdict
from smtpgw.policy.client_network import membership

_LOCAL = "LOCAL"
"""Protocol of what our own command hands in."""


class IsTrusted(Protocol):
    """Whether a client is not asked."""

    def __call__(self, client: Client) -> bool:
        """Answers at once."""


class TrustedNetworks:
    """Clients in the networks, and what is handed in on this host."""

    def __init__(self, networks: Sequence[Network]) -> None:
        self._is_member = membership(networks)

    def __call__(self, client: Client) -> bool:
        """See the class."""
        return client.protocol == _LOCAL or self._is_member(client.address)


class TrustedClients:
    """Those in trusted networks, and those that have logged in."""

    def __init__(self, networks: TrustedNetworks) -> None:
        self._networks = networks

    def __call__(self, client: Client) -> bool:
        """See the class."""
        return bool(client.identity) or self._networks(client)


class UncountedClients:
    """
    Whom rates don't concern: those in trusted networks, as long as they have not logged in.

    Behind one address there may be a whole web mail; who has logged in is counted by account, wherever from.
    """

    def __init__(self, networks: TrustedNetworks) -> None:
        self._networks = networks

    def __call__(self, client: Client) -> bool:
        """See the class."""
        return not client.identity and self._networks(client)


class ConnectUnless:
    """A rule about connections that trusted clients are not asked."""

    def __init__(self, check: ConnectCheck, is_trusted: IsTrusted) -> None:
        self.name = check.name
        self._check = check
        self._is_trusted = is_trusted

    def check_connect(self, client: Client) -> Verdict | Awaitable[Verdict]:
        """See the class."""
        return ACCEPT if self._is_trusted(client) else self._check.check_connect(client)


class MailUnless:
    """Likewise about MAIL."""

    def __init__(self, check: MailCheck, is_trusted: IsTrusted) -> None:
        self.name = check.name
        self._check = check
        self._is_trusted = is_trusted

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """See the class."""
        return ACCEPT if self._is_trusted(client) else self._check.check_mail(client, mail)


class RcptUnless:
    """Likewise about RCPT."""

    def __init__(self, check: RcptCheck, is_trusted: IsTrusted) -> None:
        self.name = check.name
        self._check = check
        self._is_trusted = is_trusted

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """See the class."""
        return ACCEPT if self._is_trusted(client) else self._check.check_rcpt(client, mail, recipient)
