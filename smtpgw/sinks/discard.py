"""Nowhere: ``discard:``."""

from smtpgw.boundaries.spool import Body
from smtpgw.model.envelope import Recipient
from smtpgw.model.message import Message
from smtpgw.model.outcome import Delivered, Outcome

_DISCARDED = Delivered("discard")


class DiscardSink:
    """Takes everything and keeps nothing."""

    async def deliver(self, message: Message, recipients: tuple[Recipient, ...], body: Body) -> tuple[Outcome, ...]:
        """See ``Sink``. The content is not even opened."""
        return (_DISCARDED,) * len(recipients)
