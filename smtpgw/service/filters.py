"""The programs that are asked about every message, as the configuration names them; all listeners share them."""

from collections.abc import Awaitable
from typing import Any

from smtpgw.boundaries.checks import MailCheck, RcptCheck
from smtpgw.boundaries.filters import ContentFilter
from smtpgw.boundaries.reception import Door
from smtpgw.checks.milter import Milter
from smtpgw.config.schema import Config, WhenDown
from smtpgw.model.envelope import Client
from smtpgw.model.verdict import Refuse
from smtpgw.net.milter_client import MilterDialer
from smtpgw.service.door import PolicyDoor


class Filters:
    """
    The milters of a gateway, in their order.

    :ivar mail_checks: to be asked after all others; likewise of RCPT.
    """

    def __init__(self, config: Config, reactor: Any) -> None:
        milters = tuple(
            Milter(
                MilterDialer(reactor, one.address, one.timeout_seconds),
                hostname=config.hostname,
                timeout_seconds=one.timeout_seconds,
                accepts_when_down=one.when_down is WhenDown.ACCEPT,
                most_body_octets=config.limits.message_size_octets,
                address=one.address,
            )
            for one in config.policy.milters
        )
        self.mail_checks: tuple[MailCheck, ...] = milters
        self.rcpt_checks: tuple[RcptCheck, ...] = milters
        self.content_filters: tuple[ContentFilter, ...] = milters

    def behind(self, door: PolicyDoor) -> Door | None:
        """The door, which tells the filters of who has left; none where nobody would be asked or told."""
        if self.content_filters:
            return _Behind(door, self.content_filters)
        return None if door.is_open else door


class _Behind:
    """A door that is left through the filters."""

    def __init__(self, door: Door, filters: tuple[ContentFilter, ...]) -> None:
        self._door = door
        self._filters = filters

    def connect(self, client: Client) -> Client | Refuse | Awaitable[Client | Refuse]:
        """Only the door decides."""
        return self._door.connect(client)

    def leave(self, client: Client) -> None:
        """Everybody hears of it."""
        self._door.leave(client)
        for one in self._filters:
            one.leave(client)
