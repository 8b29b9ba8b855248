"""After a start everybody who waited is tried again, once."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.recovery import Recovery
from tests.service.house import AtOnce, House, defers, relays


class RecoveryTests(SynchronousTestCase):
    """The queue of the process before."""

    def restarted(self, before):
        """A house with the spool of another."""
        house = House()
        house.spool.entries.update(before.spool.entries)
        house.spool.contents.update(before.spool.contents)
        house.clock.advance(1.0 + before.clock.seconds() - house.clock.seconds())
        return house

    def queue(self):
        """A house with three messages that wait, one of them to two domains."""
        before = House()
        before.dispatch.pause()
        before.submit("x@a.test")
        before.submit("y@a.test", "z@b.test")
        before.submit("w@b.test")
        return before

    def test_all_are_delivered(self):
        """Everything that waited goes out, each recipient once."""
        house = self.restarted(self.queue())
        for domain in ("a.test", "b.test"):
            house.mx(domain, "192.0.2.1")
        house.dialer.hosts["192.0.2.1"] = relays
        Recovery(house.spool, house.dispatch, house.clock, AtOnce()).begin(house.spool.last_queue_id())
        house.run(10)
        self.assertEqual(house.spool.entries, {})
        self.assertEqual(sorted(job.slots for _, job in house.dialer.sent), [(0,), (0,), (0,), (1,)])

    def test_new_mail_is_not_listed_twice(self):
        """A message that comes while the queue is read is delivered once."""
        house = self.restarted(self.queue())
        for domain in ("a.test", "b.test"):
            house.mx(domain, "192.0.2.1")
        house.dialer.hosts["192.0.2.1"] = relays
        last = house.spool.last_queue_id()
        house.submit("new@a.test")
        Recovery(house.spool, house.dispatch, house.clock, AtOnce()).begin(last)
        house.run(10)
        recipients = [job.message.envelope.recipients[job.slots[0]].mailbox.local for _, job in house.dialer.sent]
        self.assertEqual(recipients.count("new"), 1)
        self.assertEqual(len(recipients), 5)

    def test_due_times_are_kept(self):
        """What was deferred is not tried earlier because of a restart."""
        before = House()
        before.mx("a.test", "192.0.2.1")
        before.dialer.hosts["192.0.2.1"] = defers
        before.submit("x@a.test")
        before.run(10)
        house = self.restarted(before)
        house.mx("a.test", "192.0.2.1")
        house.dialer.hosts["192.0.2.1"] = relays
        Recovery(house.spool, house.dispatch, house.clock, AtOnce()).begin(house.spool.last_queue_id())
        house.run(200)
        self.assertEqual(house.dialer.sent, [])
        house.run(200)
        self.assertEqual(house.spool.entries, {})
