"""What the command asks of a running gateway is done, and done to the whole of it: disk, memory, schedule."""

# mypy: no-check-untyped-defs

import base64

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.loop import Loop
from smtpgw.checks.recipients import Recipients
from smtpgw.checks.relay_access import RelayAccess
from smtpgw.delivery.promises import queued_entry
from smtpgw.model.envelope import Envelope, MailParameters, Recipient
from smtpgw.model.message import Message
from smtpgw.model.notice import Dropped, Held
from smtpgw.service.control_protocol import ControlTrouble
from smtpgw.service.operator import Operator
from tests.service.house import CLIENT, AtOnce, House, defers, mailbox, relays


class OperatorCase(SynchronousTestCase):
    """An operator in a house with a greylister and a dead host."""

    def setUp(self):
        self.house = house = House(local=["here.test"])
        checks = [RelayAccess(house.domains, ()), Recipients(house.domains)]
        self.operator = Operator(
            spool=house.spool,
            dispatch=house.dispatch,
            conclusion=house.conclusion,
            counter=house.counter,
            reception=house.make_reception(checks, [Loop(100)]),
            threads=AtOnce(),
            tally=house.tally,
        )
        house.mx("a.test", "192.0.2.1")
        house.mx("dead.test", "192.0.2.66")
        house.dialer.hosts["192.0.2.1"] = defers

    def ask(self, verb, **arguments):
        """The answer of a verb."""
        answer = self.operator.verbs()[verb](arguments)
        return self.successResultOf(Deferred.fromCoroutine(answer)) if hasattr(answer, "send") else answer

    def refused(self, verb, **arguments):
        """The trouble that a verb has."""
        answer = self.operator.verbs()[verb](arguments)
        return self.failureResultOf(Deferred.fromCoroutine(answer), ControlTrouble).value


class OperatorTests(OperatorCase):
    """The verbs."""

    def queue(self):
        """A deferred message, and one that waits for a dead host."""
        self.house.submit("x@a.test")
        self.house.submit("y@dead.test")
        self.house.run(10)

    def test_list_says_why(self):
        """A deferred recipient shows the peer's words, one that waits for a host shows the host's trouble."""
        self.queue()
        first, second = self.ask("queue.list", selector=None, limit=10)
        self.assertIn("greylisted", first["recipients"][0]["reason"])
        self.assertEqual(first["recipients"][0]["attempts"], 1)
        self.assertIn("connection refused", second["recipients"][0]["reason"])
        self.assertEqual(second["recipients"][0]["attempts"], 0)
        for message in (first, second):
            self.assertGreater(message["recipients"][0]["due_at"], self.house.clock.seconds())
            self.assertFalse(message["recipients"][0]["active"])

    def test_summary(self):
        """The contract's shape."""
        self.queue()
        summary = self.ask("queue.summary")
        self.assertEqual((summary["messages"], summary["recipients"]), (2, 2))
        self.assertEqual(summary["by_state"], {"queued": 2, "held": 0})
        self.assertEqual({site["site"] for site in summary["by_site"]}, {"a.test", "dead.test"})

    def test_show(self):
        """One message, with its content if asked for."""
        self.queue()
        queue_id = self.ask("queue.list")[0]["id"]
        in_memory = len(self.house.live)
        self.assertNotIn("content", self.ask("queue.show", id=queue_id))
        shown = self.ask("queue.show", id=queue_id, body=True)
        self.assertIn("Subject: hello", shown["content"])
        self.assertIn("Received: from", shown["content"])
        self.assertEqual(len(self.house.live), in_memory)
        self.assertIsNone(self.ask("queue.show", id="0000000000000"))

    def test_retry(self):
        """What waits is tried now: deferred messages, and those whose host is dead."""
        self.queue()
        self.house.dialer.hosts.update({"192.0.2.1": relays, "192.0.2.66": relays})
        self.assertEqual(self.ask("queue.retry"), {"count": 2, "messages": 2})
        self.house.run(5)
        self.assertEqual(self.house.spool.entries, {})

    def test_to_be_released_later(self):
        """What its sender wants held (HOLDFOR) is shown as waiting until then, and a retry releases it at once."""
        house = self.house
        house.dialer.hosts["192.0.2.1"] = relays
        now = house.clock.seconds()
        envelope = Envelope(
            mailbox("s@from.test"), (Recipient(mailbox("x@a.test")),), parameters=MailParameters(hold_seconds=3600)
        )
        entry = queued_entry(Message(house.counter.ids.next(now), envelope, CLIENT, now, b"", 0), 86400.0)
        house.spool.add(
            entry, house.spool.open_draft(lambda: None), lambda body: house.dispatch.enqueue(entry, body, 0.0)
        )
        house.run(10)
        [shown] = self.ask("queue.list")
        [recipient] = shown["recipients"]
        self.assertEqual((recipient["state"], recipient["due_at"], recipient["attempts"]), ("queued", now + 3600, 0))
        self.assertRegex(recipient["reason"], r"^held back until 20[0-9-]{8}T[0-9:]{8}Z, as its sender asked$")
        self.assertEqual(self.ask("queue.retry"), {"count": 1, "messages": 1})
        house.run(5)
        self.assertEqual(house.spool.entries, {})

    def test_hold_and_release(self):
        """What is held is not tried, however long; released it goes at once."""
        self.queue()
        self.assertEqual(self.ask("queue.hold", selector={"recipient": "x@*"}), {"count": 1, "messages": 1})
        self.assertIsInstance(self.house.notices[-1], Held)
        self.assertEqual(self.house.notices[-1].reason, "put aside by an operator")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.run(20_000)
        self.assertIn(("x@a.test", 1), self.house.waiting())
        self.assertEqual(self.ask("queue.summary")["by_state"]["held"], 1)
        self.ask("queue.release", selector={"state": "held"})
        self.house.run(5)
        self.assertEqual([address for address, _ in self.house.waiting()], ["y@dead.test"])

    def test_drop(self):
        """What is dropped is gone: nobody is told, nothing is tried."""
        self.queue()
        queue_id = self.ask("queue.list")[0]["id"]
        self.assertEqual(self.ask("queue.drop", selector={"ids": [queue_id]}), {"count": 1, "messages": 1})
        self.assertIsInstance(self.house.notices[-1], Dropped)
        self.assertEqual(len(self.house.spool.entries), 1)
        self.house.run(20_000)
        self.assertEqual(len([job for _, job in self.house.dialer.sent]), 1)

    def test_hold_one_of_two(self):
        """Of a message to two domains one recipient is held, the other goes on."""
        self.house.mx("b.test", "192.0.2.2")
        self.house.dialer.hosts["192.0.2.2"] = defers
        self.house.submit("x@a.test", "z@b.test")
        self.house.run(5)
        self.ask("queue.hold", selector={"recipient": "x@a.test"})
        self.house.dialer.hosts.update({"192.0.2.1": relays, "192.0.2.2": relays})
        self.house.run(1000)
        self.assertEqual(self.house.waiting(), [("x@a.test", 1)])
        self.ask("queue.release")
        self.house.run(5)
        self.assertEqual(self.house.spool.entries, {})

    def test_hold_while_it_is_sent(self):
        """A message that is on a connection when it is held: a success stands, a deferral is held."""
        self.house.submit("x@a.test")
        self.house.run(0.015)
        self.ask("queue.hold")
        self.house.run(20_000)
        self.assertEqual(len(self.house.dialer.sent), 1)
        self.assertEqual(self.ask("queue.summary")["by_state"], {"queued": 0, "held": 1})

    def test_what_is_held_already(self):
        """Holding twice, or retrying what is held, changes nothing and says so."""
        self.queue()
        self.ask("queue.hold")
        self.assertEqual(self.ask("queue.hold"), {"count": 0, "messages": 0})
        self.assertEqual(self.ask("queue.retry"), {"count": 0, "messages": 0})

    def test_by_reason(self):
        """What waits for a dead host is found by the reason that the list shows, although nothing was tried."""
        self.queue()
        found = self.ask("queue.list", selector={"reason": "Connection REFUSED"})
        self.assertEqual([message["recipients"][0]["to"] for message in found], ["y@dead.test"])
        self.assertEqual(self.ask("queue.drop", selector={"reason": "greylisted"}), {"count": 1, "messages": 1})
        self.assertEqual(self.ask("queue.list", selector={"reason": "greylisted"}), [])

    def test_pages(self):
        """A list goes on after the last message of the page before."""
        self.queue()
        [first] = self.ask("queue.list", limit=1)
        [second] = self.ask("queue.list", limit=1, after=first["id"])
        self.assertEqual(self.ask("queue.list", limit=1, after=second["id"]), [])

    def test_pause_is_told(self):
        """While delivery is paused summary and counters say so."""
        self.assertEqual((self.ask("queue.summary")["paused"], self.ask("stats")["paused"]), (False, False))
        self.house.dispatch.pause()
        self.assertEqual((self.ask("queue.summary")["paused"], self.ask("stats")["paused"]), (True, True))

    def test_dry_run(self):
        """Asked how many it would be, it changes nothing."""
        self.queue()
        self.assertEqual(self.ask("queue.drop", dry_run=True), {"count": 2, "messages": 2})
        self.assertEqual(len(self.house.spool.entries), 2)

    def test_bad_selectors(self):
        """A selector that makes no sense is refused with a reason."""
        for selector in ({"ids": ["nonsense"]}, {"older_than_seconds": "soon"}, [1], {"ids": 5}):
            self.assertEqual(self.refused("queue.list", selector=selector).code, "usage")

    def test_stats(self):
        """Counters since the start."""
        self.queue()
        stats = self.ask("stats")
        self.assertEqual(stats["messages_received"], 2)
        self.assertEqual(stats["recipients_delayed"], 1)
        self.assertEqual(stats["queue_messages"], 2)


class SendTests(OperatorCase):
    """Handing in a message."""

    def send(self, to, content=b"Subject: x\n\nbody\n", reverse_path="me@here.test"):
        """The arguments of send."""
        return {"from": reverse_path, "to": to, "content": base64.b64encode(content).decode()}

    def test_sent(self):
        """It is kept and goes where it should; line ends become CR LF."""
        answer = self.ask("send", **self.send(["x@a.test"], b"Subject: x\n\nbody\rmore"))
        [content] = self.house.spool.contents.values()
        self.assertEqual(content, b"Subject: x\r\n\r\nbody\r\nmore\r\n")
        self.assertEqual(self.ask("queue.list")[0]["id"], answer["id"])
        [entry] = self.house.spool.entries.values()
        self.assertEqual(entry.message.client.protocol, "LOCAL")

    def test_unknown_recipient(self):
        """A local recipient that does not exist is refused; the others get it."""
        answer = self.ask("send", **self.send(["nobody@here.test", "x@a.test"]))
        self.assertEqual([refusal["to"] for refusal in answer["refused"]], ["nobody@here.test"])
        self.assertEqual(self.refused("send", **self.send(["nobody@here.test"])).code, "refused")

    def test_null_path(self):
        """The null reverse path is written as an empty one, or as <>."""
        for path in ("", "<>", None):
            self.ask("send", **self.send(["x@a.test"], reverse_path=path))
        paths = {entry.message.envelope.reverse_path for entry in self.house.spool.entries.values()}
        self.assertEqual(paths, {None})

    def test_nul(self):
        """A NUL octet is refused as SMTP refuses it, with the reason, and nothing is kept."""
        for content in (b"Subject: x\n\na\0b\n", b"\0"):
            trouble = self.refused("send", **self.send(["x@a.test"], content))
            self.assertEqual((trouble.code, str(trouble)), ("refused", "550 5.6.0 NUL octet in the message"))
        self.assertEqual(self.house.spool.entries, {})

    def test_nonsense(self):
        """What is no message is refused with a reason."""
        self.assertEqual(self.refused("send").code, "usage")
        self.assertEqual(self.refused("send", **self.send([])).code, "usage")
        self.assertEqual(self.refused("send", **self.send(["not an address"])).code, "usage")
        self.assertEqual(self.refused("send", to=["x@a.test"], content="%%%").code, "usage")
