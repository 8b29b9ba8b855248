"""Who may log in (RFC 4954): what the server side asks."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from smtpgw.model.envelope import Client
from smtpgw.model.reply import Reply

ChannelBinding = Callable[[str], bytes | None]
"""
What ties a login to its TLS connection (RFC 5929, RFC 9266).

Asked with ``tls-exporter`` or ``tls-server-end-point``; ``None`` when this connection has no such thing.
"""


class Challenge(Struct, frozen=True, gc=False):
    """A 334; the client must respond. :ivar octets: not encoded."""

    octets: bytes


class LoggedIn(Struct, frozen=True, gc=False):
    """:ivar identity: the account's name, as everything else knows it."""

    identity: str


class LoginRefused(Struct, frozen=True, gc=False):
    """
    No.

    :ivar reply: 535 5.7.8; 454 4.7.0 when it can't be told now; 421 4.7.0 ends the connection; 501 5.5.2 for nonsense.
    :ivar cause: for the log only; never a password.
    :ivar account: for the log only: the account that was claimed, if there is one of that name; never a name that is
        none, which may be a password in the wrong field.
    """

    reply: Reply
    cause: str = ""
    account: str = ""


Step = Challenge | LoggedIn | LoginRefused


class Exchange(Protocol):
    """One AUTH command. Whatever raises here is answered 454 4.7.0."""

    def begin(self, initial: bytes | None) -> Step | Awaitable[Step]:
        """:param initial: the initial response, decoded; ``None`` when there was none."""

    def respond(self, response: bytes) -> Step | Awaitable[Step]:
        """The response to the last challenge, decoded."""

    def abort(self) -> None:
        """The client gave up, or is gone; also while an answer is awaited, which then does not matter any more."""


class Authenticator(Protocol):
    """Knows the accounts."""

    def mechanisms(self, client: Client) -> tuple[str, ...]:
        """
        Upper case, in the order of preference; none when AUTH is not offered to this client now.

        Asked once the connection is as secure as it gets: after the handshake. In clear text nothing is offered.
        """

    def begin(self, mechanism: str, client: Client, binding: ChannelBinding) -> Exchange:
        """:param mechanism: one of those."""
