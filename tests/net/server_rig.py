"""A factory on a clock, and clients in memory."""

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from smtpgw.model.notice import Notice
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from tests.smtp.fakes import MemoryReception


class AbortingTransport(StringTransport):
    """
    Knows whether it was aborted, and counts what was asked of it.

    :ivar is_reading: it was not paused.
    """

    def __init__(self, address="192.0.2.1"):
        super().__init__(peerAddress=IPv4Address("TCP", address, 12345))
        self.is_aborted = False
        self.is_reading = True

    def abortConnection(self):
        self.is_aborted = True

    def pauseProducing(self):
        assert self.is_reading
        self.is_reading = False

    def resumeProducing(self):
        assert not self.is_reading
        self.is_reading = True


class Rig:
    """
    One listener.

    :ivar notices: all that was published.
    """

    def __init__(self, reception=None, *, tls_context=None, door=None, authenticator=None, **settings):
        self.clock = Clock()
        self.reception = MemoryReception() if reception is None else reception
        self.notices: list[Notice] = []
        self.factory = GatewayFactory(
            self.reception,
            ServerSettings(hostname="mx.example", **settings),
            self.clock,
            tls_context=tls_context,
            publish=self.notices.append,
            listener="tcp:25",
            door=door,
            authenticator=authenticator,
        )
        self.factory.doStart()

    def connect(self, address="192.0.2.1", transport=None):
        """A client that was greeted, or not."""
        transport = AbortingTransport(address) if transport is None else transport
        protocol: Any = self.factory.buildProtocol(transport.getPeer())
        protocol.makeConnection(transport)
        return RigClient(self, protocol, transport)

    def take_turns(self):
        """What was put off only to let others have their turn is done."""
        clock = self.clock
        while any(call.getTime() <= clock.seconds() for call in clock.getDelayedCalls()):
            clock.advance(0)


class RigClient:
    """One connection, from the client's end."""

    def __init__(self, rig, protocol, transport):
        self.rig = rig
        self.protocol = protocol
        self.transport = transport

    def said(self):
        """What the server has said since the last time."""
        self.rig.take_turns()
        octets = self.transport.value()
        self.transport.clear()
        return octets

    def send(self, octets):
        """What the server says to it at once."""
        self.said()
        self.protocol.dataReceived(octets)
        return self.said()

    def greet(self):
        """Say EHLO."""
        self.send(b"EHLO c.example\r\n")
        return self

    def lose(self):
        """The connection is gone."""
        self.protocol.connectionLost(Failure(ConnectionDone()))
