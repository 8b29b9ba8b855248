"""Connections are counted once for all listeners, and those over a bound are turned away."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.connection_count import ConnectionCount


class ConnectionCountTests(SynchronousTestCase):
    """One count."""

    def setUp(self):
        self.count = ConnectionCount()

    def enter(self, address, most=0, most_per_client=0):
        """The code of the reply, None for one that may stay."""
        refused = self.count.enter(address, most, most_per_client)
        return refused and (refused.code, refused.status)

    def test_in_all(self):
        """Beyond the bound a client hears 421 4.3.2, and is not counted."""
        self.assertIsNone(self.enter("192.0.2.1", most=1))
        self.assertEqual(self.enter("192.0.2.2", most=1), (421, "4.3.2"))
        self.assertEqual(self.count.total, 1)
        self.count.leave("192.0.2.1")
        self.assertIsNone(self.enter("192.0.2.2", most=1))

    def test_each_client(self):
        """One client has its own bound, an IPv6 client by its /64."""
        self.assertIsNone(self.enter("2001:db8::1", most_per_client=1))
        self.assertEqual(self.enter("2001:db8::2", most_per_client=1), (421, "4.7.0"))
        self.assertIsNone(self.enter("2001:db8:0:1::2", most_per_client=1))

    def test_unix_socket(self):
        """Clients of a Unix socket have no address and no bound of their own."""
        for _ in range(3):
            self.assertIsNone(self.enter("", most_per_client=1))

    def test_nothing_stays(self):
        """When all are gone nothing is remembered."""
        for _ in range(3):
            self.enter("192.0.2.1")
        for _ in range(3):
            self.count.leave("192.0.2.1")
        self.assertEqual((self.count.total, dict(self.count._per_client)), (0, {}))
