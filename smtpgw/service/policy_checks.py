"""
The policy before content, as the configuration wants it: which rules a listener asks, in which order, and whom not.

====================  =======================================================================================
connection            rates, DNS lists (only begun here), reverse DNS
MAIL                  rates, HELO, reverse DNS where the door did not refuse
RCPT                  rates, who may relay, DNS lists, who is a recipient, greylisting
====================  =======================================================================================

Clients in the listener's relay networks and those that have logged in are asked for none of it but the rates, which
count the latter by account. Listeners for submission and for relaying alone take mail of nobody else, so rates are all
that they ask.
"""

from collections.abc import Sequence

from smtpgw.boundaries.checks import ConnectCheck, MailCheck, RcptCheck
from smtpgw.boundaries.deadline import Tasks
from smtpgw.boundaries.triplets import Triplets
from smtpgw.boundaries.world import Clock, Resolver
from smtpgw.checks.dns_lists import DnsLists
from smtpgw.checks.greylist import Greylist
from smtpgw.checks.helo import Helo
from smtpgw.checks.rates import Rates
from smtpgw.checks.reverse_dns import ReverseDns
from smtpgw.config.schema import Config, DnsListConfig, ListenConfig, PolicyConfig, Role, Strictness, WhenDown
from smtpgw.policy.client_names import ClientNames
from smtpgw.policy.dns_listings import DnsList, DnsListings
from smtpgw.policy.exempt import (
    ConnectUnless,
    MailUnless,
    RcptUnless,
    TrustedClients,
    TrustedNetworks,
    UncountedClients,
)
from smtpgw.policy.greylisting import GreylistRules
from smtpgw.service.door import PolicyDoor


class ListenerPolicy:
    """
    What one listener asks before content.

    :ivar door: for its factory.
    :ivar mail_checks: for its reception.
    """

    def __init__(
        self,
        door: PolicyDoor,
        mail_checks: Sequence[MailCheck],
        first: Sequence[RcptCheck],
        between: Sequence[RcptCheck],
        last: Sequence[RcptCheck],
    ) -> None:
        """
        :param first: of the rules of RCPT.
        :param between: those that are asked when the client may write there at all, and before it hears who exists.
        :param last: those that are asked only about what is not refused otherwise.
        """
        self.door = door
        self.mail_checks = tuple(mail_checks)
        self._first = tuple(first)
        self._between = tuple(between)
        self._last = tuple(last)

    def rcpt_checks(self, access: RcptCheck, recipients: Sequence[RcptCheck]) -> tuple[RcptCheck, ...]:
        """
        All of RCPT, in order.

        :param access: who may send where.
        :param recipients: who is a recipient.
        """
        return (*self._first, access, *self._between, *recipients, *self._last)


class Policy:
    """The rules of a gateway, made once; all listeners count and remember together."""

    def __init__(
        self, config: Config, *, resolver: Resolver, tasks: Tasks, clock: Clock, triplets: Triplets | None
    ) -> None:
        """
        :param resolver: best one of its own: a flood of clients then never keeps outgoing mail waiting for names.
        :param triplets: what greylisting remembers; needed when it is on, see ``needs_triplets``.
        """
        limits, policy = config.limits, config.policy
        self._policy = policy
        delays = policy.when_down is WhenDown.DELAY
        self._delays = delays
        self._rates: Rates | None = None
        if limits.connections_per_minute or limits.messages_per_minute or limits.recipients_per_minute:
            self._rates = Rates(
                clock,
                connections=limits.connections_per_minute,
                messages=limits.messages_per_minute,
                recipients=limits.recipients_per_minute,
            )
        self._helo: Helo | None = None
        if policy.helo is not Strictness.OFF:
            enforces = policy.helo is Strictness.ENFORCE
            self._helo = Helo(frozenset((config.hostname,)), enforces=enforces)
        self._names: ClientNames | None = None
        if policy.reverse_dns is not Strictness.OFF:
            self._names = ClientNames(resolver, tasks, clock)
        self._lists: DnsLists | None = None
        if policy.dnsbl or policy.dnswl:
            bad, good = tuple(map(_dns_list, policy.dnsbl)), tuple(map(_dns_list, policy.dnswl))
            self._lists = DnsLists(DnsListings(bad, good, resolver, tasks, clock))
        self._greylist: Greylist | None = None
        if policy.greylist is not None:
            if triplets is None:
                raise TypeError("greylisting needs triplets")
            grey = policy.greylist
            self._greylist = Greylist(
                GreylistRules(grey.delay_seconds, grey.window_seconds, grey.lifetime_seconds),
                triplets,
                tasks,
                clock,
                delays=delays,
                is_good=self._lists.is_good if self._lists is not None and policy.dnswl else None,
            )

    def of_listener(self, listen: ListenConfig) -> ListenerPolicy:
        """What it asks."""
        networks = TrustedNetworks(listen.relay_networks)
        connect: list[ConnectCheck] = []
        mail: list[MailCheck] = []
        first: list[RcptCheck] = []
        between: list[RcptCheck] = []
        last: list[RcptCheck] = []
        if self._rates is not None:
            uncounted = UncountedClients(networks)
            connect.append(ConnectUnless(self._rates, uncounted))
            mail.append(MailUnless(self._rates, uncounted))
            first.append(RcptUnless(self._rates, uncounted))
        if listen.role is not Role.MX:
            return ListenerPolicy(PolicyDoor(connect), mail, first, between, last)
        trusted = TrustedClients(networks)
        if self._helo is not None:
            mail.append(MailUnless(self._helo, trusted))
        if self._lists is not None:
            connect.append(ConnectUnless(self._lists, trusted))
            between.append(RcptUnless(self._lists, trusted))
        if self._names is not None:
            enforces = self._policy.reverse_dns is Strictness.ENFORCE
            reverse = ReverseDns(
                self._names, enforces=enforces, at_door=enforces and not listen.auth, delays=self._delays
            )
            connect.append(ConnectUnless(reverse, trusted))
            mail.append(MailUnless(reverse, trusted))
        if self._greylist is not None:
            last.append(RcptUnless(self._greylist, trusted))
        name_of = self._names.known if self._names is not None else None
        return ListenerPolicy(PolicyDoor(connect, name_of), mail, first, between, last)


def needs_triplets(policy: PolicyConfig) -> bool:
    """Whether anything is to be remembered."""
    return policy.greylist is not None


def _dns_list(config: DnsListConfig) -> DnsList:
    return DnsList(config.zone, frozenset(config.codes), delays=config.when_down is WhenDown.DELAY)
