"""Tests for what is found out once and remembered for a while."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.policy.findings import Findings
from tests.policy.rig import Rig, waited


class FindingsTests(SynchronousTestCase):
    """Nobody is asked about the same thing twice at a time, or again too soon."""

    def setUp(self):
        self.rig = Rig()
        self.asked = []

    def findings(self, answers=None, **bounds):
        """:param answers: by key, what is awaited; otherwise the key in upper case, at once."""

        async def find(key):
            self.asked.append(key)
            await (answers[key] if answers else succeed(None))
            return key.upper(), 60.0

        return Findings(find, self.rig.tasks, self.rig.clock, **bounds)

    def test_remembered(self):
        """For as long as it holds, then it is asked again."""
        findings = self.findings()
        self.assertIsNone(findings.known("a"))
        for _ in range(3):
            self.assertEqual(findings.get("a"), "A")
        self.assertEqual(findings.known("a"), "A")
        self.assertEqual(self.asked, ["a"])
        self.rig.clock.advance(60)
        self.assertIsNone(findings.known("a"))
        self.assertEqual(findings.get("a"), "A")
        self.assertEqual(self.asked, ["a", "a"])

    def test_shared(self):
        """Many who want to know the same wait for one answer."""
        answer = Deferred()
        findings = self.findings({"a": answer})
        waiters = [waited(findings.get("a")) for _ in range(5)]
        waiters[0].cancel()
        self.failureResultOf(waiters[0], CancelledError)
        self.assertIsNone(findings.known("a"))
        answer.callback(None)
        self.assertEqual([self.successResultOf(waiter) for waiter in waiters[1:]], ["A"] * 4)
        self.assertEqual(self.asked, ["a"])

    def test_busy(self):
        """Not more than so many at a time; who comes then hears so at once, and later is served."""
        answers = {key: Deferred() for key in "abc"}
        findings = self.findings(answers, most_asked=2)
        for key in "ab":
            findings.get(key)
        self.assertIsNone(findings.get("c"))
        answers["a"].callback(None)
        self.assertEqual(findings.get("a"), "A")
        self.assertIsNotNone(findings.get("c"))

    def test_bounded(self):
        """Memory does not grow with the number of clients."""
        findings = self.findings(most_kept=10)
        for number in range(1000):
            findings.get(str(number))
        self.assertEqual(len(findings._kept), 10)
        self.assertEqual(findings.known("999"), "999")

    def test_broken(self):
        """What fails is not remembered, and takes no place for ever."""
        answers = {"a": Deferred()}
        findings = self.findings(answers, most_asked=1)
        waiting = waited(findings.get("a"))
        answers["a"].errback(KeyError("x"))
        self.failureResultOf(waiting, KeyError)
        answers["a"] = succeed(None)
        self.assertEqual(findings.get("a"), "A")
