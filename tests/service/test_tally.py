"""What happens is counted."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.tally import Tally
from tests.service.house import House, refuses, relays


class TallyTests(SynchronousTestCase):
    """Counters of a gateway."""

    def test_counts(self):
        """Messages, outcomes and octets."""
        house = House()
        house.mx("a.test", "192.0.2.1")
        house.mx("b.test", "192.0.2.2")
        house.dialer.hosts.update({"192.0.2.1": relays, "192.0.2.2": refuses})
        house.submit("x@a.test", reverse_path="", content=b"x\r\n")
        house.submit("x@b.test", reverse_path="", content=b"x\r\n")
        house.run(1)
        counts = house.tally.snapshot()
        self.assertEqual(
            [counts[f"recipients_{name}"] for name in ("relayed", "failed", "delayed", "delivered")], [1, 1, 0, 0]
        )
        self.assertEqual((counts["messages_received"], counts["octets_received"]), (2, 6))

    def test_our_own(self):
        """Our notifications to senders are counted apart: nobody handed them in."""
        house = House()
        house.submit("x@nowhere.test")
        house.run(1)
        counts = house.tally.snapshot()
        self.assertEqual((counts["messages_received"], counts["notifications_made"]), (1, 1))

    def test_new(self):
        """A new gateway has counted nothing, and says so."""
        self.assertEqual(set(Tally().snapshot().values()), {0})
