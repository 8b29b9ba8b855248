"""Writing straight to the socket."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.net.transport import write_now


class FakeSocket:
    """Takes as many octets as it is told to, one answer after the other."""

    def __init__(self, answers):
        self.answers = answers
        self.taken = []

    def setblocking(self, _flag):
        pass

    def fileno(self):
        return 1

    def send(self, octets):
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        self.taken.append(bytes(octets[:answer]))
        return answer


class FakeReactor:
    """Remembers who wants to write."""

    def __init__(self):
        self.writers = set()

    def addWriter(self, writer):
        self.writers.add(writer)

    def removeWriter(self, writer):
        self.writers.discard(writer)

    def removeReader(self, reader):
        pass


class DirectTests(SynchronousTestCase):
    """On a plain TCP connection nothing is registered with the reactor when the system takes everything."""

    def make_connection(self, *answers):
        connection = Connection(FakeSocket(list(answers)), Protocol(), FakeReactor())
        connection.connected = 1
        return connection

    def test_all_at_once(self):
        """One send, no reactor."""
        connection = self.make_connection(5)
        write_now(connection, b"hello")
        self.assertEqual(connection.socket.taken, [b"hello"])
        self.assertEqual(connection.reactor.writers, set())

    def test_rest(self):
        """What was not taken is written by the transport, in order."""
        connection = self.make_connection(2, 3, 5)
        write_now(connection, b"hello")
        self.assertEqual(connection.reactor.writers, {connection})
        write_now(connection, b"world")
        self.assertEqual(connection.socket.taken, [b"he"])
        connection.doWrite()
        connection.doWrite()
        self.assertEqual(b"".join(connection.socket.taken), b"helloworld")

    def test_full_or_broken(self):
        """Nothing is lost and nothing is raised when the socket is full; an error is left to the transport."""
        for error in (BlockingIOError(11, "full"), ConnectionResetError(104, "reset")):
            connection = self.make_connection(error)
            write_now(connection, b"hello")
            self.assertEqual(connection._tempDataBuffer, [b"hello"])

    def test_not_while_closing(self):
        """What is written after loseConnection goes behind what waits."""
        connection = self.make_connection()
        connection.disconnecting = 1
        write_now(connection, b"hello")
        self.assertEqual(connection._tempDataBuffer, [b"hello"])

    def test_not_in_clear_text(self):
        """With TLS everything goes through TLS."""
        connection = self.make_connection()
        connection.TLS = True
        written = []
        connection.protocol.write = written.append
        write_now(connection, b"secret")
        self.assertEqual(written, [b"secret"])

    def test_other_transports(self):
        """They are written to as ever."""
        transport = StringTransport()
        write_now(transport, b"hello")
        self.assertEqual(transport.value(), b"hello")


class LoopbackTests(TestCase):
    """On a real connection."""

    async def test_large(self):
        """More than the system takes arrives whole, in order."""
        pieces = [bytes([number]) * 100_000 for number in range(40)]
        received = []
        finished = Deferred()

        class Writer(Protocol):
            def connectionMade(self):
                for piece in pieces:
                    write_now(self.transport, piece)
                self.transport.loseConnection()

        class Reader(Protocol):
            def dataReceived(self, data):
                received.append(data)

            def connectionLost(self, reason):
                finished.callback(None)

        port = reactor.listenTCP(0, Factory.forProtocol(Writer), interface="127.0.0.1")
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port), Reader())
        await finished
        await port.stopListening()
        self.assertEqual(b"".join(received), b"".join(pieces))
