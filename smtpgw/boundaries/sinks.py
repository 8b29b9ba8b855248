"""Where mail of our own domains ends."""

from typing import Protocol

from smtpgw.boundaries.spool import Body
from smtpgw.model.envelope import Recipient
from smtpgw.model.message import Message
from smtpgw.model.outcome import Outcome


class Sink(Protocol):
    """Where mail of our own domains ends."""

    async def deliver(self, message: Message, recipients: tuple[Recipient, ...], body: Body) -> tuple[Outcome, ...]:
        """
        One outcome for each recipient, in order. Delivered means durable. What it raises is a delay of all.

        :param recipients: some or all of the message's.
        """
