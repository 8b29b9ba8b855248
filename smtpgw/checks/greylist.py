"""
Delays the first mail of strangers (see :mod:`smtpgw.policy.greylisting`).

Asked at RCPT, and after everything that refuses: what is refused anyway is not remembered. Notifications, which have
the null path, are delayed like everything else. Clients that a list of good ones has are let through.
"""

from collections.abc import Awaitable, Callable
from math import ceil

from smtpgw.boundaries.deadline import Tasks
from smtpgw.boundaries.triplets import Known, Triplets, TripletTrouble
from smtpgw.boundaries.world import Clock
from smtpgw.model.envelope import Client, MailFrom, Recipient
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict
from smtpgw.policy.client_network import client_network
from smtpgw.policy.greylisting import GreylistRules, judge, network_key, triplet_key

_DEADLINE_SECONDS = 5.0

IsGood = Callable[[Client], bool | Awaitable[bool]]
"""Whether somebody vouches for a client."""


class Greylist:
    """450 4.7.1 to strangers, with the seconds until they may come back; 451 4.7.1 while the store can't be asked."""

    name = "greylist"

    def __init__(
        self,
        rules: GreylistRules,
        triplets: Triplets,
        tasks: Tasks,
        clock: Clock,
        *,
        delays: bool,
        is_good: IsGood | None = None,
    ) -> None:
        """
        :param delays: while the store can't be asked; otherwise everybody is let through.
        :param is_good: whose mail is never delayed.
        """
        self._rules = rules
        self._triplets = triplets
        self._tasks = tasks
        self._clock = clock
        self._delays = delays
        self._is_good = is_good

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """See the class."""
        network = client_network(client.address)
        if not network:
            return ACCEPT
        if self._is_good is not None:
            good = self._is_good(client)
            if not isinstance(good, bool):
                return self._wait_for_good(good, network, mail, recipient)
            if good:
                return ACCEPT
        return self._ask(network, mail, recipient)

    async def _wait_for_good(
        self, good: Awaitable[bool], network: str, mail: MailFrom, recipient: Recipient
    ) -> Verdict:
        if await good:
            return ACCEPT
        verdict = self._ask(network, mail, recipient)
        return verdict if isinstance(verdict, (Accept, Refuse)) else await verdict

    def _ask(self, network: str, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        keys = (triplet_key(network, mail.reverse_path, recipient.mailbox), network_key(network))
        try:
            known = self._triplets.get(keys)
        except TripletTrouble as trouble:
            return self._unknown(str(trouble))
        return self._judge(keys, known) if isinstance(known, tuple) else self._wait(keys, known)

    async def _wait(self, keys: tuple[bytes, bytes], awaited: Awaitable[Known]) -> Verdict:
        try:
            known = await self._tasks.timed(awaited, _DEADLINE_SECONDS)
        except (TripletTrouble, TimeoutError) as trouble:
            return self._unknown(str(trouble))
        return self._judge(keys, known)

    def _judge(self, keys: tuple[bytes, bytes], known: Known) -> Verdict:
        judgement = judge(known[0], known[1], self._clock.time(), self._rules)
        for key, remembered in zip(keys, (judgement.triplet, judgement.network), strict=True):
            if remembered is not None:
                self._triplets.put(key, remembered)
        if judgement.wait_seconds:
            text = f"Greylisted, try again in {max(1, ceil(judgement.wait_seconds))} seconds"
            return Refuse(reply(450, "4.7.1", text), self.name)
        return _GOOD if judgement.is_good else _PASSED

    def _unknown(self, cause: str) -> Verdict:
        if self._delays:
            text = "Temporary trouble, try again later"
            return Refuse(reply(451, "4.7.1", text), self.name, f"greylist store: {cause}")
        return _LEFT_OUT


_GOOD = Accept(("greylist: a known network",))
_PASSED = Accept(("greylist: passed",))
_LEFT_OUT = Accept(("greylist: the store does not answer",))
