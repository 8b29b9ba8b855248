"""What stands around every source."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.guarded import Bounds, Guarded
from smtpgw.lookups.question import Question
from smtpgw.model.domains import LookupTrouble
from tests.lookups.rig import tasks, waited


def asks(guarded: Guarded, local: str) -> Deferred[bool]:
    """One who has to wait."""
    answer = guarded(local, "ours.example")
    assert not isinstance(answer, bool)
    return waited(answer)


class GuardedTests(SynchronousTestCase):
    """An answer in time, once for all who ask."""

    def setUp(self) -> None:
        """A source that answers when it is told to."""
        self.clock = Clock()
        self.asked: list[tuple[Question, Deferred[bool]]] = []
        self.guarded = self.make(Bounds(most=3, kept=3))

    def make(self, bounds: Bounds, **more) -> Guarded:
        """Around the source."""

        async def source(question: Question) -> bool:
            answer: Deferred[bool] = Deferred()
            self.asked.append((question, answer))
            return await answer

        return Guarded(source, tasks(self.clock), self.clock.seconds, bounds, **more)

    def asks(self, local: str) -> Deferred[bool]:
        """One who waits."""
        return asks(self.guarded, local)

    def known(self, local: str, answer: bool) -> None:
        """Ask, and let the source answer."""
        asked = self.asks(local)
        self.asked[-1][1].callback(answer)
        self.assertIs(self.successResultOf(asked), answer)

    def test_kept(self) -> None:
        """A yes holds for a minute, a no for half of one, and then the source is asked again."""
        for answer, seconds in ((True, 60), (False, 30)):
            self.known("alice", answer)
            self.clock.advance(seconds - 1)
            self.assertIs(self.guarded("alice", "ours.example"), answer)
            self.clock.advance(1)
            self.assertNotIsInstance(self.guarded("alice", "ours.example"), bool)
            self.asked[-1][1].callback(answer)
            self.clock.advance(60)

    def test_kept_by_address(self) -> None:
        """Of one domain, it says nothing about another."""
        self.known("alice", True)
        self.assertNotIsInstance(self.guarded("alice", "other.example"), bool)
        self.assertEqual(self.asked[-1][0], Question("alice", "other.example"))

    def test_few_kept(self) -> None:
        """Memory is bounded: what was asked for the longest time ago is forgotten."""
        for local in ("a", "b", "c"):
            self.known(local, True)
        self.assertIs(self.guarded("a", "ours.example"), True)
        self.known("d", True)
        self.assertIs(self.guarded("a", "ours.example"), True)
        self.assertNotIsInstance(self.guarded("b", "ours.example"), bool)

    def test_once(self) -> None:
        """Who asks the same at the same time waits for the same answer, and going away does not take it from others."""
        waiters = [self.asks("alice") for _ in range(5)]
        self.assertEqual(len(self.asked), 1)
        waiters[0].addErrback(lambda _: None)
        waiters[0].cancel()
        self.asked[0][1].callback(True)
        self.assertEqual([self.successResultOf(waiter) for waiter in waiters[1:]], [True] * 4)

    def test_slow(self) -> None:
        """After the deadline all who wait get trouble; nothing is kept of it."""
        waiters = [self.asks("alice") for _ in range(2)]
        self.clock.advance(9.9)
        for waiter in waiters:
            self.assertNoResult(waiter)
        self.clock.advance(0.2)
        for waiter in waiters:
            self.failureResultOf(waiter, LookupTrouble)
        self.known("alice", True)

    def test_many(self) -> None:
        """One too many under way is trouble at once; those that are answered make room."""
        for local in ("a", "b", "c"):
            self.guarded(local, "ours.example")
        self.assertIn("more than 3", str(self.assertRaises(LookupTrouble, self.guarded, "d", "ours.example")))
        self.assertNotIsInstance(self.guarded("a", "ours.example"), bool)
        self.asked[0][1].callback(True)
        self.assertNotIsInstance(self.guarded("d", "ours.example"), bool)

    def test_down(self) -> None:
        """Trouble of the source is told with its name and without its password, and asked again the next time."""
        self.guarded = self.make(Bounds(), name="ldap host", secrets=("s%40cret",))
        for error in (LookupTrouble("no\r\nbind with s@cret"), ConnectionRefusedError("s%40cret refused")):
            asked = self.asks("alice")
            self.asked[-1][1].errback(error)
            text = str(self.failureResultOf(asked, LookupTrouble).value)
            self.assertTrue(text.startswith("ldap host: "), text)
            self.assertNotIn("cret", text.replace("***", ""))
            self.assertNotIn("\n", text)
        self.known("alice", True)

    def test_broken(self) -> None:
        """A mistake of ours is no answer, and does not block the address."""
        asked = self.asks("alice")
        self.asked[-1][1].errback(ZeroDivisionError())
        self.failureResultOf(asked, ZeroDivisionError)
        self.known("alice", True)

    def test_at_once(self) -> None:
        """A source that has its answer at hand blocks nothing."""

        async def source(question: Question) -> bool:
            return question.local == "alice"

        guarded = Guarded(source, tasks(self.clock), self.clock.seconds, Bounds(most=1))
        for local in ("alice", "bob", "carol"):
            self.assertIs(self.successResultOf(asks(guarded, local)), local == "alice")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unaskable(self) -> None:
        """Control characters, NUL and what is too long are unknown without a question."""
        for local in ("", "a\x00b", "a\r\nRSET", "x" * 300, "\udc80"):
            self.assertIs(self.guarded(local, "ours.example"), False)
        self.assertEqual(self.asked, [])
