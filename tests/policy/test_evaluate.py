"""Tests for how checks become one verdict."""

from itertools import product
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import Envelope
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse
from smtpgw.policy.evaluate import evaluate, evaluate_connect, evaluate_content, evaluate_mail, evaluate_rcpt
from tests.contracts.check import MAIL, STRANGER, recipient

NO = Refuse(reply(550, "5.7.1", "No"), "no")
NEVER = Refuse(reply(554, "5.7.1", "Never"), "never")
A = Accept(("a: fine",))
B = Accept(("b: fine",))


class Say:
    """A check of every stage that says what it is told to, at once or later."""

    name = "say"

    def __init__(self, verdict, *, is_later=False):
        self.verdict = verdict
        self.is_later = is_later
        self.asked = []

    def __call__(self, *arguments):
        """As ``evaluate`` asks."""
        self.asked.append(arguments)
        return self.wait() if self.is_later else self.verdict

    check_connect = check_mail = check_rcpt = check_content = __call__

    async def wait(self):
        """The verdict, awaited."""
        return self.verdict


class EvaluateTests(SynchronousTestCase):
    """In their order, the first refusal wins, all notes are kept."""

    def result(self, answer):
        """The verdict, also if it must be awaited."""
        if isinstance(answer, (Accept, Refuse)):
            return answer
        return self.successResultOf(Deferred.fromCoroutine(answer))

    def start(self, asks: Any) -> Any:
        """An evaluation that must wait."""
        waiting: Any = evaluate(asks)
        self.assertNotIsInstance(waiting, (Accept, Refuse))
        return Deferred.fromCoroutine(waiting)

    def test_table(self):
        """Whichever of three checks answer at once and whichever later, the verdict is the same."""
        verdicts = (ACCEPT, A, B, NO, NEVER)
        for kinds in product((False, True), repeat=3):
            for three in product(verdicts, repeat=3):
                refusals = [verdict for verdict in three if isinstance(verdict, Refuse)]
                expected = (
                    refusals[0]
                    if refusals
                    else Accept(
                        tuple(note for verdict in three if isinstance(verdict, Accept) for note in verdict.notes)
                    )
                )
                says = [Say(verdict, is_later=later) for verdict, later in zip(three, kinds, strict=True)]
                self.assertEqual(self.result(evaluate(says, 1, 2)), expected)
                asked = three.index(refusals[0]) + 1 if refusals else 3
                self.assertEqual([say.asked for say in says], [[(1, 2)]] * asked + [[]] * (3 - asked))

    def test_at_once(self):
        """When nothing waits there is no coroutine, and the common answer is always the same object."""
        self.assertIs(evaluate([]), ACCEPT)
        self.assertIs(evaluate([Say(ACCEPT), Say(ACCEPT)]), ACCEPT)
        self.assertIs(evaluate([Say(ACCEPT), Say(A), Say(ACCEPT)]), A)

    def test_order_while_waiting(self):
        """A later check is not asked before an earlier one has answered."""
        answer: Deferred[Accept] = Deferred()
        last = Say(NO)
        waiting = self.start([lambda: answer, last])
        self.assertNoResult(waiting)
        self.assertEqual(last.asked, [])
        answer.callback(A)
        self.assertEqual(self.successResultOf(waiting), NO)

    def test_broken(self):
        """What a check raises comes out: it is never an acceptance."""

        async def broken_later():
            raise KeyError("x")

        def broken():
            raise KeyError("x")

        with self.assertRaises(KeyError):
            evaluate([Say(A), broken])
        for asks in ([broken_later], [Say(A, is_later=True), broken], [Say(A, is_later=True), broken_later]):
            self.failureResultOf(self.start(asks), KeyError)

    def test_stages(self):
        """Each stage asks its own question with what it knows."""
        say = Say(NO)
        rcpt = recipient("a", "b.example")
        envelope = Envelope(None, ())
        self.assertIs(evaluate_connect([say], STRANGER), NO)
        self.assertIs(evaluate_mail([say], STRANGER, MAIL), NO)
        self.assertIs(evaluate_rcpt([say], STRANGER, MAIL, rcpt), NO)
        self.assertIs(evaluate_content([say], STRANGER, envelope, b"X: y\r\n"), NO)
        self.assertEqual(
            say.asked, [(STRANGER,), (STRANGER, MAIL), (STRANGER, MAIL, rcpt), (STRANGER, envelope, b"X: y\r\n")]
        )
