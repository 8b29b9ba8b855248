"""Every message ends where it belongs, and every trouble stays where it belongs."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.relay import LinkFailure
from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.model.dns import AnswerStatus, RecordType
from smtpgw.model.envelope import Envelope, Recipient
from smtpgw.model.notice import Attempted, HostTrouble
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed, Scope
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import reply
from smtpgw.model.route import Route, ViaFail, ViaHost
from smtpgw.service.catalogue import RefusingSink
from tests.clauses import holds
from tests.service.house import CLIENT, House, defers, mailbox, refuses, relays


class RelayTests(SynchronousTestCase):
    """Mail for other domains."""

    def setUp(self):
        self.house = House()

    def outcomes(self):
        """What was told of each attempt."""
        return [notice.outcome for notice in self.house.notices if isinstance(notice, Attempted)]

    def test_relayed(self):
        """A message that a host has taken leaves the spool."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.assertEqual(self.house.submit("x@a.test").code, 250)
        self.house.run(1)
        self.assertEqual(self.house.spool.entries, {})
        self.assertIsInstance(self.outcomes()[0], Relayed)

    def test_delays(self):
        """Of each attempt it is told what receiving, waiting, connecting and sending took."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        envelope = Envelope(None, (Recipient(mailbox("x@a.test")),))
        intake = self.house.reception.begin(CLIENT, envelope, lambda: None)
        self.house.clock.advance(2.0)
        intake.finish(lambda reply: None)
        self.house.run(1)
        [attempted] = [notice for notice in self.house.notices if isinstance(notice, Attempted)]
        self.assertEqual([round(delay, 3) for delay in attempted.delays], [2.0, 0.0, 0.01, 0.01])

    def test_fresh_message_is_not_read_back(self):
        """Its first attempt takes a message from memory."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.spool.fetch = self.fail
        self.house.submit("x@a.test")
        self.house.run(1)
        self.assertEqual(self.house.spool.entries, {})

    def test_without_room_it_is_read_back(self):
        """When memory is full the message is read from the spool for its first attempt."""
        self.house = House(max_fresh=0)
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.submit("x@a.test")
        self.assertEqual(len(self.house.live), 0)
        self.house.run(1)
        self.assertEqual(self.house.spool.entries, {})

    def test_deferred_is_tried_again(self):
        """A 4xx is tried again by the schedule, and counted."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = defers
        self.house.submit("x@a.test")
        self.house.run(200)
        self.assertEqual(self.house.waiting(), [("x@a.test", 1)])
        self.assertEqual(len(self.house.live), 0, "what waits is not kept in memory")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.run(200)
        self.assertEqual(self.house.spool.entries, {})

    @holds("5321", "6.1", "A 5yz behind our 250 is told to the reverse-path by a notification from the null path.")
    def test_failed_is_told(self):
        """A 5xx is told to the sender by a notification that goes the way of all mail."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.mx("from.test", "192.0.2.2")
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.house.dialer.hosts["192.0.2.2"] = relays
        self.house.submit("x@a.test", content=b"Subject: remember me\r\n\r\nsecret body\r\n")
        self.house.run(1)
        self.assertEqual(self.house.spool.entries, {})
        address, job = self.house.dialer.sent[-1]
        self.assertEqual(address, "192.0.2.2")
        self.assertIsNone(job.message.envelope.reverse_path)
        content = job.body.inline()
        self.assertIn(b"Final-Recipient: rfc822; x@a.test", content)
        self.assertIn(b"remember me", content)
        self.assertNotIn(b"secret body", content)

    def test_notification_and_removal_are_one(self):
        """The failed message is not removed before its notification is kept: a failing disk keeps both for later."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.house.mx("from.test", "192.0.2.66")
        self.house.submit("x@a.test")
        self.house.spool.fail_next(SpoolTrouble(full=True, cause="test"))
        self.house.run(1)
        self.assertEqual(len(self.house.spool.entries), 1)
        self.house.run(10)
        self.assertEqual([e.message.envelope.reverse_path for e in self.house.spool.entries.values()], [None])
        self.assertEqual(len(self.house.dialer.sent), 1, "and it was not sent again")
        self.flushLoggedErrors()

    @holds("5321", "6.1", "A message from the null path that fails makes no notification.")
    def test_null_path_never_bounces(self):
        """A notification that fails is dropped, and nobody is told."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = refuses
        self.house.submit("x@a.test", reverse_path="")
        self.house.run(1)
        self.assertEqual(self.house.spool.entries, {})

    @holds("5321", "4.5.4.1", "Recipients at one host get one copy; who was delayed is tried again alone.")
    def test_each_recipient_for_itself(self):
        """Of three recipients one is taken, one deferred, one refused: each gets its own, once."""

        def mixed(job, slot):
            return (relays, defers, refuses)[slot](job, slot)

        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = mixed
        self.house.submit("x@a.test", "y@a.test", "z@a.test")
        self.house.run(2)
        self.assertIn(("y@a.test", 1), self.house.waiting())
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.run(400)
        jobs = [job.slots for address, job in self.house.dialer.sent]
        self.assertEqual(jobs, [(0, 1, 2), (1,)])

    def test_dead_domain_does_not_delay_another(self):
        """One recipient's dead host is nothing to the other recipient of the same message."""
        self.house.mx("dead.test", "192.0.2.66")
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.submit("x@dead.test", "y@a.test")
        self.house.run(1)
        self.assertEqual(self.house.waiting(), [("x@dead.test", 0)])
        self.assertEqual([job.slots for _, job in self.house.dialer.sent], [(1,)])

    def test_dead_host_counts_for_nobody(self):
        """A refused connection is told to the operator as the host's trouble, and is no attempt of the message."""
        self.house.mx("dead.test", "192.0.2.66")
        self.house.submit("x@dead.test")
        self.house.run(5000)
        self.assertEqual(self.house.waiting(), [("x@dead.test", 0)])
        troubles = [notice for notice in self.house.notices if isinstance(notice, HostTrouble)]
        self.assertGreaterEqual(len(troubles), 3)
        self.assertEqual((troubles[0].stage, troubles[0].waiting), ("connect", 1))
        self.assertEqual(self.outcomes(), [])

    def test_refusal_of_the_first_host_counts(self):
        """A 5xx at RCPT is the answer: no other host is asked, however many there are."""
        self.house.mx("a.test", "192.0.2.1", "192.0.2.2")
        self.house.dialer.hosts.update({"192.0.2.1": refuses, "192.0.2.2": relays})
        self.house.submit("x@a.test", reverse_path="")
        self.house.run(1)
        self.assertEqual(self.house.dialer.opened, ["192.0.2.1"])
        self.assertEqual([type(outcome) for outcome in self.outcomes()], [Failed])
        self.assertEqual(self.house.spool.entries, {})

    def test_second_mx(self):
        """The first MX is dead; the second gets the mail in the same moment."""
        self.house.mx("a.test", "192.0.2.66", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.submit("x@a.test")
        self.house.run(1)
        self.assertEqual(self.house.dialer.opened, ["192.0.2.66", "192.0.2.1"])
        self.assertEqual(self.house.spool.entries, {})

    def test_second_mx_after_a_greeting(self):
        """The first MX greets with 421 or 554, says nothing, or fails in TLS: the second gets the mail all the same."""
        for number, failure in enumerate(
            (
                LinkFailure("greeting", "the host refused us", reply(421, "4.3.2", "busy")),
                LinkFailure("greeting", "the host refused us", reply(450, "", "come back later")),
                LinkFailure("greeting", "the host refused us", reply(554, "5.3.2", "no mail here"), permanent=True),
                LinkFailure("greeting", "no answer in time"),
                LinkFailure("tls", "the host refused STARTTLS", reply(454, "4.7.0", "not now")),
            )
        ):
            with self.subTest(number=number):
                house = House()
                house.mx("a.test", "192.0.2.66", "192.0.2.1")
                house.dialer.failures["192.0.2.66"] = failure
                house.dialer.hosts["192.0.2.1"] = relays
                house.submit("x@a.test")
                house.run(1)
                self.assertEqual(house.dialer.opened, ["192.0.2.66", "192.0.2.1"])
                self.assertEqual(house.spool.entries, {})

    def test_every_mx_greets_with_4xx(self):
        """No host of the domain serves us now: the mail waits, nothing counts against it, its sender hears nothing."""
        self.house.mx("a.test", "192.0.2.66", "192.0.2.67")
        busy = LinkFailure("greeting", "the host refused us", reply(421, "4.3.2", "busy"))
        self.house.dialer.failures.update({"192.0.2.66": busy, "192.0.2.67": busy})
        self.house.submit("x@a.test")
        self.house.run(1)
        self.assertEqual(self.house.dialer.opened, ["192.0.2.66", "192.0.2.67"])
        self.assertEqual(self.house.waiting(), [("x@a.test", 0)])
        self.assertEqual(len(self.house.spool.entries), 1)

    @holds("5321", "4.5.4.1", "A message that can't be relayed in its whole time comes back to its reverse-path.")
    def test_expires(self):
        """A message that could not be delivered for its whole time comes back, with the reason."""
        self.house.mx("dead.test", "192.0.2.66")
        self.house.mx("from.test", "192.0.2.2")
        self.house.dialer.hosts["192.0.2.2"] = relays
        self.house.submit("x@dead.test")
        self.house.run(86000)
        self.assertEqual(self.house.waiting(), [("x@dead.test", 0)])
        self.house.run(2000)
        self.assertEqual(self.house.spool.entries, {})
        contents = [job.body.inline() for _, job in self.house.dialer.sent]
        self.assertEqual(len(contents), 2)
        self.assertIn(b"Action: delayed", contents[0])
        self.assertIn(b"Action: failed", contents[1])
        self.assertIn(b"connection refused", contents[1])

    def test_no_such_domain(self):
        """A domain that does not exist is a failure at once."""
        self.house.submit("x@nowhere.test", reverse_path="")
        self.house.run(1)
        self.assertEqual(self.house.spool.entries, {})
        self.assertEqual(self.outcomes()[0].status, "5.1.2")

    def test_name_server_trouble_is_never_final(self):
        """While the name server is in trouble the message waits, and bounces only when its time is up."""
        self.house.resolver.zone[("a.test", RecordType.MX)] = AnswerStatus.TEMPORARY
        self.house.submit("x@a.test", reverse_path="")
        self.house.run(80_000)
        self.assertEqual(self.house.waiting(), [("x@a.test", 0)])
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.run(3000)
        self.assertEqual(self.house.spool.entries, {})

    def test_message_that_kills_its_host(self):
        """A message on which the host hangs up twice waits by the schedule, and holds nobody up."""

        def hangs_up(job, slot):
            if job.message.envelope.recipients[0].mailbox.local == "bad":
                return Delayed("4.4.2", "connection dropped", Scope.HOST)
            return relays(job, slot)

        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = hangs_up
        self.house.submit("bad@a.test")
        for n in range(3):
            self.house.submit(f"good{n}@a.test")
        self.house.run(5)
        self.assertEqual(self.house.waiting(), [("bad@a.test", 1)])

    def test_host_fails_in_the_middle(self):
        """Some recipients were answered before the host hung up: those keep their answers, the others wait."""

        def hangs_up(job, slot):
            return refuses(job, slot) if slot == 0 else Delayed("4.4.2", "connection dropped", Scope.HOST)

        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = hangs_up
        self.house.submit("x@a.test", "y@a.test", reverse_path="")
        self.house.run(5)
        self.assertEqual(self.house.waiting(), [("y@a.test", 1)])

    def test_smarthost(self):
        """A route takes the mail of all domains to one host, whose MX records nobody asks for."""
        self.house = House(routes=[("*", Route("route[0]", ViaHost("192.0.2.9", 587)))])
        self.house.dialer.hosts["192.0.2.9"] = relays
        self.house.submit("x@a.test", "y@b.test")
        self.house.run(1)
        self.assertEqual([job.slots for _, job in self.house.dialer.sent], [(0, 1)])
        self.assertEqual(self.house.resolver.questions, [])

    def test_refusing_route(self):
        """A route that fails tells the sender its words."""
        answer = reply(550, "5.7.1", "We do not talk to them")
        self.house = House(
            routes=[("bad.test", Route("route[0]", ViaFail(answer)))], sinks={"route[0]": RefusingSink(answer)}
        )
        self.house.submit("x@bad.test", reverse_path="")
        self.house.run(1)
        self.assertEqual(self.house.spool.entries, {})
        self.assertIn("We do not talk to them", self.outcomes()[0].reason)

    def test_stop(self):
        """When the gateway stops, what is under way stays in the spool as it was, and no host is blamed."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.submit("x@a.test")
        self.house.run(0.015)
        self.assertEqual(self.house.dispatch.under_way, 1)
        self.house.dispatch.pause()
        self.house.dispatch.stop()
        self.house.run(1000)
        self.assertEqual(self.house.waiting(), [("x@a.test", 0)])
        self.assertEqual([notice for notice in self.house.notices if isinstance(notice, HostTrouble)], [])

    def test_pause(self):
        """After a pause nothing new is begun, and what was under way ends as it should."""
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        self.house.submit("x@a.test")
        self.house.run(0.015)
        self.house.submit("y@a.test")
        self.house.dispatch.pause()
        self.house.run(100)
        self.assertEqual(self.house.waiting(), [("y@a.test", 0)])
        self.assertEqual(self.house.dispatch.under_way, 0)

    def test_unreadable(self):
        """A message that can't be read from the spool is tried again, and its connection serves others."""
        self.house = House(max_fresh=0)
        self.house.mx("a.test", "192.0.2.1")
        self.house.dialer.hosts["192.0.2.1"] = relays
        fetch = self.house.spool.fetch
        self.house.spool.fetch = lambda queue_id, done: done(SpoolTrouble(full=False, cause="test"))
        with capturedLogs() as events:
            self.house.submit("x@a.test")
            self.house.run(10)
        (queue_id,) = self.house.spool.entries
        (told,) = (formatEvent(event) for event in events if event["log_level"] is LogLevel.error)
        self.assertEqual(told, f"{queue_id_text(queue_id)} can't be read from the spool, will be tried again: test")
        self.house.spool.fetch = fetch
        self.house.submit("y@a.test")
        self.house.run(100)
        self.assertEqual(self.house.spool.entries, {})
        self.flushLoggedErrors()


class TogetherTests(SynchronousTestCase):
    """What belongs to one message stays together: retries, and what the sender is told."""

    def test_one_for_all_domains(self):
        """A message to many domains that don't exist comes back once, not once for each."""
        house = House()
        house.mx("from.test", "192.0.2.2")
        house.dialer.hosts["192.0.2.2"] = relays
        house.submit(*[f"x@nowhere{n}.test" for n in range(50)])
        house.run(1)
        [(_, job)] = house.dialer.sent
        self.assertEqual(job.body.inline().count(b"Final-Recipient:"), 50)
        self.assertEqual(house.spool.entries, {})

    def test_some_seconds_are_waited(self):
        """While another host is awaited a failure is kept back for some seconds, and told then."""
        house = House()
        house.mx("from.test", "192.0.2.2")
        house.mx("dead.test", "192.0.2.66")
        house.dialer.hosts["192.0.2.2"] = relays
        house.submit("x@nowhere.test", "y@dead.test", "z@nothing.test")
        house.run(5)
        self.assertEqual(house.dialer.sent, [])
        house.run(10)
        [(_, job)] = house.dialer.sent
        self.assertEqual(job.body.inline().count(b"Final-Recipient:"), 2)
        self.assertEqual(house.waiting(), [("y@dead.test", 0)])

    def test_stop_keeps_nothing_back(self):
        """When the gateway stops, what was kept back is told at once."""
        house = House()
        house.mx("dead.test", "192.0.2.66")
        house.mx("from.test", "192.0.2.66")
        house.submit("x@nowhere.test", "y@dead.test")
        house.run(1)
        self.assertEqual(len(house.spool.entries), 1)
        house.conclusion.flush()
        self.assertEqual(len(house.spool.entries), 2)

    def test_report_is_made_before_the_message_goes(self):
        """While the header of a large message is read for a report, nothing removes the message without the report."""
        house = House()
        reading = []
        house.conclusion._threads = SlowThreads(reading)
        house.mx("a.test", "192.0.2.1")
        house.mx("from.test", "192.0.2.66")
        house.dialer.hosts["192.0.2.1"] = relays
        house.submit("x@nowhere.test", "y@a.test")
        for live in house.live._entries.values():
            live.body = NotInline(live.body)
        house.resolver.zone[("a.test", RecordType.MX)] = AnswerStatus.TEMPORARY
        house.run(11)
        self.assertEqual(len(reading), 1)
        self.assertTrue(house.conclusion.is_reading)
        house.mx("a.test", "192.0.2.1")
        house.run(400)
        self.assertEqual(len(house.spool.entries), 1, "the other recipient is done, the report is not")
        waiting, function, arguments = reading[0]
        waiting.callback(function(*arguments))
        self.assertFalse(house.conclusion.is_reading)
        [report] = house.spool.contents.values()
        self.assertIn(b"Final-Recipient: rfc822; x@nowhere.test", report)
        self.assertIn(b"Subject: hello", report)

    def test_expiry_is_one_report(self):
        """A hundred recipients that a host has deferred expire together, in one report."""
        house = House()
        house.mx("a.test", "192.0.2.1")
        house.mx("from.test", "192.0.2.2")
        house.dialer.hosts.update({"192.0.2.1": defers, "192.0.2.2": relays})
        house.submit(*[f"x{n}@a.test" for n in range(100)])
        house.run(87_000)
        self.assertEqual(house.spool.entries, {})
        reports = [job.body.inline() for address, job in house.dialer.sent if address == "192.0.2.2"]
        self.assertEqual([r.count(b"Final-Recipient:") for r in reports], [100, 100])
        self.assertIn(b"451 4.7.1 greylisted", reports[1])

    def test_deferred_recipients_stay_together(self):
        """Recipients that were deferred together are tried again in one transaction."""
        house = House()
        house.mx("a.test", "192.0.2.1")
        house.dialer.hosts["192.0.2.1"] = defers
        house.submit(*[f"x{n}@a.test" for n in range(20)])
        house.run(400)
        self.assertEqual([len(job.slots) for _, job in house.dialer.sent], [20, 20])

    def test_too_many_recipients(self):
        """What a host has not taken because they were too many goes out at once, in the next transaction."""

        def takes_ten(job, slot):
            if job.slots.index(slot) < 10:
                return relays(job, slot)
            too_many = reply(452, "4.5.3", "too many recipients")
            return Delayed("4.5.3", "too many recipients", Scope.RECIPIENT, too_many)

        house = House()
        house.mx("a.test", "192.0.2.1")
        house.dialer.hosts["192.0.2.1"] = takes_ten
        house.submit(*[f"x{n}@a.test" for n in range(35)])
        house.run(5)
        self.assertEqual([len(job.slots) for _, job in house.dialer.sent], [35, 25, 15, 5])
        self.assertEqual(house.spool.entries, {})


class SlowThreads:
    """Threads whose work the test does."""

    def __init__(self, asked):
        self.asked = asked

    def run(self, function, *arguments):
        """Later."""
        waiting = Deferred()
        self.asked.append((waiting, function, arguments))
        return waiting


class NotInline:
    """A body as if it were in a file."""

    def __init__(self, body):
        self.body = body
        self.size_octets = body.size_octets
        self.open = body.open

    def inline(self):
        """It is not in memory."""
        return


class OurMistakeTests(SynchronousTestCase):
    """A mistake of ours in one action does not cost the others."""

    def test_others_are_done(self):
        """When an address can't even be dialled because of a bug, the log has it, and other mail goes on."""
        house = House()
        house.mx("a.test", "192.0.2.1")
        house.mx("b.test", "192.0.2.2")
        house.dialer.hosts.update({"192.0.2.1": relays, "192.0.2.2": relays})
        opened = house.dialer.open

        def dial(hop, tls, source, owner):
            if hop.address == "192.0.2.1":
                raise RuntimeError("oops")
            return opened(hop, tls, source, owner)

        house.dialer.open = dial
        house.submit("x@a.test", "y@b.test")
        house.run(1)
        self.assertEqual([address for address, _ in house.waiting()], ["x@a.test"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class _Sink:
    def __init__(self, outcome):
        self.outcome = outcome
        self.calls = []

    async def deliver(self, message, recipients, body):
        self.calls.append(tuple(str(recipient.mailbox) for recipient in recipients))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return (self.outcome,) * len(recipients)


class SinkTests(SynchronousTestCase):
    """Mail for our own domains."""

    def test_delivered(self):
        """All recipients of a message that go into one sink go there together."""
        sink = _Sink(Delivered("test"))
        house = House(local=["here.test"], sinks={"domain here.test": sink})
        house.submit("alice@here.test", "bob@here.test")
        house.run(1)
        self.assertEqual(sink.calls, [("alice@here.test", "bob@here.test")])
        self.assertEqual(house.spool.entries, {})

    def test_sink_raises(self):
        """Whatever a sink raises delays its message, and never fails it."""
        sink = _Sink(RuntimeError("oops"))
        house = House(local=["here.test"], sinks={"domain here.test": sink})
        house.submit("alice@here.test")
        house.run(1)
        self.assertEqual(house.waiting(), [("alice@here.test", 1)])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        sink.outcome = Delivered("test")
        house.run(400)
        self.assertEqual(house.spool.entries, {})

    def test_handler_says_when(self):
        """A handler that names a time is asked again at that time."""
        sink = _Sink(Delayed("4.3.0", "busy", retry_after_seconds=7.0))
        house = House(local=["here.test"], sinks={"domain here.test": sink})
        house.submit("alice@here.test")
        house.run(6)
        self.assertEqual(len(sink.calls), 1)
        house.run(2)
        self.assertEqual(len(sink.calls), 2)

    def test_rejected(self):
        """A handler's rejection fails the recipient."""
        sink = _Sink(Failed("5.7.1", "not interested"))
        house = House(local=["here.test"], sinks={"domain here.test": sink})
        house.submit("alice@here.test", reverse_path="")
        house.run(1)
        self.assertEqual(house.spool.entries, {})


class NotificationTests(SynchronousTestCase):
    """What the sender is told."""

    def test_one_for_all_of_a_site(self):
        """Two recipients that fail together are told in one notification."""
        house = House()
        house.mx("a.test", "192.0.2.1")
        house.mx("from.test", "192.0.2.2")
        house.dialer.hosts.update({"192.0.2.1": refuses, "192.0.2.2": relays})
        house.submit("x@a.test", "y@a.test")
        house.run(1)
        notices = [job for address, job in house.dialer.sent if address == "192.0.2.2"]
        self.assertEqual(len(notices), 1)
        self.assertEqual(notices[0].body.inline().count(b"Final-Recipient:"), 2)
