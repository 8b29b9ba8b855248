"""Writing to a transport with the least work."""

from twisted.internet.interfaces import ITransport
from twisted.internet.tcp import Connection


def write_now(transport: ITransport, octets: bytes) -> None:
    """
    Write, straight to the socket if nothing waits before it.

    ``transport.write`` registers with the reactor, waits for it, and unregisters again, for each reply. On a plain TCP
    connection with an empty buffer the system usually takes everything at once; what it does not take, and every other
    transport, goes the usual way, so that order and back-pressure are the transport's as ever.
    """
    if (
        isinstance(transport, Connection)
        and not transport.TLS
        and transport.connected
        and not transport.disconnecting
        and not transport.dataBuffer
        and not transport._tempDataBuffer
        and not transport._writeDisconnected
    ):
        sent = transport.writeSomeData(octets)
        # An error is not reported here: the usual way meets it again, outside of whoever is writing now.
        if isinstance(sent, int) and sent > 0:
            if sent == len(octets):
                return
            octets = octets[sent:]
    transport.write(octets)
