"""
Whether a client's address has a name that leads back to it.

Asked at the door, so that the name is known for the trace header. The refusal is said there, instead of the banner, or
at MAIL where clients may log in first: somebody's telephone has no such name.
"""

from collections.abc import Awaitable

from smtpgw.boundaries.deadline import Task
from smtpgw.model.envelope import Client, MailFrom
from smtpgw.model.network import plain_address
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict
from smtpgw.policy.client_names import ClientName, ClientNames


class ReverseDns:
    """Refuses, or notes, clients without a confirmed name: 554 5.7.25; 421 or 450 4.7.25 while that can't be told."""

    name = "reverse_dns"

    def __init__(self, names: ClientNames, *, enforces: bool, at_door: bool, delays: bool) -> None:
        """
        :param enforces: refuse; otherwise it is only noted.
        :param at_door: refuse before the banner; otherwise at MAIL.
        :param delays: while the name server can't be asked; otherwise the client is accepted.
        """
        self._names = names
        self._enforces = enforces
        self._at_door = at_door
        self._delays = delays

    def check_connect(self, client: Client) -> Verdict | Awaitable[Verdict]:
        """Find the name out, and refuse the client if that is to be done here."""
        if plain_address(client.address) is None:
            return ACCEPT
        found = self._names.get(client.address)
        if isinstance(found, ClientName):
            return self._verdict(found, 421) if self._at_door else ACCEPT
        return self._wait_at_door(found)

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """The same, when it was not refused at the door. Who had a name there has it still."""
        if client.name is not None or plain_address(client.address) is None:
            return ACCEPT
        found = self._names.get(client.address)
        return self._verdict(found, 450) if isinstance(found, ClientName) else self._wait(found, 450)

    async def _wait_at_door(self, found: Task[ClientName]) -> Verdict:
        verdict = self._verdict(await found, 421)
        return verdict if self._at_door else ACCEPT

    async def _wait(self, found: Task[ClientName], delay_code: int) -> Verdict:
        return self._verdict(await found, delay_code)

    def _verdict(self, found: ClientName, delay_code: int) -> Verdict:
        if found.name is not None:
            return ACCEPT
        if not found.trouble:
            if self._enforces:
                return Refuse(reply(554, "5.7.25", "Your address has no name that leads back to it"), self.name)
            return Accept((f"{self.name}: no confirmed name",))
        if self._enforces and self._delays:
            text = "The name of your address can't be found out now, try again later"
            return Refuse(reply(delay_code, "4.7.25", text), self.name, f"reverse DNS: {found.trouble}")
        return Accept((f"{self.name}: can't be told now",))
