"""Tests for the user's check of OAuth tokens."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts.tokens import TokenCheck, TokenTrouble, load_token_check
from smtpgw.sinks.callback import TargetError


async def check_by_name(token, user):
    """Found by its dotted name."""
    return user if token == "good" else None


class TokenTests(SynchronousTestCase):
    """What the check says, and what it does not."""

    def setUp(self):
        self.clock = Clock()

    def ask(self, check, token="good", user="app", **more):
        """Begin to ask."""
        self.tokens = TokenCheck(check, self.clock, **more)
        return Deferred.fromCoroutine(self.tokens.identity(token, user))

    def test_load(self):
        """By its dotted name; a wrong one is one line."""
        check = load_token_check(f"{__name__}:check_by_name")
        self.assertEqual(self.successResultOf(self.ask(check)), "app")
        self.assertIsNone(self.successResultOf(self.ask(check, "bad")))
        self.assertRaises(TargetError, load_token_check, f"{__name__}:nothing")

    def test_raises(self):
        """What it raises is trouble, and its text, which may hold the token, is in no log."""

        async def check(token, user):
            raise RuntimeError(f"no such token {token}")

        with capturedLogs() as logs:
            trouble = self.failureResultOf(self.ask(check, "s3cret"), TokenTrouble)
        self.assertEqual(str(trouble.value), "the check of tokens raised RuntimeError")
        self.assertEqual(len(logs), 1)
        self.assertEqual(logs[0]["kind"], "RuntimeError")
        self.assertTrue(logs[0]["file"].endswith("test_tokens.py"))
        self.assertNotIn("s3cret", repr(logs))

    def test_silent(self):
        """After ten seconds nobody waits any more."""
        waiting: Deferred[None] = Deferred()

        async def check(token, user):
            return await waiting

        asked = self.ask(check)
        self.clock.advance(9.9)
        self.assertNoResult(asked)
        with capturedLogs() as logs:
            self.clock.advance(0.1)
        self.assertEqual(logs, [])
        self.assertIn("in time", str(self.failureResultOf(asked, TokenTrouble).value))
        self.assertTrue(waiting.called)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_name(self):
        """Something else than a name is trouble: nobody is somebody by mistake."""
        for answer in (True, 1, "", b"app", "a\r\nb", "n" * 256):

            async def check(token, user, answer=answer):
                return answer

            self.failureResultOf(self.ask(check), TokenTrouble)

    def test_bounded(self):
        """Only so many at a time."""
        waiting: list[Deferred[str]] = []

        async def check(token, user):
            waiting.append(Deferred())
            return await waiting[-1]

        first = self.ask(check, most=2)
        second = Deferred.fromCoroutine(self.tokens.identity("t", "u"))
        third = Deferred.fromCoroutine(self.tokens.identity("t", "u"))
        self.failureResultOf(third, TokenTrouble)
        first.cancel()
        self.failureResultOf(first, CancelledError, TokenTrouble)
        fourth = Deferred.fromCoroutine(self.tokens.identity("t", "u"))
        self.assertNoResult(fourth)
        for answer in waiting[1:]:
            answer.callback("app")
        self.assertEqual([self.successResultOf(one) for one in (second, fourth)], ["app", "app"])
