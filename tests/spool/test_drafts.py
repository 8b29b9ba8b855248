"""Drafts, without a thread: what they hand over and when they want their writer to wait."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.spool.drafts import Memory, SpoolDraft
from smtpgw.spool.files import Discard, Finish, Piece

_LIMIT = 1000


class DraftTests(SynchronousTestCase):
    """In memory up to the limit, then in pieces to the file."""

    def setUp(self) -> None:
        self.steps: list[Any] = []
        self.memory = Memory(10 << 20)
        self.resumed = 0

    def put(self, step: Any) -> None:
        self.steps.append(step)

    def make_draft(self) -> SpoolDraft:
        def resume() -> None:
            self.resumed += 1

        return SpoolDraft(self, self.memory, _LIMIT, resume)  # type: ignore[arg-type]

    def written(self) -> bytes:
        return b"".join(step.data for step in self.steps if isinstance(step, Piece))

    def write_out(self) -> None:
        """The thread has written what it was given."""
        pieces = [step for step in self.steps if isinstance(step, Piece)]
        self.steps = [step for step in self.steps if not isinstance(step, Piece)]
        for piece in pieces:
            piece.written(piece.octets)

    def test_small(self) -> None:
        """A small content never leaves memory."""
        draft = self.make_draft()
        for _ in range(_LIMIT):
            self.assertTrue(draft.write(b"x"))
        whole = draft.finish()
        assert isinstance(whole, tuple)
        self.assertEqual((whole[1], self.steps), (b"x" * _LIMIT, []))

    def test_large(self) -> None:
        """Beyond the limit it is handed over in large pieces, also when it comes in drops."""
        draft = self.make_draft()
        content = bytes(number % 251 for number in range(200_000))
        for start in range(0, len(content), 7):
            draft.write(content[start : start + 7])
        self.assertIsInstance(draft.finish(), Finish)
        self.assertTrue(self.written() == content)
        self.assertLess(len(self.steps), 5)

    def test_waits_and_goes_on(self) -> None:
        """More than a megabyte not yet written: wait; half of it gone: go on, told once."""
        draft = self.make_draft()
        answers = [draft.write(bytes(65536)) for _ in range(18)]
        self.assertEqual(answers, [True] * 16 + [False] * 2)
        pieces = list(self.steps)
        for number, piece in enumerate(pieces, 1):
            piece.written(piece.octets)
            self.assertEqual(self.resumed, int(number >= 10))
        self.assertEqual(self.memory.held, 0)

    def test_finished_while_waiting(self) -> None:
        """A writer that is done is not told to go on."""
        for end in ("finish", "discard"):
            draft = self.make_draft()
            while draft.write(bytes(65536)):
                pass
            getattr(draft, end)()
            self.write_out()
            self.assertEqual((self.resumed, self.memory.held), (0, 0))
            self.steps.clear()

    def test_discard(self) -> None:
        """The memory is free at once, the file goes, and more content is ignored."""
        draft = self.make_draft()
        draft.write(bytes(70_000))
        draft.write(b"rest")
        draft.discard()
        draft.write(b"late")
        self.write_out()
        self.assertEqual(self.memory.held, 0)
        self.assertEqual([type(step) for step in self.steps], [Discard])

    def test_small_discard(self) -> None:
        """Without a file there is nothing for the thread to do."""
        draft = self.make_draft()
        draft.write(b"text")
        draft.discard()
        self.assertEqual((self.memory.held, self.steps), (0, []))

    def test_over_all_drafts(self) -> None:
        """Beyond the bound of all, each piece goes to the file at once and its writer waits for it."""
        self.memory.limit = 100
        idle, busy = self.make_draft(), self.make_draft()
        self.assertTrue(idle.write(bytes(90)))
        self.assertFalse(busy.write(b"a" * 20))
        self.write_out()
        self.assertEqual((self.resumed, self.memory.held), (1, 90))
        self.assertFalse(busy.write(b"b" * 20))
        self.assertEqual(self.written(), b"b" * 20)
