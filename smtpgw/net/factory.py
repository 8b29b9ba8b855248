"""
The factory of a listener: counts connections, keeps their deadlines, and drains.

One sweep about once a second serves all connections; no connection has a timer.
"""

import itertools
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime
from twisted.internet.protocol import Protocol
from twisted.mail.smtp import IMessageDelivery, IMessageDeliveryFactory, SMTPFactory

from smtpgw.boundaries.auth import Authenticator
from smtpgw.boundaries.reception import Door, Reception
from smtpgw.boundaries.world import Publish
from smtpgw.model.notice import Notice
from smtpgw.model.reply import Reply
from smtpgw.net.connection_count import ConnectionCount
from smtpgw.net.server import GatewayESMTP
from smtpgw.net.server_owner import Owner
from smtpgw.net.server_settings import ServerSettings
from smtpgw.smtp import replies

_SWEEP_SECONDS = 1.0

_GRACE_SECONDS = 2.0
"""What clients have to take their 421 when the time for draining is over."""


class GatewayFactory(Owner, SMTPFactory):
    """
    Makes the protocols of one listener.

    ``portal`` and ``challengers`` may be set, as with Twisted's factory and protocol; AUTH is then offered.

    :ivar connections: open now, in all.
    """

    protocol = GatewayESMTP
    noisy = False
    challengers: dict[bytes, Callable[[], Any]] | None = None
    sweeps = True

    def __init__(  # noqa: PLR0913 - composed in one place, by name
        self,
        reception: Reception | IMessageDelivery | IMessageDeliveryFactory,
        settings: ServerSettings,
        clock: IReactorTime,
        *,
        tls_context: Any = None,
        publish: Publish = lambda notice: None,
        listener: str = "",
        new_session_id: Callable[[], str] | None = None,
        count: ConnectionCount | None = None,
        door: Door | None = None,
        authenticator: Authenticator | None = None,
    ) -> None:
        """
        :param reception: ours, or a user's own stock delivery; of a delivery factory each connection gets its own.
        :param clock: for deadlines.
        :param tls_context: an ``IOpenSSLServerConnectionCreator`` or context factory; without one there is no TLS.
        :param new_session_id: a new one at each call; by default numbers.
        :param count: shared with other listeners whose connections count together with ours.
        :param door: asked before each banner; may be set later, as may the next one.
        :param authenticator: for AUTH behind TLS, when the settings say so.
        :raises ValueError: when the settings ask for TLS and there is no context, or the host name is not ASCII.
        """
        SMTPFactory.__init__(self)
        if settings.tls in ("required", "implicit") and tls_context is None:
            raise ValueError(f"tls is {settings.tls}, but there is no certificate")
        self.reception = reception
        self.settings = settings
        self.listener = listener
        self.domain = settings.hostname.encode("ascii")
        self._clock = clock
        self._tls_context = tls_context
        self._publish = publish
        numbers = itertools.count(1)
        self._new_session_id = (lambda: str(next(numbers))) if new_session_id is None else new_session_id
        self._protocols: set[GatewayESMTP] = set()
        self.door = door
        self.authenticator = authenticator
        self._counted: dict[GatewayESMTP, str | None] = {}
        self._count = count or ConnectionCount()
        self._sweep_call: IDelayedCall | None = None
        self._is_stopped = False
        self._is_draining = False
        self._bound_call: IDelayedCall | None = None
        self._drained: list[Deferred[None]] = []

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        """A protocol with everything that Twisted's own would have, and our reception as its delivery."""
        protocol: GatewayESMTP = SMTPFactory.buildProtocol(self, addr)
        reception = self.reception
        if IMessageDeliveryFactory.providedBy(reception):
            protocol.deliveryFactory = reception
        else:
            protocol.delivery = reception
        if self.challengers is not None:
            protocol.challengers = self.challengers
        if self.settings.tls != "off":
            protocol.ctx = self._tls_context
        return protocol

    def stopFactory(self) -> None:
        """The listener is closed. Connections that stand are still swept, until the last is gone."""
        self._is_stopped = True
        self._rest()

    def startFactory(self) -> None:
        """The listener is open, maybe again."""
        self._is_stopped = False

    @property
    def connections(self) -> int:
        """Those turned away at the door are not counted."""
        return len(self._counted)

    def drain(self, bound_seconds: float = 30.0) -> Deferred[None]:
        """
        Let the connections end: each client hears 421 4.3.2 when its transaction is over, or as the answer to its next
        command; new ones at once.

        What was asked before is answered first. Whoever is still there at the bound hears 421 4.3.2 whatever is under
        way, and two seconds later is dropped. May be called more than once.

        :returns: fires when no connection is left.
        """
        self._is_draining = True
        for protocol in list(self._protocols):
            protocol.shut_down()
        if not self._protocols:
            return succeed(None)
        if self._bound_call is None:
            self._bound_call = self._clock.callLater(bound_seconds, self._end_all)
        drained: Deferred[None] = Deferred()
        self._drained.append(drained)
        return drained

    # --- Owner ---

    def enter(self, protocol: GatewayESMTP) -> Reply | None:
        """Count it, if it may stay."""
        self._protocols.add(protocol)
        if self._sweep_call is None:
            self._sweep_call = self._clock.callLater(_SWEEP_SECONDS, self._sweep)
        if self._is_draining:
            return replies.SHUTTING_DOWN
        refused = self._count.enter(self.settings.connections)
        if refused is None:
            self._counted[protocol] = None
        return refused

    def claim(self, protocol: GatewayESMTP, address: str) -> Reply | None:
        """Count it for its client. One that is turned away is not counted at all."""
        before = self._counted[protocol]
        if before == address:
            return None
        refused = self._count.claim(address, self.settings.connections_per_client)
        if before is not None:
            self._count.release(before)
        if refused is None:
            self._counted[protocol] = address
        else:
            del self._counted[protocol]
            self._count.leave()
        return refused

    def leave(self, protocol: GatewayESMTP) -> None:
        """Uncount it."""
        self._protocols.discard(protocol)
        if protocol in self._counted:
            address = self._counted.pop(protocol)
            if address is not None:
                self._count.release(address)
            self._count.leave()
        if not self._protocols:
            self._rest()

    def publish(self, notice: Notice) -> None:
        """To whoever was given."""
        self._publish(notice)

    def new_session_id(self) -> str:
        """From whoever was given."""
        return self._new_session_id()

    def seconds(self) -> float:
        """Of the reactor's clock."""
        return self._clock.seconds()

    def call_later(self, seconds: float, function: Callable[[], None]) -> IDelayedCall:
        """By the reactor's clock."""
        return self._clock.callLater(seconds, function)

    # --- Parts ---

    def _sweep(self) -> None:
        self._sweep_call = None
        now = self._clock.seconds()
        for protocol in list(self._protocols):
            protocol.sweep(now)
        if self._protocols:
            self._sweep_call = self._clock.callLater(_SWEEP_SECONDS, self._sweep)

    def _end_all(self) -> None:
        self._bound_call = self._clock.callLater(_GRACE_SECONDS, self._drop_all)
        for protocol in list(self._protocols):
            protocol.shut_down_now()

    def _drop_all(self) -> None:
        self._bound_call = None
        for protocol in list(self._protocols):
            protocol.abort()

    def _rest(self) -> None:
        """No connection is left, or no more will come: leave no timer behind that nobody needs."""
        if self._protocols:
            return
        # The sweep stays for the next connection: one timer a second is cheaper than one for each short connection.
        if (self._is_stopped or self._is_draining) and self._sweep_call is not None:
            self._sweep_call.cancel()
            self._sweep_call = None
        if self._bound_call is not None:
            self._bound_call.cancel()
            self._bound_call = None
        drained, self._drained = self._drained, []
        for waiting in drained:
            waiting.callback(None)
