"""What every check promises, whichever stage it is for."""

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, MailFrom, Recipient
from smtpgw.model.verdict import Accept, Refuse, Verdict

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object  # so that trial does not run the mixin by itself

STRANGER = Client("203.0.113.9", "stranger.example", "ESMTP")
MAIL = MailFrom(Mailbox("sender", "remote.example"))


def recipient(local: str, domain: str) -> Recipient:
    """A RCPT."""
    return Recipient(Mailbox(local, domain))


class CheckContract(_Case):
    """Mixin for ``SynchronousTestCase``: implement :meth:`make_check` and :meth:`ask_all`."""

    secrets: tuple[str, ...] = ()
    """Texts of the check's own settings and troubles, which no peer may read."""

    def make_check(self):
        """The check."""
        raise NotImplementedError

    def ask_all(self, check) -> Iterable[Verdict | Awaitable[Verdict]]:
        """What it says about different things: at least one of each kind of answer it can give."""
        raise NotImplementedError

    def verdict_of(self, answer: Verdict | Awaitable[Verdict]) -> Verdict:
        """The answer, also if it had to be waited for."""
        if isinstance(answer, (Accept, Refuse)):
            return answer

        async def wait() -> Verdict:
            return await answer

        verdict: Verdict = self.successResultOf(Deferred.fromCoroutine(wait()))
        return verdict

    def refusal_of(self, answer: Verdict | Awaitable[Verdict]) -> Refuse:
        """The answer, which must be a refusal."""
        verdict = self.verdict_of(answer)
        assert isinstance(verdict, Refuse)
        return verdict

    def test_contract_name(self):
        """It has a name that fits into a line of the log."""
        self.assertRegex(self.make_check().name, r"\A[a-z][a-z0-9_]*\Z")

    def test_contract_answers(self):
        """It accepts something and refuses something, and says nothing else."""
        verdicts = [self.verdict_of(answer) for answer in self.ask_all(self.make_check())]
        self.assertLessEqual({type(verdict) for verdict in verdicts}, {Accept, Refuse})
        self.assertIn(Refuse, map(type, verdicts))
        self.assertIn(Accept, map(type, verdicts))

    def test_contract_refusal(self):
        """A refusal is a 4xx or 5xx whose enhanced status fits, signed with the name of the check."""
        check = self.make_check()
        for answer in self.ask_all(check):
            verdict = self.verdict_of(answer)
            if isinstance(verdict, Accept):
                continue
            self.assertEqual(verdict.check, check.name)
            self.assertTrue(verdict.reply.is_transient or verdict.reply.is_permanent)
            self.assertRegex(verdict.reply.status, rf"\A{verdict.reply.code // 100}\.[0-9]{{1,3}}\.[0-9]{{1,3}}\Z")
            for line in verdict.reply.lines:
                self.assertTrue(line and line.isascii() and line.isprintable())
                self.assertLess(len(line), 400)
                for secret in self.secrets:
                    self.assertNotIn(secret, line)

    def test_contract_notes(self):
        """Notes are for the log: one line each, beginning with the name of the check."""
        check = self.make_check()
        for answer in self.ask_all(check):
            verdict = self.verdict_of(answer)
            for note in verdict.notes if isinstance(verdict, Accept) else ():
                self.assertTrue(note.isprintable())
                self.assertTrue(note.startswith(f"{check.name}: "))
