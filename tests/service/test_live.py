"""An entry is in memory once, and as new as what is on disk."""

# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.live import LiveEntries, LiveEntry
from smtpgw.spool.bodies import InlineBody
from smtpgw.spool.memory import MemorySpool
from tests.delivery.entries import QUEUE_ID, queued


class LiveEntriesTests(SynchronousTestCase):
    """Keeping, using, forgetting."""

    def setUp(self):
        self.calls = []
        self.spool = MemorySpool(call_in_reactor=self.calls.append)
        self.live = LiveEntries(self.spool, 10_000)
        self.entry = queued(1)

    def store(self):
        """The entry is in the spool."""
        self.spool.entries[QUEUE_ID] = self.entry
        self.spool.contents[QUEUE_ID] = b"x" * 100

    def answer(self):
        """The spool answers what was asked."""
        calls, self.calls[:] = self.calls[:], []
        for call in calls:
            call()

    def test_kept(self):
        """What was kept is used without asking the spool, and forgotten when it is given back."""
        self.live.keep(self.entry, InlineBody(b"x"), 0.5)
        used = []
        self.live.use(QUEUE_ID, used.append)
        self.assertIs(used[0].entry, self.entry)
        self.assertEqual(used[0].before_seconds, 0.5)
        self.live.release(used[0])
        self.assertEqual(len(self.live), 0)

    def test_two_users_share(self):
        """Two who use an entry at the same time see each other's changes, also when both had to wait for the disk."""
        self.store()
        used = []
        self.live.use(QUEUE_ID, used.append)
        self.live.use(QUEUE_ID, used.append)
        self.assertEqual(len(self.calls), 1)
        self.answer()
        self.assertIs(used[0], used[1])
        self.live.release(used[0])
        self.assertEqual(len(self.live), 1)
        self.live.release(used[1])
        self.assertEqual(len(self.live), 0)

    def test_first_gives_back_at_once(self):
        """The second who waited gets the same entry, although the first has given it back before."""
        self.store()
        used = []

        def hasty(live):
            used.append(live)
            self.live.release(live)

        self.live.use(QUEUE_ID, hasty)
        self.live.use(QUEUE_ID, used.append)
        self.answer()
        self.assertIs(used[0], used[1])
        self.assertEqual(len(self.live), 1)

    def test_not_there(self):
        """A message that is not there is None."""
        used = []
        self.live.use(5, used.append)
        self.answer()
        self.assertEqual(used, [None])

    def test_bounded(self):
        """Fresh entries are kept only while there is room; those that nobody uses make room for new ones."""
        body = InlineBody(b"x" * 3000)
        for n in range(10):
            entry = queued(1)
            message = entry.message
            self.live.keep(
                type(entry)(
                    type(message)(n, message.envelope, message.client, 0.0, b"", 3000), entry.slots, entry.expires_at
                ),
                body,
                0.0,
            )
        self.assertLessEqual(len(self.live), 2)
        self.assertGreaterEqual(len(self.live), 1)

    def test_used_entries_are_not_evicted(self):
        """What is in use stays, however little room there is."""
        live = LiveEntries(self.spool, 3000)
        live.keep(self.entry, InlineBody(b"x"), 0.0)
        used = []
        live.use(QUEUE_ID, used.append)
        message = self.entry.message
        other = type(message)(1, message.envelope, message.client, 0.0, b"", 1)
        live.keep(type(self.entry)(other, self.entry.slots, 0.0), InlineBody(b"y"), 0.0)
        self.assertEqual(len(live), 1)
        self.assertIsInstance(used[0], LiveEntry)
