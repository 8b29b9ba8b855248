"""A process that dies between a next hop's 250 and our note of it, and one that dies behind the note."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.recovery import Recovery
from tests.service.house import AtOnce, House, refuses, relays


class WindowTests(SynchronousTestCase):
    """A message is sent twice only when we died before its success was noted (RFC 1047)."""

    def restarted(self, before):
        """The process that comes after, on what was durable."""
        house = House()
        house.spool.entries.update(before.spool.entries)
        house.spool.contents.update(before.spool.contents)
        self.prepare(house)
        Recovery(house.spool, house.dispatch, house.clock, AtOnce()).begin(house.spool.last_queue_id())
        house.run(10)
        return house

    def prepare(self, house):
        """One host that takes mail, and one that refuses it."""
        house.mx("a.test", "192.0.2.1")
        house.mx("b.test", "192.0.2.2")
        house.dialer.hosts.update({"192.0.2.1": relays, "192.0.2.2": refuses})

    def test_noted(self):
        """Behind the note nothing is sent again."""
        before = House()
        self.prepare(before)
        before.submit("x@a.test")
        before.run(10)
        self.assertEqual(len(before.dialer.sent), 1)
        self.assertEqual(self.restarted(before).dialer.sent, [])

    def test_not_noted(self):
        """Before it, once more, and then never again."""
        before = House()
        self.prepare(before)
        before.submit("x@a.test")
        before.spool.hold_commits()
        before.run(10)
        self.assertEqual(len(before.dialer.sent), 1)
        after = self.restarted(before)
        self.assertEqual(len(after.dialer.sent), 1)
        self.assertEqual(self.restarted(after).dialer.sent, [])

    def test_bounce(self):
        """A failure that was noted is not told a second time."""
        before = House()
        self.prepare(before)
        before.mx("from.test", "192.0.2.1")
        before.submit("x@b.test")
        before.run(60)
        self.assertEqual([address for address, _ in before.dialer.sent], ["192.0.2.2", "192.0.2.1"])
        self.assertEqual(self.restarted(before).dialer.sent, [])
