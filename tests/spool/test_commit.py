"""One transaction for many operations."""

import sqlite3
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import Change, Insert, Remove, SpoolTrouble, Update
from smtpgw.model.message import Slot, SlotState
from smtpgw.spool import schema
from smtpgw.spool.commit import Committed, Operation, commit
from tests.spool.examples import NOW, example_entry

_HELD = ((0, Slot(SlotState.HELD, NOW)),)


class CommitTests(SynchronousTestCase):
    """All of an operation or nothing of it, and nobody suffers from another's."""

    def setUp(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.connection.close)
        schema.create_tables(self.connection)

    def commit(self, *operations: list[Change]) -> Committed:
        return commit(self.connection, [Operation(self.fail, None, changes=changes) for changes in operations])

    def rows(self) -> list[Any]:
        """Ids and states, and that both tables agree."""
        deliveries = self.connection.execute("SELECT message, state FROM delivery ORDER BY message").fetchall()
        messages = [queue_id for (queue_id,) in self.connection.execute("SELECT id FROM message ORDER BY id")]
        self.assertEqual([queue_id for queue_id, _ in deliveries], messages)
        return deliveries

    def test_order(self) -> None:
        """A later change of a message wins, whichever operation it is in."""
        committed = self.commit(
            [Insert(example_entry(1), b""), Insert(example_entry(2), b"")],
            [Update(1, _HELD), Update(2, _HELD)],
            [Remove(1), Update(2, ((0, Slot(SlotState.QUEUED, NOW)),))],
        )
        self.assertEqual((self.rows(), committed.growth, committed.removed), ([(2, 0)], 1, [1]))

    def test_refused_alone(self) -> None:
        """A taken id, an impossible entry, text that is none: only that operation is refused, wherever it stands."""
        self.commit([Insert(example_entry(1), b"")])
        impossible = example_entry(5, "\ud800@x.example")
        bad: list[list[Change]] = [
            [Insert(example_entry(4), b""), Insert(example_entry(1), b"")],
            [Remove(1), Insert(impossible, b"")],
            [Remove(1 << 70)],
        ]
        for place in range(3):
            for broken in bad:
                good: list[list[Change]] = [[Update(1, _HELD)], [Insert(example_entry(2), b"")]]
                good.insert(place, broken)
                committed = self.commit(*good)
                self.assertEqual(list(committed.refused), [place])
                self.assertIsInstance(committed.refused[place], SpoolTrouble)
                self.assertEqual((self.rows(), committed.growth), ([(1, 1), (2, 0)], 1))
                self.commit([Remove(2), Update(1, ((0, Slot(SlotState.QUEUED, NOW)),))])
            self.assertFalse(self.connection.in_transaction)

    def test_refused_alone_in_its_batch(self) -> None:
        """An operation that came alone is refused without a second try."""
        self.commit([Insert(example_entry(1), b"")])
        statements: list[str] = []
        self.connection.set_trace_callback(statements.append)
        committed = self.commit([Insert(example_entry(1), b"")])
        self.assertEqual((list(committed.refused), committed.growth), ([0], 0))
        self.assertEqual(sum(statement.startswith("BEGIN") for statement in statements), 1)

    def test_failing_disk(self) -> None:
        """What is nobody's fault is raised, and no transaction stays open."""
        self.connection.execute("DROP TABLE delivery")
        self.assertRaises(sqlite3.OperationalError, self.commit, [Insert(example_entry(1), b"")], [Remove(3)])
        self.assertFalse(self.connection.in_transaction)
        self.assertEqual(self.connection.execute("SELECT count(*) FROM message").fetchone(), (0,))
