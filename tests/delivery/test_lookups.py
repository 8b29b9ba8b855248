"""Silent name servers hold no place that others need."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.destinations import Destination
from smtpgw.delivery.lookups import LookupLine
from smtpgw.delivery.sites import Site
from tests.delivery.agenda_world import MX_ROUTE


class LookupLineTests(SynchronousTestCase):
    """Ten places: nine for unknown domains, two of them for troubled ones."""

    def setUp(self):
        self.line = LookupLine(10)

    def destination(self, name, failures=0, known=False):
        """A domain."""
        destination = Destination(MX_ROUTE, name)
        destination.failures = failures
        if known:
            destination.site = Site(name, MX_ROUTE, (), 1)
        return destination

    def enter(self, count, **about):
        """How many of so many may ask at once, and all of them."""
        all_of_them = [self.destination(f"d{n}.test", **about) for n in range(count)]
        return sum(self.line.enter(one) for one in all_of_them), all_of_them

    def test_places(self):
        """A tenth stays free for domains that are known."""
        self.assertEqual(self.enter(20)[0], 9)
        self.assertEqual(self.enter(5, known=True)[0], 1)

    def test_troubled(self):
        """Domains that were in trouble share a quarter."""
        self.assertEqual(self.enter(20, failures=3)[0], 2)
        self.assertEqual(self.enter(20)[0], 7)

    def test_order(self):
        """A place that becomes free goes to a known domain first, then to a new one, then to a troubled one."""
        _, asking = self.enter(9)
        troubled = self.destination("troubled.test", failures=1)
        new = self.destination("new.test")
        known = [self.destination(f"known{n}.test", known=True) for n in range(2)]
        self.assertEqual([self.line.enter(one) for one in (troubled, new, *known)], [False, False, True, False])
        self.assertEqual(self.line.leave(asking[0]), [known[1]])
        self.assertEqual(self.line.leave(asking[1]), [])
        self.assertEqual(self.line.leave(asking[2]), [new])
        self.assertEqual(self.line.leave(asking[3]), [troubled])

    def test_everybody_has_a_turn(self):
        """Whoever is in line asks in the end."""
        waiting = []
        for failures in (0, 2):
            waiting += self.enter(50, failures=failures)[1]
        asking = [one for one in waiting if one in self.line._asking]
        asked = set(asking)
        while asking:
            admitted = self.line.leave(asking.pop())
            asked.update(admitted)
            asking += admitted
        self.assertEqual(len(asked), 100)
