"""Opens links over TCP, and remembers whose TLS is broken."""

from twisted.internet.interfaces import IReactorTCP, IReactorTime

from smtpgw.boundaries.relay import LinkOwner
from smtpgw.boundaries.world import Threads
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.net.client import Shared
from smtpgw.net.client_link import RelayLink
from smtpgw.net.tls import RelayTls
from smtpgw.smtp.conversation_terms import RelaySettings

_REMEMBERED_SECONDS = 3600.0
"""An hour in clear text for a host that just was repaired, against two connections for each link to one that isn't."""

_REMEMBERED_HOSTS = 10_000


class BrokenTls:
    """Addresses whose TLS handshake failed lately; when there are too many, the oldest are forgotten."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._until: dict[tuple[str, int], float] = {}

    def remember(self, hop: Hop) -> None:
        """Its handshake didn't work."""
        key = hop.address, hop.port
        self._until.pop(key, None)
        if len(self._until) >= _REMEMBERED_HOSTS:
            del self._until[next(iter(self._until))]
        self._until[key] = self._clock.seconds() + _REMEMBERED_SECONDS

    def knows(self, hop: Hop) -> bool:
        """Whether that was so in the last hour."""
        key = hop.address, hop.port
        until = self._until.get(key)
        if until is None:
            return False
        if until <= self._clock.seconds():
            del self._until[key]
            return False
        return True


class _Reactor(IReactorTCP, IReactorTime):
    """Both, for the type checker."""


class TcpDialer:
    """
    Implements :class:`smtpgw.boundaries.relay.Dialer`.

    ``REQUIRED`` without TLS, and ``VERIFY`` without a certificate that leads to a trusted authority and names the
    hop's host, end in a ``LinkFailure`` of the stage ``tls``, which is never permanent.
    """

    def __init__(self, reactor: _Reactor, settings: RelaySettings, tls: RelayTls, threads: Threads) -> None:
        """:param reactor: for connections, and as the clock."""
        self._reactor = reactor
        self._shared = Shared(reactor, settings, threads, tls)
        self._broken_tls = BrokenTls(reactor)

    def open(self, hop: Hop, tls: TlsNeed, source: str | None, owner: LinkOwner) -> RelayLink:
        """Start connecting. Never calls the owner before it returns."""
        link = RelayLink(self._reactor, self._shared, self._broken_tls, hop, tls, source, owner)
        link.connect()
        return link
