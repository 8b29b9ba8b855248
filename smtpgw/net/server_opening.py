"""
Everything between a new connection and its banner: for whom a proxy speaks, whether there is room, the door, and a
wait that shows who talks before it is its turn.

Order: the proxy's header (in clear text, also before implicit TLS), the count for the client, the handshake of implicit
TLS, the door and the wait together, the banner. XCLIENT comes later and leads back to the count and the door.
"""

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.logger import Logger
from twisted.python.failure import Failure

from smtpgw.model.envelope import Client
from smtpgw.model.network import is_in_networks
from smtpgw.model.notice import Connected, Rejected
from smtpgw.model.reply import Reply, reply
from smtpgw.model.verdict import Refuse
from smtpgw.net.proxy_header import BadProxyHeader, ProxiedClient, ProxyHeaderReader
from smtpgw.net.server_auth_driver import AuthDriver
from smtpgw.net.server_state import Stage
from smtpgw.net.server_tarpit import Tarpit
from smtpgw.smtp import replies
from smtpgw.smtp.events import XclientAsked

_log = Logger()

_EARLY = reply(554, "5.5.1", "You talk before it is your turn")
_NO_DOOR = reply(421, "4.3.0", "Temporary trouble here, try again later")


class OpeningDriver(AuthDriver):
    """A session driver that knows how a session begins."""

    ctx: Any
    startedTLS: bool

    # --- What the protocol fills in ---

    def dataReceived(self, data: bytes) -> None:
        """Any piece of input."""
        raise NotImplementedError

    # --- What the protocol calls ---

    def open(self) -> None:
        """The connection is there, and counted."""
        if is_in_networks(self._address, self._owner.settings.proxy_networks):
            self._proxy = ProxyHeaderReader()
            self._deadlines.proxy_header(self._owner.seconds())
        else:
            self._identified()

    def early_input(self, octets: bytes) -> None:
        """What comes before the banner."""
        if self.stage is Stage.PROXY:
            self._read_header(octets)
        elif self._early_call is not None:
            self.turn_away(_EARLY)
        else:
            self._session.receive(octets)
            self.pace()

    def knock(self) -> None:
        """TLS stands, if it comes first: ask the door, and wait."""
        self.stage = Stage.DOOR
        settings = self._owner.settings
        if not is_in_networks(self._address, settings.trusted_networks):
            if settings.tarpit_seconds:
                self._tarpit = Tarpit(settings.tarpit_seconds)
            if settings.early_talker_seconds:
                self._early_call = self._owner.call_later(settings.early_talker_seconds, self._was_patient)
        self._ask_door()

    def turn_away(self, refusal: Reply, refuse: Refuse | None = None) -> None:
        """Instead of the banner. Nothing can be said where TLS comes first and does not stand."""
        if refuse is None:
            self.publish_rejected("connect", refusal, "")
        else:
            self._owner.publish(Rejected(self.client(), "connect", refuse))
        self._say_last(refusal)
        self.close()

    def let_go(self) -> None:
        """The banner is not waited for either."""
        super().let_go()
        early, self._early_call = self._early_call, None
        if early is not None:
            early.cancel()

    def leave_door(self) -> None:
        """The door hears that the client is gone, or is another one."""
        visitor, self._visitor = self._visitor, None
        door = self._owner.door
        if visitor is not None and door is not None:
            try:
                door.leave(visitor)
            except Exception:  # noqa: BLE001
                _log.failure("trouble at the door with the end of session {sid}", sid=self._session_id)

    # --- Parts ---

    def _say_last(self, answer: Reply) -> None:
        if self._session.facts.tls_active and self._tls is None:
            self._session.close()
        else:
            self._session.turn_away(answer)

    def _read_header(self, octets: bytes) -> None:
        reader = self._proxy
        assert reader is not None
        try:
            found = reader.feed(octets)
        except BadProxyHeader as trouble:
            _log.warn(
                "{address} is a proxy and sent no PROXY header that can be used: {trouble}",
                address=self._address,
                trouble=str(trouble),
            )
            self.abort()
            return
        if found is not None:
            self._proxy = None
            self._deadlines.handshake_done()
            self._introduced(found, reader.rest)

    def _introduced(self, found: ProxiedClient, rest: bytes) -> None:
        if found.address:
            self._address, self._port = found.address, found.port
            self._client = None
        self._identified()
        if not rest or self.is_over:
            return
        if self.stage is Stage.TLS:
            # What reads them now is the TLS layer between the transport and us.
            self.transport.protocol.dataReceived(rest)
        else:
            self.dataReceived(rest)

    def _identified(self) -> None:
        refusal = self._owner.claim(self, self._address)
        if refusal is not None:
            self.turn_away(refusal)
            return
        facts = self._session.facts
        facts.xclient = is_in_networks(self._address, self._owner.settings.xclient_networks)
        if not facts.tls_active:
            self.offer_auth()
            self.knock()
            return
        self.stage = Stage.TLS
        self.startedTLS = True
        self._deadlines.handshake(self._owner.seconds())
        if not ISSLTransport.providedBy(self.transport):
            self.transport.startTLS(self.ctx)

    def _ask_door(self) -> None:
        door = self._owner.door
        if door is None:
            self._is_door_open = True
            self._greet_if_due()
            return
        self._is_door_open = False
        visitor = self._visitor = self.client()
        try:
            answer = door.connect(visitor)
        except Exception:  # noqa: BLE001
            self._door_trouble(Failure())
            return
        self._door_answered(answer)

    def _door_answered(self, answer: Client | Refuse | Awaitable[Client | Refuse]) -> None:
        if isinstance(answer, Client):
            self._visitor = answer
            self._name = answer.name
            self._client = None
            self._is_door_open = True
            self._greet_if_due()
        elif isinstance(answer, Refuse):
            self.turn_away(answer.reply, answer)
        else:
            waiting = answer if isinstance(answer, Deferred) else Deferred.fromCoroutine(_result_of(answer))
            self._waiting = waiting
            waiting.addCallbacks(self._door_late, self._door_failed)
            waiting.addErrback(self._broken)

    def _door_late(self, answer: Any) -> None:
        self._waiting = None
        if self.is_over:
            return
        if isinstance(answer, Client | Refuse):
            self._door_answered(answer)
        else:
            self._door_trouble(Failure(TypeError("the door said neither yes nor no")))

    def _door_failed(self, failure: Failure) -> None:
        self._waiting = None
        if self.is_over and failure.check(CancelledError):
            return
        self._door_trouble(failure)

    def _door_trouble(self, failure: Failure) -> None:
        _log.failure("trouble at the door of session {sid}", failure=failure, sid=self._session_id)
        if not self.is_over:
            self.turn_away(_NO_DOOR)

    def _was_patient(self) -> None:
        self._early_call = None
        self._greet_if_due()

    def _greet_if_due(self) -> None:
        if not self._is_door_open or self._early_call is not None or self.is_over:
            return
        session = self._session
        is_first = self.stage is not Stage.OPEN
        self.stage = Stage.OPEN
        if session.is_shutting_down:
            self.turn_away(replies.SHUTTING_DOWN)
            return
        self._owner.publish(Connected(self.client()))
        if is_first:
            session.greet()
        else:
            session.xclient_done(is_authenticated=self._identity is not None)
        self.run()

    # --- XCLIENT ---

    def _xclient_asked(self, event: XclientAsked) -> None:
        """The session waits until the door has seen the client."""
        given = event.attributes
        # A login was that of the client before; it is another one's now, if the proxy says so and only then.
        self.forget_login()
        self._identity = given.get("LOGIN") or None
        self._address = given.get("ADDR", self._address)
        if "PORT" in given:
            self._port = int(given["PORT"] or 0)
        self._given_helo = given.get("HELO", self._given_helo)
        self._name = given.get("NAME", self._name) or None
        refusal = self._owner.claim(self, self._address)
        if refusal is not None:
            self.turn_away(refusal)
            return
        self.leave_door()
        self._ask_door()

    actions: ClassVar[dict[type, Callable[[Any, Any], None]]] = {
        **AuthDriver.actions,
        XclientAsked: _xclient_asked,
    }


async def _result_of(awaitable: Awaitable[Client | Refuse]) -> Client | Refuse:
    return await awaitable
