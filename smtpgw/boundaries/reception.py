"""What the server side asks."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.reply import Reply
from smtpgw.model.verdict import Refuse, Verdict


class Intake(Protocol):
    """One message's content on its way in, between 354 and the reply to the end of data."""

    def write(self, data: bytes) -> bool:
        """
        Content with dot-stuffing taken off, cut anywhere; line ends are CR LF, checked.

        :returns: False: pause reading until ``resume`` (see ``Reception.begin``) is called.
        """

    def finish(self, done: Callable[[Reply], None]) -> None:
        """The end of data was seen, and nothing was wrong with the framing. ``done`` gets the reply to it."""

    def abandon(self) -> None:
        """The content was refused, or the connection is gone: forget everything."""


class Reception(Protocol):
    """Decides about a transaction and takes the message. Whatever raises here is answered 451 4.3.0."""

    def mail(self, client: Client, mail: MailFrom) -> Verdict | Awaitable[Verdict]:
        """MAIL, syntax and parameters already checked."""

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict | Awaitable[Verdict]:
        """RCPT, likewise."""

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Intake | Refuse:
        """DATA with at least one accepted recipient, before the 354."""


class Door(Protocol):
    """Decides about connections, before the banner."""

    def connect(self, client: Client) -> Client | Refuse | Awaitable[Client | Refuse]:
        """
        A client is there; of it only address, port, listener and session id are known.

        :returns: the client, maybe with its confirmed name; or what is said instead of the banner, 554 or 421. What it
            raises is answered 421 4.3.0.
        """

    def leave(self, client: Client) -> None:
        """Its connection is gone. Once for each ``connect`` and ``session_id``, also while that is still awaited."""
