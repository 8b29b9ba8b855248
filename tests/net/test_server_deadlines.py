"""When a connection has had its time."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from msgspec import structs
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.server_deadlines import Deadlines, Due
from smtpgw.net.server_settings import ServerSettings

_SETTINGS = ServerSettings(
    hostname="mx",
    idle_timeout_seconds=10,
    session_timeout_seconds=100,
    handshake_timeout_seconds=5,
    closing_seconds=3,
    proxy_timeout_seconds=2,
)


class DeadlinesTests(SynchronousTestCase):
    """Each deadline has its consequence."""

    def setUp(self):
        self.deadlines = Deadlines(_SETTINGS, 0)

    def due(self, now, *, is_ours=False):
        return self.deadlines.due(now, is_ours=is_ours)

    def test_idle(self):
        """Whoever does nothing must leave; whoever moves has time again."""
        self.assertIsNone(self.due(9))
        self.deadlines.has_moved = True
        self.assertIsNone(self.due(10))
        self.assertIsNone(self.due(19.5))
        self.assertIs(self.due(20), Due.LEAVE)

    def test_content(self):
        """Content is progress once it comes fast enough: so much in the time that a silent client has."""
        self.deadlines.content_octets = 100
        self.assertIsNone(self.due(9))
        self.assertEqual(self.deadlines.content_octets, 0)
        self.assertIsNone(self.due(18.5))
        self.assertIs(self.due(19), Due.LEAVE)

    def test_dripping_content(self):
        """Less than that is none."""
        for now in range(1, 10):
            self.deadlines.content_octets += 9
            self.assertIsNone(self.due(now))
        self.assertIs(self.due(10), Due.LEAVE)

    def test_any_rate(self):
        """Without a slowest rate every octet counts, and nothing still is nothing."""
        self.deadlines = Deadlines(structs.replace(_SETTINGS, content_octets_per_second=0), 0)
        self.deadlines.content_octets = 1
        self.assertIsNone(self.due(9))
        self.assertIsNone(self.due(18))
        self.assertIs(self.due(19), Due.LEAVE)

    def test_proxy_header(self):
        """A proxy's header has a time of its own."""
        self.deadlines.proxy_header(0)
        self.assertIsNone(self.due(1.9))
        self.assertIs(self.due(2), Due.ABORT)

    def test_session(self):
        """Moving does not help for ever."""
        for now in range(1, 100):
            self.deadlines.has_moved = True
            self.assertIsNone(self.due(now))
        self.deadlines.has_moved = True
        self.assertIs(self.due(100), Due.LEAVE)

    def test_our_time(self):
        """While the client waits for us nothing runs out, and nothing has run out afterwards."""
        self.assertIsNone(self.due(5))
        for now in range(6, 500):
            self.assertIsNone(self.due(now, is_ours=True))
        self.assertIsNone(self.due(508))
        self.assertIs(self.due(509.5), Due.LEAVE)

    def test_our_time_in_the_session(self):
        """The whole session is longer by what we took."""
        for now in range(50):
            self.due(now, is_ours=True)
        for now in range(50, 149):
            self.deadlines.has_moved = True
            self.assertIsNone(self.due(now))
        self.deadlines.has_moved = True
        self.assertIs(self.due(149), Due.LEAVE)

    def test_handshake(self):
        """A handshake that does not come is not waited for, even if we are busy; one that came is forgotten."""
        self.deadlines.handshake(1)
        self.assertIsNone(self.due(5.9, is_ours=True))
        self.assertIs(self.due(6, is_ours=True), Due.ABORT)
        self.deadlines.handshake_done()
        self.assertIsNone(self.due(7))

    def test_closing(self):
        """Whoever does not take the last replies is dropped."""
        self.deadlines.closing(20)
        self.assertIsNone(self.due(22.9))
        self.assertIs(self.due(23), Due.ABORT)
