"""Connections are counted once for all listeners, and those over a bound are turned away."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.connection_count import ConnectionCount


class ConnectionCountTests(SynchronousTestCase):
    """One count."""

    def setUp(self):
        self.count = ConnectionCount()

    def code(self, refused):
        """Of the reply, None for one that may stay."""
        return refused and (refused.code, refused.status)

    def test_in_all(self):
        """Beyond the bound a client hears 421 4.3.2, and is not counted."""
        self.assertIsNone(self.count.enter(1))
        self.assertEqual(self.code(self.count.enter(1)), (421, "4.3.2"))
        self.assertEqual(self.count.total, 1)
        self.count.leave()
        self.assertIsNone(self.count.enter(1))

    def test_each_client(self):
        """One client has its own bound, an IPv6 client by its /64."""
        self.assertIsNone(self.count.claim("2001:db8::1", 1))
        self.assertEqual(self.code(self.count.claim("2001:db8::2", 1)), (421, "4.7.0"))
        self.assertIsNone(self.count.claim("2001:db8:0:1::2", 1))

    def test_no_limits(self):
        """Zero is none."""
        for _ in range(3):
            self.assertIsNone(self.count.enter(0))
            self.assertIsNone(self.count.claim("192.0.2.1", 0))

    def test_unix_socket(self):
        """Clients of a Unix socket have no address and no bound of their own."""
        for _ in range(3):
            self.assertIsNone(self.count.claim("", 1))

    def test_nothing_stays(self):
        """When all are gone nothing is remembered."""
        for _ in range(3):
            self.count.enter(0)
            self.count.claim("192.0.2.1", 0)
        for _ in range(3):
            self.count.release("192.0.2.1")
            self.count.leave()
        self.assertEqual((self.count.total, dict(self.count._per_client)), (0, {}))
