"""One link: as many connections as it takes to get one that is ready, then that one."""

import ipaddress
from typing import Protocol

from twisted.internet.interfaces import IConnector, IReactorTCP

from smtpgw.boundaries.relay import Job, LinkFacts, LinkFailure, LinkOwner
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.outcome import Outcome
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.net.client import RelayFactory, Shared
from smtpgw.smtp.conversation import Conversation
from smtpgw.smtp.conversation_offer import NOTHING, Offer


class TlsMemory(Protocol):
    """Which hosts' TLS is broken."""

    def remember(self, hop: Hop) -> None:
        """Its handshake didn't work."""

    def knows(self, hop: Hop) -> bool:
        """Whether that was so lately."""


class RelayLink:
    """
    Implements :class:`smtpgw.boundaries.relay.Link`.

    With ``OPPORTUNISTIC``, a connection on which TLS itself fails is followed by one in clear text; there is never a
    third.
    """

    __slots__ = (
        "_broken_tls",
        "_clear",
        "_connector",
        "_conversation",
        "_hop",
        "_need",
        "_opened_at",
        "_over",
        "_owner",
        "_reactor",
        "_shared",
        "_source",
    )

    def __init__(
        self,
        reactor: IReactorTCP,
        shared: Shared,
        broken_tls: TlsMemory,
        hop: Hop,
        need: TlsNeed,
        source: str | None,
        owner: LinkOwner,
    ) -> None:
        self._reactor = reactor
        self._shared = shared
        self._broken_tls = broken_tls
        self._hop = hop
        self._need = need
        self._source = source
        self._owner = owner
        self._opened_at = shared.clock.seconds()
        self._connector: IConnector | None = None
        self._conversation: Conversation | None = None
        self._clear = need is TlsNeed.OPPORTUNISTIC and broken_tls.knows(hop)
        self._over = False

    def connect(self) -> None:
        """Start. The owner hears of it later."""
        self._conversation = None
        if self._source is not None and _family(self._source) != _family(self._hop.address):
            reason = f"{self._hop.address} can't be reached from the source address {self._source}"
            self._shared.clock.callLater(0, self.not_connected, reason)
            return
        try:
            self._connector = self._reactor.connectTCP(
                self._hop.address,
                self._hop.port,
                RelayFactory(self._shared, self, self._hop, self._need, clear=self._clear),
                timeout=self._shared.settings.connect_timeout_seconds,
                bindAddress=None if self._source is None else (self._source, 0),
            )
        except OSError as trouble:
            # An address that the system can't make sense of, such as one with a scope that isn't there.
            self._shared.clock.callLater(0, self.not_connected, f"can't connect: {trouble.strerror}")

    @property
    def offer(self) -> Offer:
        """What the host offers; settled once the link is ready."""
        return NOTHING if self._conversation is None else self._conversation.offer

    # --- Link ---

    def send(self, job: Job) -> None:
        """Only after ``link_ready`` or ``link_wants_job``, once for each."""
        if self._conversation is None:
            raise RuntimeError("the link is not ready")
        self._conversation.send(job)

    def close(self) -> None:
        """Take leave with QUIT when no job is under way; give up if it isn't ready yet."""
        if self._conversation is not None:
            self._conversation.close()
        else:
            self._give_up()

    def abort(self) -> None:
        """Drop the connection now. Jobs under way are reported first, as delayed."""
        if self._conversation is not None:
            self._conversation.abort()
        else:
            self._give_up()

    def _give_up(self) -> None:
        connector = self._connector
        self.not_connected("given up by us")
        if connector is not None:
            connector.disconnect()

    # --- Caller ---

    def connected(self, conversation: Conversation) -> None:
        """A connection stands."""
        self._connector = None
        self._conversation = conversation
        if self._over:
            conversation.abort()

    def not_connected(self, reason: str) -> None:
        """No connection."""
        self._connector = None
        if not self._over:
            self._over = True
            self._owner.link_failed(self, LinkFailure("connect", reason))

    def ready(self, tls: TlsFacts | None) -> None:
        """It takes jobs."""
        self._owner.link_ready(self, LinkFacts(self._hop, tls, self._shared.clock.seconds() - self._opened_at))

    def failed(self, failure: LinkFailure, broken_tls: bool) -> None:
        """Not ready, and never will be, on this connection."""
        if self._over:
            return
        if broken_tls and self._need is TlsNeed.OPPORTUNISTIC and not self._clear:
            self._clear = True
            self._broken_tls.remember(self._hop)
            self.connect()
            return
        self._over = True
        self._owner.link_failed(self, failure)

    def wants_job(self) -> None:
        """The next job may be sent."""
        self._owner.link_wants_job(self)

    def finished(self, job: Job, outcomes: tuple[Outcome, ...]) -> None:
        """A job is done."""
        self._owner.link_finished(self, job, outcomes)

    def gone(self, failure: LinkFailure | None) -> None:
        """The end."""
        self._over = True
        self._owner.link_gone(self, failure)


def _family(address: str) -> int:
    """4 or 6; 0 for what is no address, which the reactor then turns away."""
    try:
        return ipaddress.ip_address(address.partition("%")[0]).version
    except ValueError:
        return 0
