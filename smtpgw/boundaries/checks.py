"""What rules look like, by the stage that they are asked at."""

from collections.abc import Awaitable
from typing import Protocol

from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.verdict import Verdict


class ConnectCheck(Protocol):
    """A rule about a client, before its banner."""

    @property
    def name(self) -> str:
        """As in logs."""

    def check_connect(self, client: Client) -> Verdict | Awaitable[Verdict]:
        """A refusal is said instead of the banner, 554 or 421. Answers without a coroutine where it can."""


class MailCheck(Protocol):
    """A rule about MAIL."""

    @property
    def name(self) -> str:
        """As in logs."""

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """Answers without a coroutine where it can."""


class RcptCheck(Protocol):
    """A rule about RCPT."""

    @property
    def name(self) -> str:
        """As in logs."""

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """Answers without a coroutine where it can."""


class ContentCheck(Protocol):
    """A rule about the header of a message, at the end of data."""

    @property
    def name(self) -> str:
        """As in logs."""

    def check_content(self, client: Client, envelope: Envelope, header: bytes) -> Verdict | Awaitable[Verdict]:
        """:param header: the header section, CR LF line ends, without the empty line."""
