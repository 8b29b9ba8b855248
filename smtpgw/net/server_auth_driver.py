"""
AUTH (RFC 4954): carries the steps of an exchange between the session and whoever knows the accounts.

That is the listener's authenticator, which is asked behind TLS alone, and a user's own portal with its challengers, as
with Twisted's server: the portal alone is asked without an EHLO before, too. Whatever the authenticator raises is
answered 454 4.7.0, and of it only its kind and place are logged: its text may hold a password. A portal's trouble is
answered 451 and logged as Twisted's server does it.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, ClassVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smtpgw.boundaries.auth import Challenge, Exchange, LoggedIn, LoginRefused, Step
from smtpgw.model.notice import Rejected
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import Refuse
from smtpgw.net.server_auth import PortalAnswer, PortalExchange, PortalLogin
from smtpgw.net.server_driver import SessionDriver
from smtpgw.net.server_tls import channel_binding
from smtpgw.smtp import replies
from smtpgw.smtp.events import AuthAborted, AuthAsked, AuthResponse

_log = Logger()

_TROUBLE = reply(454, "4.7.0", "Temporary authentication failure")
_TOO_OFTEN = reply(421, "4.7.0", "Too many logins that could not be decided, try again later")
_CHECK = "auth"

_MOST_UNDECIDED = 10
"""Of one connection, the last one included: the session counts only commands that are refused for good."""


class AuthDriver(SessionDriver):
    """
    A session driver that knows AUTH.

    :ivar challengers: Twisted's: names of mechanisms, and what makes their credentials; with ``portal``.
    """

    transport: Any
    challengers: Any
    portal: Any
    _exchange: Exchange | None = None
    _exchange_mechanism: str = ""
    _undecided_logins: int = 0

    # --- What the protocol fills in ---

    def adopt_login(self, login: PortalAnswer) -> None:
        """Somebody has logged in by a portal."""
        raise NotImplementedError

    # --- What the protocol calls ---

    def offer_auth(self) -> None:
        """A user's own mechanisms always, as with Twisted's; the authenticator's behind TLS alone."""
        facts = self._session.facts
        own = tuple(name.decode("ascii").upper() for name in self.challengers)
        authenticator = self._owner.authenticator if self._owner.settings.auth else None
        if authenticator is not None and self._tls is not None:
            own += tuple(name for name in authenticator.mechanisms(self.client()) if name not in own)
        facts.mechanisms = own
        facts.auth_after_tls = authenticator is not None and facts.tls_available and self._tls is None

    def let_go(self) -> None:
        """Nobody waits for the exchange either; it hears so first, because it may have a login to take back."""
        self.is_over = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._abort_exchange(exchange)
        super().let_go()

    # --- Parts ---

    def _begin_auth(self, mechanism: str) -> Exchange | None:
        """By the user's challengers, or the listener's authenticator."""
        make_challenger = self._challenger(mechanism)
        if make_challenger is not None:
            try:
                return PortalExchange(self.portal, make_challenger())
            # It is the user's.
            except Exception:  # noqa: BLE001
                _log.failure("can't begin {mechanism}", mechanism=mechanism)
                return None
        authenticator = self._owner.authenticator
        if authenticator is None or self._tls is None:
            return None
        return authenticator.begin(mechanism, self.client(), partial(channel_binding, self.transport.getHandle()))

    def _challenger(self, mechanism: str) -> Any:
        """The user's own, if there is one."""
        wanted = mechanism.encode("ascii")
        return next((make for name, make in self.challengers.items() if name.upper() == wanted), None)

    def _auth_asked(self, event: AuthAsked) -> None:
        if not self._session.is_extended and self._challenger(event.mechanism) is None:
            # EHLO alone offers it (RFC 5321 section 2.2.1). A user's portal is asked whenever Twisted's server asks it.
            self._session.refuse(replies.EHLO_FIRST)
            return
        try:
            exchange = self._begin_auth(event.mechanism)
            if exchange is None:
                self._session.refuse(self._bounded(replies.TROUBLE))
                return
            self._exchange = exchange
            self._exchange_mechanism = event.mechanism
            step = exchange.begin(event.initial)
        except Exception:  # noqa: BLE001
            self._auth_trouble(Failure())
            return
        self._stepped(step)

    def _auth_response(self, event: AuthResponse) -> None:
        exchange = self._exchange
        assert exchange is not None
        try:
            step = exchange.respond(event.response)
        except Exception:  # noqa: BLE001
            self._auth_trouble(Failure())
            return
        self._stepped(step)

    def _auth_aborted(self, event: AuthAborted) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._abort_exchange(exchange)

    def _stepped(self, step: Step | Awaitable[Step]) -> None:
        if isinstance(step, Challenge):
            self._session.challenge(step.octets)
        elif isinstance(step, LoggedIn):
            self._logged_in(step)
        elif isinstance(step, LoginRefused):
            self._exchange = None
            answer = self._bounded(step.reply)
            self._owner.publish(Rejected(self.client(), "auth", Refuse(answer, _CHECK, step.cause), step.account))
            if self._tarpit is not None:
                self._slow_down(self._tarpit.wait(self._session.errors, 1))
            self._session.refuse(answer)
        else:
            waiting = step if isinstance(step, Deferred) else Deferred.fromCoroutine(_result_of(step))
            self._waiting = waiting
            waiting.addCallbacks(self._late_step, self._late_trouble)
            waiting.addErrback(self._broken)

    def _late_step(self, step: Any) -> None:
        self._waiting = None
        if self.is_over:
            return
        if isinstance(step, Challenge | LoggedIn | LoginRefused):
            self._stepped(step)
        else:
            self._auth_trouble(Failure(TypeError("no step")))
        self.run()

    def _late_trouble(self, failure: Failure) -> None:
        self._waiting = None
        if self.is_over:
            if not failure.check(CancelledError):
                self._log_trouble(failure)
            return
        self._auth_trouble(failure)
        self.run()

    def _logged_in(self, step: LoggedIn) -> None:
        self._exchange = None
        if isinstance(step, PortalLogin):
            try:
                self.adopt_login(step.login)
            except Exception:  # noqa: BLE001
                self._failed("auth")
                return
        self._identity = step.identity
        self._mechanism = self._exchange_mechanism
        self._client = None
        self._tarpit = None
        self._session.authenticated()

    def _auth_trouble(self, failure: Failure) -> None:
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self._abort_exchange(exchange)
        if isinstance(exchange, PortalExchange):
            _log.failure("trouble with the portal of session {sid}", failure=failure, sid=self._session_id)
            self._session.refuse(self._bounded(replies.TROUBLE))
        else:
            self._log_trouble(failure)
            self._session.refuse(self._bounded(_TROUBLE))

    def _bounded(self, answer: Reply) -> Reply:
        """The answer, or the end for whoever has heard "not now" too often on this connection."""
        if not answer.is_transient or answer.code == _TOO_OFTEN.code:
            return answer
        self._undecided_logins += 1
        return answer if self._undecided_logins < _MOST_UNDECIDED else _TOO_OFTEN

    def _abort_exchange(self, exchange: Exchange) -> None:
        try:
            exchange.abort()
        except Exception:  # noqa: BLE001
            self._log_trouble(Failure())

    def _log_trouble(self, failure: Failure) -> None:
        frames = failure.frames or failure.stack
        where = f"{frames[-1][1]}:{frames[-1][2]}" if frames else "an unknown place"
        _log.error(
            "trouble with AUTH of session {sid}: {kind} in {where}",
            sid=self._session_id,
            kind=getattr(failure.type, "__name__", "?"),
            where=where,
        )

    actions: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        **SessionDriver.actions,
        AuthAsked: _auth_asked,
        AuthResponse: _auth_response,
        AuthAborted: _auth_aborted,
    }


async def _result_of(awaitable: Awaitable[Step]) -> Step:
    return await awaitable
