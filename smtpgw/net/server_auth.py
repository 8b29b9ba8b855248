"""AUTH by a user's own portal and challengers, as Twisted's server does it (twisted.cred)."""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.cred.error import LoginFailed
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.mail.smtp import IMessageDelivery, IMessageDeliveryFactory
from twisted.python.failure import Failure

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp import replies

_FAILED = reply(535, "5.7.8", "Authentication failed")
_NO_PORTAL = reply(454, "4.7.0", "Temporary authentication failure")


class Exchanging(Protocol):
    """Whose login it is."""

    def send_challenge(self, octets: bytes) -> None:
        """Send this and wait for the response."""

    def logged_in(self, login: tuple[Any, Any, Callable[[], None]], identity: str) -> None:
        """:param login: interface, avatar, logout, as from the portal."""

    def login_refused(self, answer: Reply, failure: Failure | None) -> None:
        """:param failure: for the log, when the trouble is ours."""


class PortalExchange:
    """
    One AUTH exchange.

    Nothing is reported after ``abort``. A login that succeeds after that is logged out at once.
    """

    def __init__(self, owner: Exchanging, portal: Any, challenger: Any) -> None:
        """:param challenger: as made by one of the protocol's challengers: credentials with challenges."""
        self._owner = owner
        self._portal = portal
        self._challenger = challenger
        self._is_aborted = False
        self._login: Deferred[Any] | None = None

    def begin(self, initial: bytes | None) -> None:
        """:param initial: the initial response: the first challenge is then not sent."""
        if self._portal is None:
            self._owner.login_refused(_NO_PORTAL, None)
        elif initial is None:
            self._owner.send_challenge(self._challenger.getChallenge())
        else:
            self._challenger.getChallenge()
            self.respond(initial)

    def respond(self, response: bytes) -> None:
        """The response to the last challenge."""
        try:
            self._challenger.setResponse(response)
            if self._challenger.moreChallenges():
                self._owner.send_challenge(self._challenger.getChallenge())
                return
        # The mechanisms are the user's, and so are the exceptions by which they say that a response makes no sense.
        except Exception:  # noqa: BLE001
            self._owner.login_refused(replies.BAD_BASE64, None)
            return
        login = maybeDeferred(self._portal.login, self._challenger, None, IMessageDeliveryFactory, IMessageDelivery)
        self._login = login
        login.addCallbacks(self._succeeded, self._failed)

    def abort(self) -> None:
        """The client gave up, or is gone."""
        self._is_aborted = True
        if self._login is not None:
            self._login.cancel()

    def _succeeded(self, login: tuple[Any, Any, Callable[[], None]]) -> None:
        self._login = None
        if self._is_aborted:
            login[2]()
            return
        name = getattr(self._challenger, "username", None) or b""
        identity = name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
        self._owner.logged_in(login, identity)

    def _failed(self, failure: Failure) -> None:
        self._login = None
        if self._is_aborted:
            return
        if failure.check(LoginFailed):
            self._owner.login_refused(_FAILED, None)
        else:
            self._owner.login_refused(replies.TROUBLE, failure)
