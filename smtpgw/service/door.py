"""The door of a listener: what is decided about a client before its banner."""

from collections.abc import Awaitable, Callable, Sequence

from msgspec.structs import replace

from smtpgw.boundaries.checks import ConnectCheck
from smtpgw.model.envelope import Client
from smtpgw.model.verdict import Accept, Refuse, Verdict
from smtpgw.policy.evaluate import evaluate_connect

NameOf = Callable[[str], str | None]
"""The confirmed name of an address, as far as it is known already."""


class PolicyDoor:
    """
    ``Door`` in :mod:`smtpgw.boundaries.reception`: asks the rules about connections in their order.

    A client whose name was found out on the way goes in with it.
    """

    def __init__(self, checks: Sequence[ConnectCheck], name_of: NameOf | None = None) -> None:
        """:param name_of: asked when the rules have accepted the client."""
        self._checks = tuple(checks)
        self._name_of = name_of

    @property
    def is_open(self) -> bool:
        """Everybody comes in as he is."""
        return not self._checks and self._name_of is None

    def connect(self, client: Client) -> Client | Refuse | Awaitable[Client | Refuse]:
        """See the boundary. Answers at once when no rule must wait."""
        verdict = evaluate_connect(self._checks, client)
        if isinstance(verdict, (Accept, Refuse)):
            return self._answer(client, verdict)
        return self._wait(client, verdict)

    def leave(self, client: Client) -> None:
        """Nothing is kept of a connection: rates are counted as it comes, and what was found out is of its address."""

    async def _wait(self, client: Client, verdict: Awaitable[Verdict]) -> Client | Refuse:
        return self._answer(client, await verdict)

    def _answer(self, client: Client, verdict: Verdict) -> Client | Refuse:
        if isinstance(verdict, Refuse):
            return verdict
        name = self._name_of(client.address) if self._name_of is not None else None
        return client if name is None else replace(client, name=name)
