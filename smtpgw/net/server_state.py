"""What one connection remembers: the protocol, and the parts that it is made of, share it."""

from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from smtpgw.boundaries.reception import Intake, Reception
from smtpgw.model.envelope import Client, TlsFacts
from smtpgw.net.proxy_header import ProxyHeaderReader
from smtpgw.net.server_deadlines import Deadlines
from smtpgw.net.server_owner import Owner
from smtpgw.net.server_tarpit import Tarpit
from smtpgw.smtp.session import Session


class Stage(Enum):
    """
    How far a connection has come.

    ``PROXY``: the proxy's header is awaited. ``TLS``: the handshake of implicit TLS is. ``DOOR``: the door, the wait
    before the banner, or both. ``OPEN``: the session has begun.
    """

    PROXY = "proxy"
    TLS = "tls"
    DOOR = "door"
    OPEN = "open"


class ConnectionState:
    """
    One connection's state. What Twisted's protocol knows of it, and what few connections need, is not here.

    :ivar stage: nothing but the opening changes it.
    :ivar is_held: the intake has asked for a pause.
    :ivar is_unread: the client does not read our replies.
    :ivar is_slowed: our reply waits on purpose, and what comes behind it; or others have their turn first.
    :ivar has_heard_all: the client has closed its side: what it sent is answered, then the connection is closed.
    :ivar is_over: the connection is ending, or gone.
    """

    # As with ``SessionState``: with all these, the dictionary that the protocol has from Twisted would lose its compact
    # form. That makes every attribute slower, and an idle connection twice as large.
    __slots__ = (
        "_address",
        "_client",
        "_deadlines",
        "_dropped_octets",
        "_early_call",
        "_given_helo",
        "_has_producer",
        "_has_resumed",
        "_identity",
        "_intake",
        "_is_bulk",
        "_is_closing",
        "_is_door_open",
        "_is_gone",
        "_is_paused",
        "_is_running",
        "_mechanism",
        "_name",
        "_notes",
        "_owner",
        "_port",
        "_proxy",
        "_reception",
        "_session",
        "_session_id",
        "_slow_call",
        "_tarpit",
        "_tls",
        "_transactions",
        "_visitor",
        "_waiting",
        "has_heard_all",
        "is_held",
        "is_over",
        "is_slowed",
        "is_unread",
        "stage",
    )

    _deadlines: Deadlines
    _owner: Owner
    _reception: Reception
    _session: Session

    def __init__(self) -> None:
        self.stage = Stage.PROXY
        self.is_held = False
        self.is_unread = False
        self.is_slowed = False
        self.has_heard_all = False
        self.is_over = False
        self._session_id = ""
        # Who the client is.
        self._address = ""
        self._port = 0
        self._given_helo = ""
        self._name: str | None = None
        self._tls: TlsFacts | None = None
        self._identity: str | None = None
        self._mechanism = ""
        self._client: Client | None = None
        # The opening.
        self._proxy: ProxyHeaderReader | None = None
        self._visitor: Client | None = None
        self._is_door_open = False
        self._early_call: IDelayedCall | None = None
        # The session.
        self._is_running = False
        self._waiting: Deferred[Any] | None = None
        self._notes: tuple[str, ...] = ()
        self._intake: Intake | None = None
        self._has_resumed = False
        self._transactions = 0
        self._tarpit: Tarpit | None = None
        self._slow_call: IDelayedCall | None = None
        # The transport.
        self._has_producer = False
        self._is_paused = False
        self._is_closing = False
        self._is_gone = False
        self._is_bulk = False
        self._dropped_octets = 0
