"""AUTH by a user's own portal and challengers, as Twisted's server does it (twisted.cred)."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

from twisted.cred.error import LoginFailed
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.mail.smtp import IMessageDelivery, IMessageDeliveryFactory
from twisted.python.failure import Failure

from smtpgw.boundaries.auth import Challenge, LoggedIn, LoginRefused, Step
from smtpgw.model.reply import reply
from smtpgw.smtp import replies

PortalAnswer = tuple[Any, Any, Callable[[], None]]
"""Interface, avatar, logout."""

_FAILED = LoginRefused(reply(535, "5.7.8", "Authentication failed"), "refused by the portal")
_NO_PORTAL = LoginRefused(reply(454, "4.7.0", "Temporary authentication failure"), "no portal")
_NONSENSE = LoginRefused(replies.BAD_BASE64, "a response that the challenger can't read")
_GONE = LoginRefused(replies.AUTH_ABORTED, "the client has gone")


class PortalLogin(LoggedIn, frozen=True, gc=True):
    """
    Somebody whom a portal has let in.

    :ivar login: what the portal said. Whoever takes it calls its last part at the end, once.
    """

    login: PortalAnswer


class PortalExchange:
    """
    One AUTH exchange (``Exchange``).

    A login that succeeds after ``abort`` is logged out at once. A portal's own trouble is raised.
    """

    def __init__(self, portal: Any, challenger: Any) -> None:
        """:param challenger: as made by one of the protocol's challengers: credentials with challenges."""
        self._portal = portal
        self._challenger = challenger
        self._is_aborted = False
        self._login: Deferred[Step] | None = None

    def begin(self, initial: bytes | None) -> Step | Awaitable[Step]:
        """With an initial response the first challenge is not sent."""
        if self._portal is None:
            return _NO_PORTAL
        challenge: bytes = self._challenger.getChallenge()
        return Challenge(challenge) if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> Step | Awaitable[Step]:
        """The response to the last challenge."""
        try:
            self._challenger.setResponse(response)
            if self._challenger.moreChallenges():
                return Challenge(self._challenger.getChallenge())
        # The mechanisms are the user's, and so are the exceptions by which they say that a response makes no sense.
        except Exception:  # noqa: BLE001
            return _NONSENSE
        asked: Deferred[PortalAnswer] = maybeDeferred(
            self._portal.login, self._challenger, None, IMessageDeliveryFactory, IMessageDelivery
        )
        login = cast("Deferred[Step]", asked.addCallbacks(self._succeeded, self._failed))
        self._login = login
        step = getattr(login, "result", None)
        return step if isinstance(step, PortalLogin | LoginRefused) else login

    def abort(self) -> None:
        """The client gave up, or is gone."""
        self._is_aborted = True
        if self._login is not None:
            self._login.cancel()

    def _succeeded(self, login: PortalAnswer) -> Step:
        self._login = None
        if self._is_aborted:
            login[2]()
            return _GONE
        name = getattr(self._challenger, "username", None) or b""
        return PortalLogin(name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name), login)

    def _failed(self, failure: Failure) -> Step:
        self._login = None
        if self._is_aborted:
            return _GONE
        if failure.check(LoginFailed):
            return _FAILED
        return failure.raiseException()
