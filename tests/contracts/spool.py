"""What every spool promises."""

from functools import partial
from typing import TYPE_CHECKING, Any

from smtpgw.boundaries.spool import Insert, Remove, SpoolTrouble, Stored, Update
from smtpgw.model.message import Entry, Slot, SlotState
from smtpgw.model.outcome import Delayed, Delivered, Failed, Outcome, Relayed, Scope
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import Reply
from smtpgw.spool.query import Selector
from tests.spool.examples import NOW, example_entry, read_body

if TYPE_CHECKING:
    from tests.spool.examples import SpoolTestCase as _Base
else:
    _Base = object

_OUTCOMES: tuple[Outcome, ...] = (
    Relayed(Reply(250, "2.0.0", ("Ok", "really")), "mx.example.net", "192.0.2.1"),
    Delivered("maildir"),
    Delayed("4.4.1", "no answer", Scope.HOST),
    Failed("5.1.1", "refused", Scope.RECIPIENT, Reply(550, "5.1.1", ("Nobody here",)), "mx.example.net", "192.0.2.1"),
)


class SpoolContract(_Base):
    """Mix into a ``SpoolTestCase``; ``make_spool`` gives an empty one, with room for so many messages."""

    def make_spool(self, max_messages: int = 1000) -> Any:
        raise NotImplementedError

    def keep(self, spool: Any, entry: Entry, content: bytes = b"text\r\n") -> None:
        self.assertNotIsInstance(self.add(spool, entry, content), SpoolTrouble)

    # --- add and fetch ---

    def test_kept_message_comes_back(self) -> None:
        """What was acknowledged is there, whole: envelope, client, trace, recipients, content."""
        spool = self.make_spool()
        entry = example_entry(7, "bob@example.net", "carol@example.com", size_octets=6)
        body = self.add(spool, entry, b"text\r\n")
        self.assertEqual((body.size_octets, read_body(body)), (6, b"text\r\n"))
        stored = self.fetch(spool, 7)
        self.assertEqual(stored.entry, entry)
        self.assertEqual((stored.body.size_octets, read_body(stored.body)), (6, b"text\r\n"))

    def test_empty_content(self) -> None:
        """A message without a single octet is one, too."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7), b"")
        self.assertEqual(read_body(self.fetch(spool, 7).body), b"")

    def test_large_content(self) -> None:
        """A message of a megabyte comes back octet for octet, and can be read twice."""
        spool = self.make_spool()
        content = bytes(range(256)) * 4096
        self.keep(spool, example_entry(7), content)
        body = self.fetch(spool, 7).body
        self.assertEqual(body.size_octets, len(content))
        self.assertTrue(read_body(body) == content and read_body(body) == content)

    def test_drops_of_content(self) -> None:
        """A peer that sends octet by octet gives the same message."""
        spool = self.make_spool()
        draft = spool.open_draft(lambda: None)
        for octet in b"one at a time\r\n":
            self.assertTrue(draft.write(bytes([octet])))
            draft.write(b"")
        self.assertEqual(draft.size_octets, 15)
        self.calls.answer(lambda done: spool.add(example_entry(7), draft, done))
        self.assertEqual(read_body(self.fetch(spool, 7).body), b"one at a time\r\n")

    def test_unknown_message(self) -> None:
        """A message that isn't there is no trouble."""
        spool = self.make_spool()
        for queue_id in (8, 0, (1 << 63) - 1, 1 << 63):
            self.assertIsNone(self.fetch(spool, queue_id))

    def test_queue_id_is_taken_once(self) -> None:
        """A second message with an id that is taken is refused, and the first stays as it was."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7), b"first\r\n")
        self.assertIsInstance(self.add(spool, example_entry(7, "eve@example.org"), b"second\r\n"), SpoolTrouble)
        stored = self.fetch(spool, 7)
        self.assertEqual((stored.entry, read_body(stored.body)), (example_entry(7), b"first\r\n"))

    def test_one_bad_message_refuses_no_other(self) -> None:
        """Of messages that come together, only the one that can't be kept is refused."""
        spool = self.make_spool()
        answers: dict[int, Any] = {}
        for number, queue_id in enumerate((1, 2, 1, 3)):
            draft = spool.open_draft(lambda: None)
            draft.write(b"%d\r\n" % number)
            spool.add(example_entry(queue_id), draft, lambda answer, number=number: answers.update({number: answer}))
        self.calls.run_until(lambda: len(answers) == 4)
        refused = [number for number, answer in answers.items() if isinstance(answer, SpoolTrouble)]
        self.assertEqual(refused, [2])
        self.assertEqual(read_body(self.fetch(spool, 1).body), b"0\r\n")

    def test_nobody_to_deliver_to(self) -> None:
        """An entry without recipients, or with one slot missing, would never leave the spool: it is refused."""
        spool = self.make_spool()
        whole = example_entry(7, "a@example.net", "b@example.net")
        for slots in ((), whole.slots[:1]):
            entry = Entry(whole.message, slots, whole.expires_at)
            self.assertIsInstance(self.add(spool, entry), SpoolTrouble)
            self.assertIsInstance(self.settle(spool, Insert(entry, b"")), SpoolTrouble)
        self.assertIsNone(self.fetch(spool, 7))

    def test_addresses_repeat(self) -> None:
        """The same recipient twice is two recipients."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7, "bob@example.net", "bob@example.net"))
        self.settle(spool, Update(7, ((1, Slot(SlotState.DONE, NOW, 1, Delivered("discard"))),)))
        self.assertEqual([waiting.slot for waiting in spool.recover()], [0])

    def test_strange_addresses(self) -> None:
        """Quoted, internationalized, literal and null addresses come back as they were."""
        spool = self.make_spool()
        entry = example_entry(7, 'a"b\\c@d@[IPv6:2001:db8::1]', "用户@例え.jp", "a%_'b@x.example", reverse_path=None)
        self.keep(spool, entry)
        self.assertEqual(self.fetch(spool, 7).entry, entry)

    # --- drafts ---

    def test_discarded_draft(self) -> None:
        """A transaction that was abandoned leaves nothing, and its draft can't be kept any more."""
        spool = self.make_spool()
        draft = spool.open_draft(lambda: None)
        draft.write(b"half")
        draft.discard()
        draft.discard()
        self.assertRaises(RuntimeError, spool.add, example_entry(7), draft, self.fail)
        self.assertIsNone(self.fetch(spool, 7))

    def test_discard_after_add(self) -> None:
        """A connection that drops after the end of data takes nothing away."""
        spool = self.make_spool()
        draft = spool.open_draft(lambda: None)
        draft.write(b"whole\r\n")
        answers: list[Any] = []
        spool.add(example_entry(7), draft, answers.append)
        draft.discard()
        self.calls.run_until(lambda: bool(answers))
        self.assertEqual(read_body(self.fetch(spool, 7).body), b"whole\r\n")

    def draft_of(self, spool: Any, *pieces: bytes) -> Any:
        resumed: list[bool] = []
        draft = spool.open_draft(lambda: resumed.append(True))
        for piece in pieces:
            draft.write(piece)
        return draft

    def read_draft(self, draft: Any, offset: int, most: int) -> Any:
        return self.calls.answer(lambda done: draft.read(offset, most, done))

    def test_draft_is_read_back(self) -> None:
        """Small or large, what was written can be read before it is kept, from anywhere."""
        spool = self.make_spool()
        for size in (10, 1000, 300_000):
            content = bytes(number % 251 for number in range(size))
            draft = self.draft_of(spool, content[:7], content[7:])
            for offset, most in ((0, 4), (5, 1 << 20), (size - 3, 2), (size, 5), (size + 9, 5)):
                self.assertEqual(self.read_draft(draft, offset, most), content[offset : offset + most])
            draft.discard()
            self.assertIsInstance(self.read_draft(draft, 0, 4), SpoolTrouble)

    def test_draft_is_rewritten(self) -> None:
        """A new header before the same body, or another body: what is read, and kept, is new; also twice."""
        spool = self.make_spool()
        queue_id = 0
        for body in (b"small\r\n", b"large\r\n" * 50_000):
            for new_body in (None, b"new\r\n", b"other\r\n" * 50_000):
                for head in (b"", b"A: 1\r\n\r\n", b"B: 2\r\n" * 30_000):
                    queue_id += 1
                    draft = self.draft_of(spool, b"Old: 1\r\n\r\n", body)
                    draft.rewrite(b"C: 3\r\n", 10)
                    draft.rewrite(head, 6, new_body)
                    expected = head + (body if new_body is None else new_body)
                    self.assertEqual(draft.size_octets, len(expected))
                    self.assertEqual(self.read_draft(draft, 3, 500_000), expected[3:500_003])
                    entry = example_entry(queue_id, size_octets=len(expected))
                    answer = self.calls.answer(partial(spool.add, entry, draft))
                    self.assertEqual(answer.size_octets, len(expected))
                    self.assertTrue(read_body(self.fetch(spool, queue_id).body) == expected)

    def test_over_is_not_rewritten(self) -> None:
        """A draft that is over stays over."""
        spool = self.make_spool()
        draft = self.draft_of(spool, b"text\r\n")
        draft.discard()
        draft.rewrite(b"new\r\n", 0)
        self.assertRaises(RuntimeError, spool.add, example_entry(7), draft, self.fail)

    # --- settle ---

    def test_outcomes_are_kept(self) -> None:
        """Each kind of outcome comes back as it was, with the peer's words."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7, "a@x.example", "b@x.example", "c@x.example", "d@x.example"))
        slots = tuple(Slot(SlotState.DONE, NOW + n, n, outcome) for n, outcome in enumerate(_OUTCOMES))
        self.assertIsNone(self.settle(spool, Update(7, tuple(enumerate(slots)), True)))
        entry = self.fetch(spool, 7).entry
        self.assertEqual((entry.slots, entry.warned), (slots, True))

    def test_update_touches_its_slots_only(self) -> None:
        """The other recipients, and the warning, stay as they are."""
        spool = self.make_spool()
        entry = example_entry(7, "a@x.example", "b@x.example", "c@x.example")
        self.keep(spool, entry)
        held = Slot(SlotState.HELD, NOW + 60, 3)
        self.settle(spool, Update(7, ((1, held),)))
        changed = self.fetch(spool, 7).entry
        self.assertEqual((changed.slots, changed.warned), ((entry.slots[0], held, entry.slots[2]), False))

    def test_removed_message_is_gone(self) -> None:
        """After the removal nothing of it is found."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7))
        self.keep(spool, example_entry(8))
        self.assertIsNone(self.settle(spool, Remove(7)))
        self.assertIsNone(self.fetch(spool, 7))
        self.assertEqual([waiting.queue_id for waiting in spool.recover()], [8])

    def test_unknown_changes_are_no_trouble(self) -> None:
        """A change of a message that has left, or a slot that never was, changes nothing."""
        spool = self.make_spool()
        self.keep(spool, example_entry(8))
        slot = Slot(SlotState.HELD, NOW)
        self.assertIsNone(self.settle(spool, Update(7, ((0, slot),), True), Remove(7), Update(8, ((5, slot),))))
        self.assertIsNone(self.settle(spool))
        self.assertEqual(self.fetch(spool, 8).entry, example_entry(8))
        self.assertIsNone(self.fetch(spool, 7))

    def test_notification_takes_the_place(self) -> None:
        """A bounce comes in the same step that removes what bounced."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7))
        bounce = example_entry(8, "alice@example.org", reverse_path=None, size_octets=3)
        self.assertIsNone(self.settle(spool, Insert(bounce, b"no\n"), Remove(7)))
        self.assertIsNone(self.fetch(spool, 7))
        stored = self.fetch(spool, 8)
        self.assertIsInstance(stored, Stored)
        self.assertEqual((stored.entry, read_body(stored.body)), (bounce, b"no\n"))

    def test_all_or_nothing(self) -> None:
        """When a bounce can't be kept, what bounced stays, unchanged."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7))
        self.keep(spool, example_entry(8))
        changes = [
            Update(8, ((0, Slot(SlotState.HELD, NOW)),), True),
            Insert(example_entry(9), b"new"),
            Insert(example_entry(8), b"taken"),
            Remove(7),
        ]
        self.assertIsInstance(self.settle(spool, *changes), SpoolTrouble)
        self.assertEqual(self.fetch(spool, 7).entry, example_entry(7))
        self.assertEqual(self.fetch(spool, 8).entry, example_entry(8))
        self.assertIsNone(self.fetch(spool, 9))

    def test_answers_in_order_and_once(self) -> None:
        """Everybody who asked is answered exactly once, in the order of asking."""
        spool = self.make_spool()
        answered: list[int] = []
        for number in range(50):
            spool.settle([Remove(number)], lambda trouble, number=number: answered.append(number))
        self.calls.run_until(lambda: len(answered) >= 50)
        self.calls.run_waiting()
        self.assertEqual(answered, list(range(50)))

    # --- start, bounds, end ---

    def test_recover(self) -> None:
        """All that wait, held ones too, by age; those that are done do not."""
        spool = self.make_spool()
        states = (SlotState.QUEUED, SlotState.DONE, SlotState.HELD)
        self.keep(spool, example_entry(9, '"q@x"@example.net', reverse_path=None))
        self.keep(spool, example_entry(4, "a@a.example", "b@b.example", "c@c.example", states=states))
        self.settle(spool, Update(4, ((0, Slot(SlotState.QUEUED, NOW + 5, 2)),), True))
        found = [
            (w.queue_id, w.slot, w.domain, w.reverse_domain, w.state, w.due_at, w.attempts, w.expires_at, w.warned)
            for w in spool.recover()
        ]
        expires_at = NOW + 432_000.0
        self.assertEqual(
            found,
            [
                (4, 0, "a.example", "example.org", SlotState.QUEUED, NOW + 5, 2, expires_at, True),
                (4, 2, "c.example", "example.org", SlotState.HELD, NOW, 0, expires_at, True),
                (9, 0, "example.net", "", SlotState.QUEUED, NOW, 0, expires_at, False),
            ],
        )

    def test_last_queue_id(self) -> None:
        """The next queue ids must exceed those that are there."""
        spool = self.make_spool()
        self.assertEqual(spool.last_queue_id(), 0)
        self.keep(spool, example_entry(9))
        self.keep(spool, example_entry(4))
        self.assertEqual(spool.last_queue_id(), 9)

    def test_too_many_messages(self) -> None:
        """A full queue takes no new message (452), still takes bounces, and goes on when there is room."""
        spool = self.make_spool(max_messages=2)
        self.assertIsNone(spool.trouble())
        self.keep(spool, example_entry(1))
        self.keep(spool, example_entry(2))
        trouble = spool.trouble()
        self.assertTrue(trouble is not None and trouble.full)
        refused = self.add(spool, example_entry(3))
        self.assertTrue(isinstance(refused, SpoolTrouble) and refused.full)
        self.assertIsNone(self.settle(spool, Insert(example_entry(4), b"bounce")))
        self.settle(spool, Remove(1), Remove(2))
        self.assertIsNone(spool.trouble())
        self.keep(spool, example_entry(3))

    def test_close_finishes_first(self) -> None:
        """What was asked for before closing is done; what is asked for after it is refused."""
        spool = self.make_spool()
        answers: list[Any] = []
        draft = spool.open_draft(lambda: None)
        draft.write(b"last\r\n")
        spool.add(example_entry(7), draft, answers.append)
        late = spool.open_draft(lambda: None)
        for _ in range(2):
            spool.close(lambda: answers.append("closed"))
        self.calls.run_until(lambda: len(answers) >= 3)
        self.assertEqual([type(answer).__name__ for answer in answers], ["InlineBody", "str", "str"])
        self.assertIsNotNone(spool.trouble())
        self.assertIsInstance(self.calls.answer(lambda done: spool.add(example_entry(8), late, done)), SpoolTrouble)
        self.assertIsInstance(self.settle(spool, Remove(7)), SpoolTrouble)
        self.assertIsInstance(self.fetch(spool, 7), SpoolTrouble)

    def test_questions(self) -> None:
        """The command counts and lists what is in it."""
        spool = self.make_spool()
        self.keep(spool, example_entry(7, "a@one.example", "b@two.example"))
        self.keep(spool, example_entry(8, "c@one.example", states=(SlotState.HELD,)))
        summary = self.calls.answer(lambda done: spool.ask(lambda queue: queue.summary(), done))
        self.assertEqual((summary["messages"], summary["recipients"]), (2, 3))
        self.assertEqual(summary["by_state"], {"queued": 2, "held": 1})
        listed = self.calls.answer(lambda done: spool.ask(lambda queue: queue.list(Selector(state="held")), done))
        self.assertEqual([message["id"] for message in listed], [queue_id_text(8)])
