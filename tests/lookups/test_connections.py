"""Connections that are kept between questions."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.connections import Connections


class _Connection:
    def __init__(self, number: int) -> None:
        self.number = number
        self.closed = False
        self.dead = False

    def ask(self) -> int:
        """Its number."""
        if self.dead:
            raise ConnectionResetError("gone")
        return self.number


class ConnectionTests(SynchronousTestCase):
    """As few as needed, and none that is broken."""

    def setUp(self) -> None:
        """Connections by number."""
        self.made: list[_Connection] = []
        self.connections = Connections(self.connect, self.close, lambda _, error: isinstance(error, OSError))

    def connect(self) -> _Connection:
        """One more."""
        self.made.append(_Connection(len(self.made)))
        return self.made[-1]

    def close(self, connection: _Connection) -> None:
        """Note it."""
        connection.closed = True

    def test_kept(self) -> None:
        """One is used again and again."""
        self.assertEqual([self.connections.use(_Connection.ask) for _ in range(3)], [0, 0, 0])

    def test_at_once(self) -> None:
        """Two who ask at the same time have one each."""
        self.assertEqual(
            self.connections.use(lambda first: (first.number, self.connections.use(_Connection.ask))), (0, 1)
        )

    def test_died_meanwhile(self) -> None:
        """The question goes to the next kept one, at last to a fresh one, and nobody notices."""
        self.connections.use(lambda _: self.connections.use(_Connection.ask))
        for connection in self.made:
            connection.dead = True
        self.assertEqual(self.connections.use(_Connection.ask), 2)
        self.assertTrue(self.made[0].closed and self.made[1].closed)

    def test_dies_fresh(self) -> None:
        """A fresh one that dies is the trouble of whoever asked."""

        def die(_: _Connection) -> None:
            raise ConnectionResetError("gone")

        self.assertRaises(ConnectionResetError, self.connections.use, die)
        self.assertEqual(len(self.made), 1)
        self.assertTrue(self.made[0].closed)

    def test_wrong_question(self) -> None:
        """A question that is wrong is not put again, and its connection not trusted again."""

        def fail(_: _Connection) -> None:
            raise ValueError("wrong")

        self.connections.use(_Connection.ask)
        self.assertRaises(ValueError, self.connections.use, fail)
        self.assertEqual(self.connections.use(_Connection.ask), 1)

    def test_close(self) -> None:
        """What is kept is closed at once, what is in use after its question."""
        self.connections.use(lambda _: self.connections.use(_Connection.ask))
        self.connections.use(lambda _: self.connections.close())
        self.assertTrue(self.made[0].closed and self.made[1].closed)
