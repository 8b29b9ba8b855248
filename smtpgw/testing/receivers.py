"""
Mail hosts on loopback that behave as they are told, and remember what they got.

Small, and written apart from the gateway's own server, so that the two don't share mistakes. Strict where a relay could
do harm: a command that was pipelined without being offered, or sent before the reply to STARTTLS, and a line without
CR LF, are noted in ``Receiver.offences``.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import Factory

from smtpgw.testing.certificates import PemPair, self_signed
from smtpgw.testing.personality import Personality
from smtpgw.testing.receiver_session import Received as Received
from smtpgw.testing.receiver_session import Session


class Receiver:
    """
    A mail host.

    ::

        receiver = Receiver(reactor, "mx.example.com", greylisting(20))
        receiver.listen("127.0.0.2", 0)
        ...
        receiver.messages[0].content
        await receiver.stop()

    :ivar messages: taken, in order.
    :ivar commands: every command line received, by session number; AUTH included.
    :ivar offences: what a client must not do and did.
    :ivar sessions: connections so far.
    :ivar port: the TCP port, after ``listen``.
    :ivar personality: may be changed; holds from the next command on.
    """

    def __init__(
        self, reactor: Any, name: str, personality: Personality | None = None, certificate: PemPair | None = None
    ) -> None:
        """:param certificate: for STARTTLS; without one it is self-signed."""
        self.name = name
        self.personality = Personality() if personality is None else personality
        self.messages: list[Received] = []
        self.commands: list[tuple[int, bytes]] = []
        self.offences: list[str] = []
        self.sessions = 0
        self.port = 0
        self.reactor = reactor
        self.connections: set[Session] = set()
        self.first_seen: dict[tuple[str, bytes, bytes], float] = {}
        self._certificate = certificate
        self._tls_options: Any = None
        self._listener: Any = None

    def listen(self, address: str, port: int) -> None:
        """:raises twisted.internet.error.CannotListenError: when the port is taken."""
        factory = Factory.forProtocol(lambda: Session(self))
        factory.noisy = False
        self._listener = self.reactor.listenTCP(port, factory, interface=address)
        self.port = self._listener.getHost().port

    async def close_listener(self) -> None:
        """Be dead for new connections; those that stand stay."""
        listener, self._listener = self._listener, None
        if listener is not None:
            await maybeDeferred(listener.stopListening)

    async def stop(self) -> None:
        """Stop listening, and drop every connection. Listening again is possible afterwards."""
        await self.close_listener()
        for session in list(self.connections):
            session.abort()

    def tls_options(self) -> Any:
        """For ``startTLS``; made once."""
        if self._tls_options is None:
            certificate = self._certificate or self_signed(self.name)
            self._tls_options = certificate.server_options()
        return self._tls_options
