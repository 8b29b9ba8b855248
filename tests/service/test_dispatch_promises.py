"""What a sender asked for with a message, kept from the queue to the next hop or the notification."""

# mypy: no-check-untyped-defs

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery import lifecycle
from smtpgw.delivery.promises import queued_entry
from smtpgw.model.envelope import DeliverBy, Envelope, MailParameters, Notify, Recipient, Returned
from smtpgw.model.message import Message
from smtpgw.model.notice import Attempted
from smtpgw.model.outcome import Delivered
from smtpgw.model.route import Route, ViaHost
from smtpgw.smtp.conversation_offer import Offer
from tests.clauses import holds
from tests.service.house import CLIENT, House, defers, mailbox, refuses, relays

CONTENT = b"Subject: remember me\r\n\r\nsecret body\r\n"
SUCCESS = Notify(success=True)
NEVER = Notify()


class Sinking:
    """A sink that takes everything."""

    def __init__(self):
        self.taken = []

    async def deliver(self, message, recipients, body):
        """Remember it."""
        self.taken.append(recipients)
        return (Delivered("test"),) * len(recipients)


class PromiseCase(SynchronousTestCase):
    """A gateway, a sender and a host."""

    def setUp(self):
        self.make_house()

    def make_house(self, **options):
        """The sender's host takes everything; the host of a.test does what the test says."""
        self.house = House(**options)
        self.house.mx("a.test", "192.0.2.1")
        self.house.mx("from.test", "192.0.2.2")
        self.house.dialer.hosts["192.0.2.2"] = relays
        self.offer = Offer(dsn=True, deliver_by=True, requiretls=True)
        opened = self.house.dialer.open

        def open_offering(hop, tls, source, owner):
            link = opened(hop, tls, source, owner)
            link.offer = self.offer
            return link

        self.house.dialer.open = open_offering

    def take(self, *recipients, content=CONTENT, reverse_path="sender@from.test", **parameters):
        """A message has been received."""
        house = self.house
        asked = tuple(Recipient(mailbox(address), notify) for address, notify in recipients)
        envelope = Envelope(mailbox(reverse_path), asked, parameters=MailParameters(**parameters))
        now = house.clock.seconds()
        draft = house.spool.open_draft(lambda: None)
        draft.write(content)
        message = Message(house.counter.ids.next(now), envelope, CLIENT, now, b"", len(content))
        entry = queued_entry(message, 86400.0)
        house.spool.add(entry, draft, lambda body: house.dispatch.enqueue(entry, body, 0.0))
        return entry

    def notifications(self):
        """What the sender was sent."""
        return [job.body.inline() for _, job in self.house.dialer.sent if job.message.envelope.reverse_path is None]

    def sent(self):
        """The other jobs."""
        return [job for _, job in self.house.dialer.sent if job.message.envelope.reverse_path is not None]

    def outcomes(self):
        """Of the attempts about a.test."""
        return [
            notice.outcome
            for notice in self.house.notices
            if isinstance(notice, Attempted) and notice.entry.message.envelope.reverse_path is not None
        ]


class SuccessTests(PromiseCase):
    """NOTIFY=SUCCESS."""

    def test_host_without_dsn(self):
        """A host that can't tell the sender: we do, in one notification, kept when the message is removed."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.offer = Offer()
        settled = []
        settle = self.house.spool.settle

        def noted(changes, done):
            settled.append([type(change).__name__ for change in changes])
            settle(changes, done)

        self.house.spool.settle = noted
        self.take(("x@a.test", SUCCESS), ("y@a.test", SUCCESS), ("z@a.test", None), envelope_id="E1")
        self.house.run(1)
        [content] = self.notifications()
        self.assertEqual(content.count(b"Action: relayed"), 2)
        self.assertNotIn(b"z@a.test", content)
        self.assertIn(b"Original-Envelope-Id: E1", content)
        self.assertEqual(settled[0], ["Remove", "Insert"])
        self.assertEqual(self.house.spool.entries, {})

    def test_host_with_dsn(self):
        """A host that takes DSN over tells the sender itself."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.take(("x@a.test", SUCCESS))
        self.house.run(1)
        self.assertEqual(self.notifications(), [])

    def test_sink(self):
        """What was delivered here is told as delivered; to nobody who did not ask."""
        sink = Sinking()
        self.make_house(local=("here.test",), sinks={"domain here.test": sink})
        self.take(("alice@here.test", SUCCESS), ("bob@here.test", None))
        self.house.run(1)
        [content] = self.notifications()
        self.assertEqual(content.count(b"Action: delivered"), 1)
        self.assertEqual(len(sink.taken), 1)

    def test_not_kept_back(self):
        """What was delivered is durable at once, though another recipient has failed and a third is under way."""
        self.house.mx("slow.test", "192.0.2.9")
        script = {"x": relays, "y": refuses}
        self.house.dialer.hosts["192.0.2.1"] = lambda job, slot: script[
            job.message.envelope.recipients[slot].mailbox.local
        ](job, slot)
        self.take(("x@a.test", None), ("y@a.test", None), ("z@slow.test", None))
        self.house.run(1)
        [entry] = [e for e in self.house.spool.entries.values() if e.message.envelope.reverse_path is not None]
        self.assertEqual([int(slot.state) for slot in entry.slots], [2, 2, 0])
        self.assertEqual(len(self.notifications()), 1)


class NeverTests(PromiseCase):
    """NOTIFY that leaves something out."""

    @holds("3461", "5.2.6", "A recipient whose NOTIFY lacks FAILURE fails without a DSN.")
    def test_failure(self):
        """A failure that nobody wants to hear of is not told; the log has it."""
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.take(("x@a.test", NEVER), ("y@a.test", SUCCESS))
        self.house.run(30)
        self.assertEqual((self.notifications(), self.house.spool.entries), ([], {}))
        self.assertEqual(len(self.outcomes()), 2)

    def test_some(self):
        """Of two failures only that one is told of."""
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.take(("x@a.test", NEVER), ("y@a.test", Notify(failure=True)))
        self.house.run(30)
        [content] = self.notifications()
        self.assertNotIn(b"x@a.test", content)
        self.assertIn(b"y@a.test", content)

    @holds("3461", "5.2.5", "A recipient whose NOTIFY lacks DELAY is delayed without a DSN.")
    def test_delay(self):
        """Likewise of delays."""
        self.house.dialer.hosts["192.0.2.1"] = defers
        self.take(("x@a.test", Notify(failure=True)), ("y@a.test", Notify(delay=True)))
        self.house.run(6 * 3600)
        [content] = self.notifications()
        self.assertIn(b"Action: delayed", content)
        self.assertNotIn(b"x@a.test", content)

    def test_expiry(self):
        """When the time is up, too; and it is logged."""
        self.take(("x@a.test", NEVER))
        self.house.run(86500)
        self.assertEqual((self.notifications(), self.house.spool.entries), ([], {}))
        self.assertEqual(len(self.outcomes()), 1)


class ReturnTests(PromiseCase):
    """RET."""

    def test_full(self):
        """All of a small message comes back; of others the header."""
        self.house.dialer.hosts["192.0.2.1"] = refuses
        for returned, content, is_whole in (
            (Returned.FULL, CONTENT, True),
            (Returned.HEADERS, CONTENT, False),
            (None, CONTENT, False),
            (Returned.FULL, CONTENT + b"x\r\n" * 20_000, False),
        ):
            self.take(("x@a.test", None), content=content, returned=returned)
            self.house.run(1)
            self.assertEqual(b"secret body" in self.notifications()[-1], is_whole)
            self.assertIn(b"remember me", self.notifications()[-1])


class RequireTlsTests(PromiseCase):
    """REQUIRETLS."""

    def test_unvalidated(self):
        """Hosts from DNS without validation: it comes back at once, protected in turn, and no host sees it."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.take(("x@a.test", None), requires_tls=True, returned=Returned.FULL)
        self.take(("y@a.test", None))
        self.house.run(1)
        self.assertEqual([str(job.message.envelope.recipients[0].mailbox) for job in self.sent()], ["y@a.test"])
        [content] = self.notifications()
        self.assertIn(b"Status: 5.7.10", content)
        self.assertIn(b"DNS without", content)
        self.assertNotIn(b"secret body", content)
        [notification] = [job for _, job in self.house.dialer.sent if job.message.envelope.reverse_path is None]
        self.assertTrue(notification.message.envelope.parameters.requires_tls)

    def test_smarthost(self):
        """The name of a smarthost is the operator's: it gets to the link, which looks at certificate and offer."""
        self.make_house(routes=[("a.test", Route("r", ViaHost("192.0.2.1", 25)))])
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.take(("x@a.test", None), requires_tls=True)
        self.house.run(1)
        self.assertEqual(len(self.sent()), 1)

    def test_validated(self):
        """So do hosts whose names came validated by DNSSEC."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        lookup = self.house.resolver.lookup

        async def validated(name, record_type):
            return replace(await lookup(name, record_type), authenticated=True)

        self.house.resolver.lookup = validated
        self.take(("x@a.test", None), requires_tls=True)
        self.house.run(1)
        self.assertEqual(len(self.sent()), 1)


class DeliverByTests(PromiseCase):
    """BY."""

    def test_passed_on(self):
        """The next hop is told what is left of the time."""
        self.house.dialer.hosts["192.0.2.1"] = defers
        self.take(("x@a.test", None), deliver_by=DeliverBy(1000, returns=True))
        self.house.run(500)
        left = [job.message.envelope.parameters.deliver_by.seconds for job in self.sent()]
        self.assertEqual(left[0], 1000)
        self.assertTrue(640 <= left[1] <= 700, left)

    def test_returned(self):
        """Mode R: what is not there in time comes back, is not tried any more, and nobody is warned before."""
        self.house.dialer.hosts["192.0.2.1"] = defers
        self.take(("x@a.test", None), deliver_by=DeliverBy(200, returns=True))
        self.house.run(199)
        self.assertEqual(self.notifications(), [])
        self.house.run(2)
        [content] = self.notifications()
        self.assertIn(b"Action: failed", content)
        self.assertIn(b"Status: 5.4.7", content)
        self.assertIn(b"greylisted", content)
        self.assertEqual((len(self.sent()), self.house.spool.entries), (1, {}))

    def test_returned_while_down(self):
        """Also when no host can be reached."""
        self.take(("x@a.test", None), deliver_by=DeliverBy(200, returns=True))
        self.house.run(202)
        [content] = self.notifications()
        self.assertIn(b"Status: 5.4.7", content)

    def test_sink(self):
        """Nothing is delivered here behind its time."""
        sink = Sinking()
        self.make_house(local=("here.test",), sinks={"domain here.test": sink})
        self.take(("alice@here.test", None), deliver_by=DeliverBy(60, returns=True), hold_seconds=120)
        self.house.run(130)
        self.assertEqual(sink.taken, [])
        self.assertEqual(len(self.notifications()), 1)

    def test_notified(self):
        """Mode N: the sender is told when it is late, and it is delivered on."""
        self.house.dialer.hosts["192.0.2.1"] = defers
        self.take(("x@a.test", None), deliver_by=DeliverBy(200, returns=False))
        self.house.run(400)
        [content] = self.notifications()
        self.assertIn(b"Action: delayed", content)
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.run(2000)
        self.assertEqual((len(self.notifications()), self.house.spool.entries), (1, {}))

    def test_handed_to_a_host_without(self):
        """Mode N, and a host that does not keep it: the sender is told that it was passed on."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.offer = Offer(dsn=True)
        self.take(("x@a.test", None), ("y@a.test", NEVER), deliver_by=DeliverBy(200, returns=False))
        self.house.run(1)
        [content] = self.notifications()
        self.assertEqual(content.count(b"Action: relayed"), 1)


class ReleaseTests(PromiseCase):
    """HOLDFOR and HOLDUNTIL."""

    def test_held(self):
        """Nothing is asked or sent before its time, and memory is not spent on it."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.take(("x@a.test", None), hold_seconds=3600)
        self.house.run(3590)
        self.assertEqual((self.house.dialer.opened, len(self.house.live)), ([], 0))
        self.house.run(20)
        self.assertEqual((len(self.sent()), self.house.spool.entries), (1, {}))

    def test_expiry(self):
        """Its life counts from its release: it is not warned of or returned for having been held."""
        self.take(("x@a.test", None), hold_seconds=200_000)
        self.house.run(200_000 + 14_000)
        self.assertEqual(self.notifications(), [])
        self.house.run(1000)
        self.assertEqual(len(self.notifications()), 1)

    def test_operator(self):
        """An operator's retry releases it at once."""
        self.house.dialer.hosts["192.0.2.1"] = relays
        entry = self.take(("x@a.test", None), hold_seconds=3600)
        self.house.run(1)
        step = lifecycle.retry_now(entry, (0,), self.house.clock.seconds())
        queue_id = entry.message.queue_id

        def change(live):
            for item in self.house.dispatch.agenda.items(queue_id):
                self.house.dispatch.agenda.remove(item)
            self.house.conclusion.take(live, step, self.house.dispatch._concluded)

        self.house.live.use(queue_id, change)
        self.house.run(1)
        self.assertEqual(len(self.sent()), 1)
