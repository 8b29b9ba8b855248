"""
SMTP on a Twisted transport, the server's side.

``GatewayESMTP`` stands where Twisted's ``ESMTP`` stands and keeps what users of that know, but its input goes to a
:class:`~smtpgw.smtp.session.Session`. Here is what concerns the transport. Invariants:

1. Input is never lost and never read while the session waits: the transport is asked to pause, and is not trusted to
   (TLS delivers what it has decrypted).
2. What waits to be written is bounded: while the client does not read replies, its commands are not read.
3. A client that has closed its side, and only reads on, gets all its answers.
4. ``loseConnection`` is followed by ``abortConnection`` when the peer does not let go.
5. A connection that we end is read on until the peer has let go, and what it sends is dropped: otherwise the system
   would answer it with a reset, and that can overtake our last reply.
"""

from typing import Any

import msgspec
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.tcp import Connection
from twisted.mail.smtp import DNSNAME, ESMTP
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpgw.boundaries.reception import Reception
from smtpgw.net.server_auth import PortalAnswer
from smtpgw.net.server_deadlines import Deadlines, Due
from smtpgw.net.server_opening import OpeningDriver
from smtpgw.net.server_owner import Owner, SoleOwner
from smtpgw.net.server_peer import peer_address, peer_port, tls_facts
from smtpgw.net.server_settings import ServerSettings, stock_extensions
from smtpgw.net.server_state import Stage
from smtpgw.net.stock_delivery import StockReception
from smtpgw.net.transport import write_now
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Facts
from smtpgw.smtp.session import Session
from smtpgw.smtp.session_rules import Phase

_MAX_WAITING_OCTETS = 64 * 1024
"""Input kept while an answer is owed; then the transport is paused."""

_CONTENT_READ_OCTETS = 256 * 1024
"""Size of a read in long content."""

_MAX_DROPPED_OCTETS = 1024 * 1024
"""And the size of a message: so much of refused content is read for the sake of the reply at its end."""

_UNSAID = (Stage.PROXY, Stage.TLS)
"""Nothing can be said to the client yet."""

_BYE = b"221 "

_OPEN = Stage.OPEN
_CONTENT = Phase.CONTENT


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class GatewayESMTP(OpeningDriver, ESMTP):
    """
    One connection.

    As with Twisted's: ``delivery``, ``deliveryFactory``, ``portal``, ``challengers``, ``host`` and ``timeout`` may be
    set before ``makeConnection``, and ``validateFrom``, ``validateTo`` and ``receivedHeader`` may be overridden.
    ``delivery`` may also be a :class:`~smtpgw.boundaries.reception.Reception`, which is then asked directly. Methods
    for single commands (``do_X``, ``ext_X``, ``state_X``) are never called: commands are added by extensions.

    Without a :class:`~smtpgw.net.factory.GatewayFactory` it has the default limits, and a timer of its own.
    """

    delivery: Any
    _before_login: tuple[Any, Any] | None = None

    def __init__(self, chal: Any = None, contextFactory: Any = None) -> None:  # noqa: N803
        """
        :param chal: names of AUTH mechanisms, and what makes their credentials.
        :param contextFactory: makes STARTTLS available.
        """
        OpeningDriver.__init__(self)
        # Not Twisted's own constructors: what else they set up belongs to the input path that is replaced here.
        self.host = DNSNAME
        self.delivery = None
        self.deliveryFactory = None
        self.challengers = {} if chal is None else chal
        self.authenticated = False
        self.ctx = contextFactory

    # --- The transport's side ---

    def connectionMade(self) -> None:
        """Greet, unless there are too many connections, or TLS comes first."""
        transport = self.transport
        factory = getattr(self, "factory", None)
        hostname = self.host.decode("ascii", "replace")
        owner = factory if isinstance(factory, Owner) else SoleOwner(ServerSettings(hostname=hostname))
        settings = owner.settings
        if settings.hostname != hostname:
            settings = msgspec.structs.replace(settings, hostname=hostname)
        self._owner = owner
        peer = transport.getPeer()
        self._address = peer_address(peer)
        self._port = peer_port(peer)
        self._session_id = owner.new_session_id()
        self._deadlines = Deadlines(settings, owner.seconds())
        self._reception = self._choose_reception()
        if isinstance(self._reception, StockReception):
            settings = msgspec.structs.replace(settings, extensions=stock_extensions(settings.extensions))
        self._session = self._make_session(settings)
        refusal = owner.enter(self)
        if refusal is not None:
            self.turn_away(refusal)
            return
        if self._address and ITCPTransport.providedBy(transport):
            # Otherwise each reply waits for the acknowledgement of the one before.
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        self._has_producer = True
        if not owner.sweeps:
            self.setTimeout(self.timeout)
        self.open()

    def dataReceived(self, data: bytes) -> None:
        """Any piece of input. Whatever comes when the connection is ending is dropped."""
        if self.is_over:
            return
        if not self._owner.sweeps:
            self.resetTimeout()
        if self.stage is not _OPEN:
            self.early_input(data)
            return
        session = self._session
        session.receive(data)
        self.run()
        if session.phase is _CONTENT:
            self._deadlines.content_octets += len(data)
            if session.content_refusal is not None:
                self._bound_dropped(len(data))
            elif not self._is_bulk:
                self._dropped_octets = 0
                self._read_in_bulk(True)
        elif self._is_bulk:
            self._read_in_bulk(False)

    def lineReceived(self, line: bytes) -> None:
        """A line without its CR LF, as Twisted's own callers and tests hand it in."""
        self.dataReceived(line + b"\r\n")

    def handshakeCompleted(self) -> None:
        """TLS stands; a session that began with it is greeted when the door says so."""
        self._deadlines.handshake_done()
        self._tls = tls_facts(self.transport)
        self._client = None
        if not self.is_over:
            self.offer_auth()
            if self.stage is Stage.TLS:
                self.knock()

    def readConnectionLost(self) -> None:  # noqa: N802 - Twisted's name
        """
        The client has closed its side; it may have done so only for sending (``nc -N``).

        What was received is answered in order, however late, then the connection is closed; an unfinished message is
        forgotten. With TLS there is no such state: the end of either side is the end of both.
        """
        # Nothing is read from here on, so nothing must be resumed: the transport would find the same end again.
        self.has_heard_all = True
        if self._is_closing:
            self.transport.loseConnection()
            return
        self._deadlines.has_moved = True
        if self.stage in _UNSAID:
            self.close()
        else:
            self.run()

    def writeConnectionLost(self) -> None:  # noqa: N802 - Twisted's name
        """Our last reply is out, and the peer has only to let go."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """At any moment. An unfinished message is forgotten; nothing is reported to whoever still answers."""
        if self._is_gone:
            return
        self._is_gone = True
        self._session.close()
        self.let_go()
        self.leave_door()
        self._owner.leave(self)
        logout, self._onLogout = self._onLogout, None
        if logout is not None:
            logout()
        self.setTimeout(None)

    def pauseProducing(self) -> None:
        """The transport's buffer is full of our replies: read no more commands until the client has read them."""
        self.is_unread = True
        self.pace()

    def resumeProducing(self) -> None:
        """It is empty again."""
        self.is_unread = False
        if not self.is_over:
            self.run()

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

    def timeoutConnection(self) -> None:
        """The timer of a connection without a sweeping owner."""
        if self._is_closing or (self.startedTLS and self._tls is None):
            self.abort()
        elif self._is_ours:
            self.setTimeout(self.timeout)
        else:
            self._time_out()

    # --- The owner's side ---

    def sweep(self, now: float) -> None:
        """Keep the deadlines."""
        due = self._deadlines.due(now, is_ours=self._is_ours)
        if due is Due.ABORT or (due is Due.LEAVE and self._session.is_owing):
            self.abort()
        elif due is Due.LEAVE:
            self._time_out()

    def shut_down(self) -> None:
        """Take leave as soon as the client is not in the middle of something."""
        self._session.shut_down()
        if self.stage is Stage.OPEN and not self.is_over:
            self.run()

    def shut_down_now(self) -> None:
        """Take leave whatever is under way."""
        self._session.shut_down()
        if not self.is_over:
            self._time_out()

    def abort(self) -> None:
        """Drop the connection."""
        abort = getattr(self.transport, "abortConnection", None)
        (self.transport.loseConnection if abort is None else abort)()

    # --- The driver's side ---

    def flush(self) -> None:
        """All replies in one write."""
        output = self._session.output
        if output:
            octets = output[0] if len(output) == 1 else b"".join(output)
            output.clear()
            write_now(self.transport, octets)
        self._deadlines.has_moved = True

    def pace(self) -> None:
        """Read while there is room."""
        if self.has_heard_all:
            return
        session = self._session
        waits = session.is_owing or self.stage is not _OPEN
        pause = (
            self.is_held
            or self.is_unread
            or self.is_slowed
            or (waits and session.buffered_octets > _MAX_WAITING_OCTETS)
        ) and not self.is_over
        if pause is not self._is_paused:
            self._is_paused = pause
            (self.transport.pauseProducing if pause else self.transport.resumeProducing)()

    def close(self) -> None:
        """A few seconds are left to the peer for taking the last replies."""
        if self._is_closing or self._is_gone:
            return
        self._is_closing = True
        output = self._session.output
        # Whoever has said QUIT and nothing behind it sends nothing more. Whoever never got in is not worth the wait,
        # and may come in thousands.
        is_soon_over = self.stage is not Stage.OPEN or (
            bool(output) and output[-1].startswith(_BYE) and self._session.has_said_all
        )
        self.flush()
        self.let_go()
        # TLS says goodbye in both directions: paused, it would never hear the answer.
        self.pace()
        self._deadlines.closing(self._owner.seconds())
        if not self._owner.sweeps:
            self.setTimeout(self._owner.settings.closing_seconds)
        if self._has_producer:
            # It would keep TLS from closing.
            self.transport.unregisterProducer()
        transport = self.transport
        if is_soon_over or self.has_heard_all or not isinstance(transport, Connection) or transport.TLS:
            # TLS reads on by itself until the peer has said goodbye.
            transport.loseConnection()
        else:
            transport.loseWriteConnection()

    def begin_tls(self) -> None:
        """What was written before goes out in clear text, everything else does not."""
        self.flush()
        if self.has_heard_all:
            # Nobody is there for the handshake.
            self.close()
            return
        self._session.tls_started()
        self.startedTLS = True
        self._deadlines.handshake(self._owner.seconds())
        self.transport.startTLS(self.ctx)

    def adopt_login(self, login: PortalAnswer) -> None:
        """The avatar is the delivery from now on, as with Twisted's."""
        before = self.delivery, self.deliveryFactory
        self._cbAnonymousAuthentication(login)
        self._before_login = before
        self.authenticated = True
        self._reception = self._choose_reception()

    def forget_login(self) -> None:
        """An avatar is logged out, and the delivery is what it was before."""
        super().forget_login()
        self.authenticated = False
        before, self._before_login = self._before_login, None
        if before is not None:
            self.delivery, self.deliveryFactory = before
            self._reception = self._choose_reception()
            logout, self._onLogout = self._onLogout, None
            if logout is not None:
                logout()

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes | None:
        """From the delivery; without one there is none."""
        delivery = self.delivery
        return None if delivery is None else delivery.receivedHeader(helo, origin, recipients)

    # --- Parts ---

    @property
    def _is_ours(self) -> bool:
        """
        Whether the client waits for us.

        One that has said all may be gone without our hearing of it, so its time runs on.
        """
        is_ours = self._session.is_owing or self.is_held or self.is_slowed or self.stage is Stage.DOOR
        return is_ours and not self.has_heard_all

    def _choose_reception(self) -> Reception:
        delivery = self.delivery
        if delivery is None or not all(hasattr(delivery, name) for name in ("mail", "rcpt", "begin")):
            return StockReception(self)
        reception: Reception = delivery
        return reception

    def _make_session(self, settings: ServerSettings) -> Session:
        transport = self.transport
        self.canStartTLS = self.ctx is not None and ITLSTransport.providedBy(transport) and settings.tls != "off"
        is_secure = settings.tls == "implicit" or ISSLTransport.providedBy(transport)
        facts = Facts(
            message_size=settings.message_size,
            tls_available=self.canStartTLS and not is_secure,
            tls_active=is_secure,
        )
        rules, tables = self._owner.session_terms(settings)
        return Session(rules, tables, facts, self.publish_rejected)

    def _time_out(self) -> None:
        """Its time is over, or ours."""
        session = self._session
        if self.stage not in _UNSAID:
            session.turn_away(replies.SHUTTING_DOWN if session.is_shutting_down else replies.TIMED_OUT)
        self.close()

    def _bound_dropped(self, size_octets: int) -> None:
        """The reply to refused content belongs to its end, but not every client has one."""
        session = self._session
        limit, refusal = session.rules.message_size, session.content_refusal
        self._dropped_octets += size_octets
        if limit and refusal is not None and self._dropped_octets > limit + _MAX_DROPPED_OCTETS:
            session.turn_away(refusal)
            self.close()

    def _read_in_bulk(self, wanted: bool) -> None:
        transport = self.transport
        self._is_bulk = wanted
        if isinstance(transport, Connection):
            transport.bufferSize = _CONTENT_READ_OCTETS if wanted else Connection.bufferSize
