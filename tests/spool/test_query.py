"""Questions about the queue, of a running spool and of a stopped one."""

import json
from typing import Any

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import SpoolTrouble, Update
from smtpgw.model.envelope import DeliverBy, MailParameters, Notify, Returned
from smtpgw.model.message import Slot, SlotState
from smtpgw.model.outcome import Delayed, Delivered
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import Reply
from smtpgw.spool.errors import SpoolIncompatible, SpoolLocked, SpoolUnusable
from smtpgw.spool.memory import MemorySpool
from smtpgw.spool.query import QueueReader, Selector, open_reader
from tests.spool.examples import NOW, SpoolTestCase, SteppedClock, example_entry

_DELAYED = Delayed("4.4.1", "no answer from 100% of hosts", reply=Reply(451, "4.7.1", ("Come_back later",)), host="mx")


class _Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = SteppedClock()
        self.spool = MemorySpool(clock=self.clock)
        self.keep(1, "bob@one.example", "carol@two.example", received_at=NOW - 7200)
        self.keep(2, "Bob@one.example", reverse_path=None, states=(SlotState.HELD,))
        self.keep(3, "a_b@one.example", "done@three.example", states=(SlotState.QUEUED, SlotState.DONE))
        self.keep(4, "done@three.example", states=(SlotState.DONE,))
        self.spool.settle([Update(1, ((1, Slot(SlotState.QUEUED, NOW + 300, 2, _DELAYED)),), True)], self.assertIsNone)

    def keep(self, queue_id: int, *recipients: str, **more: Any) -> None:
        self.spool.add(
            example_entry(queue_id, *recipients, **more), self.spool.open_draft(self.fail), lambda body: None
        )

    def ask(self, question: Any) -> Any:
        answers: list[Any] = []
        self.spool.ask(question, answers.append)
        return answers[0]

    def found(self, after: int | None = None, limit: int = 100, **conditions: Any) -> list[tuple[str, list[int]]]:
        """Ids, and slots of the recipients that match."""
        listed = self.ask(lambda queue: queue.list(Selector(**conditions), after, limit))
        for message in listed:
            self.assertEqual(message["matching"], len(message["recipients"]))
        return [(message["id"], [one["slot"] for one in message["recipients"]]) for message in listed]


def _ids(*found: tuple[int, list[int]]) -> list[tuple[str, list[int]]]:
    return [(queue_id_text(queue_id), slots) for queue_id, slots in found]


class SelectorTests(_Base):
    """Each condition of a selector, and all together."""

    def test_everything(self) -> None:
        """Without conditions: all who are not done, in order."""
        self.assertEqual(self.found(), _ids((1, [0, 1]), (2, [0]), (3, [0])))

    def test_conditions(self) -> None:
        """Each narrows, whatever the case of letters; what SQL gives a meaning to has none here."""
        for conditions, expected in (
            ({"ids": (1, 3, 99)}, _ids((1, [0, 1]), (3, [0]))),
            ({"recipient": "bob@one.example"}, _ids((1, [0]), (2, [0]))),
            ({"recipient": "b*"}, _ids((1, [0]), (2, [0]))),
            ({"recipient": "a_b*"}, _ids((3, [0]))),
            ({"recipient": "c_rol*"}, []),
            ({"recipient": "c?rol*"}, _ids((1, [1]))),
            ({"recipient": "%"}, []),
            ({"recipient": "' OR 1=1 --"}, []),
            ({"reverse_path": "<>"}, _ids((2, [0]))),
            ({"reverse_path": "*@EXAMPLE.org"}, _ids((1, [0, 1]), (3, [0]))),
            ({"site": "two.example"}, _ids((1, [1]))),
            ({"site": "*.example"}, _ids((1, [0, 1]), (2, [0]), (3, [0]))),
            ({"state": "held"}, _ids((2, [0]))),
            ({"state": "queued"}, _ids((1, [0, 1]), (3, [0]))),
            ({"older_than_seconds": 7200.0}, _ids((1, [0, 1]))),
            ({"older_than_seconds": 7201.0}, []),
            ({"reason": "no answer"}, _ids((1, [1]))),
            ({"reason": "100% of"}, _ids((1, [1]))),
            ({"reason": "100% _f"}, []),
            ({"reason": "come_back"}, _ids((1, [1]))),
            ({"reason": "4.4.1", "site": "one.example"}, []),
        ):
            self.assertEqual(self.found(**conditions), expected, conditions)

    def test_pages(self) -> None:
        """A page ends where the next begins."""
        self.assertEqual(self.found(limit=2), _ids((1, [0, 1]), (2, [0])))
        self.assertEqual(self.found(after=2, limit=2), _ids((3, [0])))
        self.assertEqual(self.found(after=3), [])

    def test_bounds(self) -> None:
        """A page is never empty for a foolish limit, nor without bound."""
        for queue_id in range(10, 1200):
            self.keep(queue_id, "x@many.example")
        self.assertEqual([len(self.found(limit=limit)) for limit in (0, -5, 1, 10**9)], [1, 1, 1, 1000])

    def test_many_recipients(self) -> None:
        """Of a message to very many only the first thousand are listed, and how many there are is told."""
        self.keep(10, *[f"r{number}@many.example" for number in range(1100)])
        (message,) = self.ask(lambda queue: queue.list(Selector(ids=(10,))))
        self.assertEqual((message["matching"], len(message["recipients"])), (1100, 1000))

    def test_nonsense(self) -> None:
        """What can't be meant is an error, and no empty answer."""
        for conditions in ({"state": "lost"}, {"recipient": "x" * 1001}, {"ids": tuple(range(10_001))}):
            self.assertRaises(ValueError, self.found, **conditions)


class AnswerTests(_Base):
    """What the answers hold."""

    def test_list(self) -> None:
        """A line of the list has all that the command prints."""
        (message,) = self.ask(lambda queue: queue.list(Selector(site="two.example")))
        self.assertEqual(
            message,
            {
                "id": queue_id_text(1),
                "from": "alice@example.org",
                "received_at": NOW - 7200,
                "expires_at": NOW - 7200 + 432_000,
                "warned": True,
                "size_octets": 0,
                "matching": 1,
                "recipients": [
                    {
                        "slot": 1,
                        "to": "carol@two.example",
                        "site": "two.example",
                        "state": "queued",
                        "attempts": 2,
                        "due_at": NOW + 300,
                        "reason": "4.4.1 no answer from 100% of hosts: 451 4.7.1 Come_back later",
                    }
                ],
            },
        )

    def test_summary(self) -> None:
        """Counts by state and by site, the largest first, and since when the oldest waits."""
        self.assertEqual(
            self.ask(lambda queue: queue.summary()),
            {
                "messages": 3,
                "recipients": 4,
                "by_state": {"queued": 3, "held": 1},
                "by_site": [
                    {"site": "one.example", "recipients": 3, "queued": 2, "held": 1, "oldest": NOW - 7200},
                    {"site": "two.example", "recipients": 1, "queued": 1, "held": 0, "oldest": NOW - 7200},
                ],
            },
        )

    def test_empty_summary(self) -> None:
        """An empty queue has the same keys."""
        self.spool = MemorySpool()
        self.assertEqual(
            self.ask(lambda queue: queue.summary()),
            {"messages": 0, "recipients": 0, "by_state": {"queued": 0, "held": 0}, "by_site": []},
        )

    def test_show(self) -> None:
        """One message: who brought it, and what became of each recipient, those that are done too."""
        self.spool.settle([Update(3, ((1, Slot(SlotState.DONE, NOW, 1, Delivered("maildir"))),))], self.assertIsNone)
        shown = self.ask(lambda queue: queue.show(3))
        self.assertEqual((shown["id"], shown["client"]["helo"]), (queue_id_text(3), "mail.example.org"))
        self.assertEqual(shown["client"]["tls"]["version"], "TLSv1.3")
        self.assertEqual([one["state"] for one in shown["recipients"]], ["queued", "done"])
        self.assertEqual([one["last"] for one in shown["recipients"]], [None, {"type": "delivered", "text": "maildir"}])
        self.assertIsNone(self.ask(lambda queue: queue.show(99)))
        last = self.ask(lambda queue: queue.show(1))["recipients"][1]["last"]
        expected = {
            "type": "delayed",
            "status": "4.4.1",
            "reason": "no answer from 100% of hosts",
            "scope": "message",
            "reply": "451 4.7.1 Come_back later",
            "host": "mx",
            "address": "",
        }
        self.assertEqual({**last, **expected}, last)

    def test_asked_for(self) -> None:
        """What its sender has asked for, and nothing where it has not; the remarks of rules are not there."""
        asked = MailParameters("E1", Returned.HEADERS, True, DeliverBy(600, returns=True), 7200)
        entry = example_entry(5, "bob@one.example", "carol@two.example", received_at=NOW)
        recipient = replace(entry.message.envelope.recipients[0], notify=Notify(failure=True), original="rfc822;b@x")
        recipients = (recipient, *entry.message.envelope.recipients[1:])
        envelope = replace(entry.message.envelope, parameters=asked, recipients=recipients)
        entry = replace(entry, message=replace(entry.message, envelope=envelope))
        self.spool.add(entry, self.spool.open_draft(self.fail), lambda body: None)
        shown = self.ask(lambda queue: queue.show(5))
        expected: dict[str, Any] = {
            "envelope_id": "E1",
            "returned": "HDRS",
            "requires_tls": True,
            "deliver_by": {"value": "600;R", "at": NOW + 600},
            "release_at": NOW + 7200,
        }
        self.assertEqual({**shown, **expected}, shown)
        found = [(one["notify"], one["original"]) for one in shown["recipients"]]
        self.assertEqual(found, [("FAILURE", "rfc822;b@x"), (None, None)])
        self.assertNotIn("notes", shown["client"])
        nothing = dict.fromkeys(expected) | {"requires_tls": False}
        plain = self.ask(lambda queue: queue.show(1))
        self.assertEqual({**plain, **nothing}, plain)

    def test_reasons(self) -> None:
        """Why something waits that was never tried: its sender wanted that, or an operator did."""
        entry = example_entry(5, "bob@one.example", "carol@two.example", "dave@two.example", received_at=NOW)
        slots = (Slot(SlotState.QUEUED, NOW + 60), Slot(SlotState.QUEUED, NOW), Slot(SlotState.HELD, NOW + 60))
        self.spool.add(replace(entry, slots=slots), self.spool.open_draft(self.fail), lambda body: None)
        expected = ["held back until 2027-01-15T08:01:00Z, as its sender asked", "", "put aside by an operator"]
        [listed] = self.ask(lambda queue: queue.list(Selector(ids=(5,))))
        for message in (listed, self.ask(lambda queue: queue.show(5))):
            self.assertEqual([one["reason"] for one in message["recipients"]], expected)
        self.clock.now += 60
        self.assertEqual(self.ask(lambda queue: queue.show(5))["recipients"][0]["reason"], "")

    def test_json(self) -> None:
        """All answers can be written as JSON."""
        for question in (
            lambda queue: queue.list(Selector()),
            lambda queue: queue.summary(),
            lambda queue: queue.show(1),
        ):
            answer = self.ask(question)
            self.assertEqual(json.dumps(json.loads(json.dumps(answer))), json.dumps(answer))


class StoppedTests(SpoolTestCase):
    """Reading the spool of a gateway that does not run."""

    def read(self) -> Any:
        with open_reader(self.folder, self.clock) as queue:
            return queue.summary()["messages"]

    def test_stopped(self) -> None:
        """After a clean stop the queue can be read, and a gateway starts afterwards."""
        spool = self.open_spool()
        self.add(spool, example_entry(1))
        self.close(spool)
        self.assertEqual(self.read(), 1)
        self.assertEqual(self.open_spool().messages, 1)

    def test_running(self) -> None:
        """While a gateway runs it is to be asked itself."""
        self.open_spool()
        self.assertRaises(SpoolLocked, self.read)

    def test_gateway_waits_for_readers(self) -> None:
        """A gateway does not start while somebody reads."""
        self.close(self.open_spool())
        with open_reader(self.folder, self.clock):
            self.assertRaises(SpoolLocked, self.open_spool)
        self.open_spool()

    def test_no_spool(self) -> None:
        """A wrong folder is said to be one, and nothing is made there."""
        self.assertIn("there is no spool", str(self.assertRaises(SpoolUnusable, self.read)))
        self.folder.mkdir()
        self.assertRaises(SpoolUnusable, self.read)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_not_a_spool(self) -> None:
        """Another file under the name is an error of one line."""
        self.folder.mkdir()
        (self.folder / "spool.db").write_bytes(b"x" * 5000)
        self.assertRaises(SpoolUnusable, self.read)
        (self.folder / "spool.db").write_bytes(b"")
        self.assertRaises(SpoolIncompatible, self.read)

    def test_from_the_running_gateway(self) -> None:
        """The gateway answers from a thread of its own, and a mistaken question is trouble for nobody else."""
        spool = self.open_spool()
        self.add(spool, example_entry(1))

        def wrong(queue: QueueReader) -> Any:
            return queue.list(Selector(state="lost"))

        self.assertIsInstance(self.calls.answer(lambda done: spool.ask(wrong, done)), SpoolTrouble)
        self.assertEqual(self.calls.answer(lambda done: spool.ask(lambda queue: queue.summary(), done))["messages"], 1)
