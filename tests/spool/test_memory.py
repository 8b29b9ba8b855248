"""The memory spool: the promises of every spool, and the knobs for tests."""

from functools import partial
from typing import Any

from smtpgw.boundaries.spool import Remove, SpoolTrouble
from smtpgw.spool.memory import MemorySpool
from tests.contracts.spool import SpoolContract
from tests.spool.examples import SpoolTestCase, example_entry


class MemorySpoolTests(SpoolContract, SpoolTestCase):
    """It keeps the promises of every spool."""

    def make_spool(self, max_messages: int = 1000) -> MemorySpool:
        return MemorySpool(call_in_reactor=self.calls.put, max_messages=max_messages)


class KnobTests(SpoolTestCase):
    """Tests of others can make it fail, hesitate and refuse."""

    def test_answers_at_once(self) -> None:
        """Without anything else asked for, the answer is there when the call returns."""
        spool = MemorySpool()
        answers: list[Any] = []
        spool.settle([Remove(1)], answers.append)
        self.assertEqual(answers, [None])

    def test_fail_next(self) -> None:
        """As many commits fail as were told to, and leave nothing."""
        spool = MemorySpool(call_in_reactor=self.calls.put)
        trouble = SpoolTrouble(full=True, cause="test")
        spool.fail_next(trouble, 2)
        self.assertEqual(self.add(spool, example_entry(1)), trouble)
        self.assertEqual(self.settle(spool, Remove(1)), trouble)
        self.assertEqual(spool.entries, {})
        self.assertNotIsInstance(self.add(spool, example_entry(1)), SpoolTrouble)

    def test_hold_and_release(self) -> None:
        """Held commits are answered only when they are released, in order."""
        spool = MemorySpool()
        spool.hold_commits()
        answers: list[str] = []
        for name in ("first", "second"):
            draft = spool.open_draft(lambda: None)
            spool.add(example_entry(len(name)), draft, partial(_note, answers, name))
        self.assertEqual((answers, spool.entries), ([], {}))
        spool.release()
        self.assertEqual((answers, len(spool.entries)), (["first", "second"], 2))

    def test_pause_drafts(self) -> None:
        """Paused drafts ask their writers to wait, and call each that still wants to go on once."""
        spool = MemorySpool()
        spool.pause_drafts()
        resumed: list[str] = []
        stays = spool.open_draft(lambda: resumed.append("stays"))
        goes = spool.open_draft(lambda: resumed.append("goes"))
        self.assertEqual([stays.write(b"a"), stays.write(b"b"), goes.write(b"c")], [False, False, False])
        goes.discard()
        spool.resume_drafts()
        self.assertEqual(resumed, ["stays"])
        self.assertTrue(stays.write(b"d"))

    def test_refusing(self) -> None:
        """It says of itself what the test wants."""
        spool = MemorySpool()
        spool.refusing = SpoolTrouble(full=False, cause="test")
        self.assertEqual(spool.trouble(), spool.refusing)


def _note(answers: list[str], name: str, body: object) -> None:
    answers.append(name)
