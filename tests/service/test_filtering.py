"""Messages through filters: what they make of them is what is kept, and nothing else."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.filters import ChangeField, Discard, Edits, InsertField, Passed
from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.model.envelope import BodyType, Envelope, MailParameters, Recipient
from smtpgw.model.message import SlotState
from smtpgw.model.notice import Dropped, Held, Queued, Rejected
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import reply
from smtpgw.model.verdict import Refuse
from smtpgw.service.reception import ListenerReception
from tests.clauses import holds_in_part
from tests.service.house import CLIENT, House, mailbox

_CONTENT = b"From: a@from.test\r\nSubject: x\r\n\r\nbody\r\n"


class FakeFilter:
    """Says what the test has written, and remembers what it was shown."""

    name = "fake"

    def __init__(self, answer=None):
        self.answer = answer or Passed()
        self.seen = []

    async def filter_content(self, client, envelope, queue_id, content):
        body = b""
        while True:
            piece = content.read(len(body))
            if not isinstance(piece, bytes):
                piece = await piece
            if not piece:
                break
            body += piece
        self.seen.append((envelope, queue_id, content.fields, body))
        if isinstance(self.answer, Deferred):
            return await self.answer
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def leave(self, client):
        """Nothing to forget."""


class FilterTestCase(SynchronousTestCase):
    """A gateway that delivers nothing, with filters."""

    def make_house(self, *answers, complete=None, pause=True):
        house = self.house = House()
        if pause:
            house.dispatch.pause()
        self.filters = [FakeFilter(answer) for answer in answers]
        house.reception = ListenerReception(house.counter, (), (), (), filters=self.filters, complete=complete)

    def kept(self):
        """The entry, the fields that were added beside our Received, and the content."""
        [(queue_id, entry)] = self.house.spool.entries.items()
        trace = entry.message.trace
        received = self.house.counter.trace.received(
            CLIENT, Envelope(None, (Recipient(mailbox("x@a.test")),)), queue_id, self.house.clock.time()
        )
        self.assertTrue(trace.startswith(received))
        content = self.house.spool.contents[queue_id]
        self.assertEqual(entry.message.size_octets, len(content))
        return entry, trace[len(received) :], content

    def submit(self, content=_CONTENT):
        return self.house.submit("x@a.test", content=content)

    def edited(self, *edits, content=_CONTENT, **others):
        """What one filter makes of a content."""
        self.make_house(Passed(Edits(edits, **others)))
        self.assertEqual(self.submit(content).code, 250)
        _, top, kept = self.kept()
        return top + kept


class ContentTests(FilterTestCase):
    """What filters see, and what is kept."""

    def test_unchanged(self):
        """A filter sees the message as it came and with its id; without changes it is kept so, octet for octet."""
        self.make_house(None)
        self.submit()
        entry, top, content = self.kept()
        self.assertEqual((top, content), (b"", _CONTENT))
        [(_, queue_id, fields, body)] = self.filters[0].seen
        self.assertEqual(queue_id, queue_id_text(entry.message.queue_id))
        self.assertEqual((fields, body), ((b"From: a@from.test\r\n", b"Subject: x\r\n"), b"body\r\n"))

    def test_odd_contents(self):
        """The body begins behind the empty line, or at the first line that is no field."""
        for content, fields, body in (
            (b"A: b\r\n\r\n\r\nc\r\n", (b"A: b\r\n",), b"\r\nc\r\n"),
            (b"\r\nbody\r\n", (), b"body\r\n"),
            (b"no header\r\n\r\nbody\r\n", (), b"no header\r\n\r\nbody\r\n"),
            (b"A: b\r\nno field\r\n\r\nc\r\n", (b"A: b\r\n",), b"no field\r\n\r\nc\r\n"),
            (b"A: b\r\n", (b"A: b\r\n",), b""),
            (b"A: b\r\n\r\n", (b"A: b\r\n",), b""),
            (b"", (), b""),
        ):
            self.make_house(None)
            self.assertEqual(self.submit(content).code, 250)
            self.assertEqual(self.filters[0].seen[0][2:], (fields, body))
            self.assertEqual(self.kept()[1:], (b"", content))

    def test_no_empty_line(self):
        """A message whose header changes gets the empty line that it lacks, so that its body stays one."""
        add = InsertField(b"X-N", b" 1")
        self.assertEqual(self.edited(add, content=b"no header\r\n"), b"X-N: 1\r\n\r\nno header\r\n")
        self.assertEqual(self.edited(add, content=b"A: b\r\nno field\r\n"), b"A: b\r\nX-N: 1\r\n\r\nno field\r\n")
        self.assertEqual(self.edited(add, content=b"A: b\r\n"), b"A: b\r\nX-N: 1\r\n\r\n")

    def test_large(self):
        """A message of megabytes is shown whole."""
        self.make_house(None)
        content = _CONTENT + b"line\r\n" * 200_000
        self.submit(content)
        self.assertTrue(self.filters[0].seen[0][3] == content[content.index(b"body") :])

    def test_smtputf8(self):
        """What filters make of the header decides whether hosts must know SMTPUTF8 to get it."""
        german, plain = "Subject: ü\r\n\r\nbody\r\n".encode(), _CONTENT
        for content, edit, expected in (
            (german, None, True),
            (german, ChangeField(b"Subject", 1, b" x"), False),
            (plain, ChangeField(b"Subject", 1, " ü".encode()), True),
            (plain, InsertField(b"X-N", " ü".encode(), 1), True),
            (plain, InsertField(b"X-N", b" 1", 1), False),
        ):
            self.make_house(Passed(Edits((edit,) if edit else ())))
            envelope = Envelope(None, (Recipient(mailbox("x@a.test")),), smtputf8=True)
            intake = self.house.reception.begin(CLIENT, envelope, lambda: None)
            intake.write(content)
            intake.finish(lambda answer: None)
            self.assertEqual(self.kept()[0].message.envelope.smtputf8, expected, edit)

    def test_header_edits(self):
        """New fields at the top need no second copy of the message; every other change makes one."""
        self.assertEqual(self.edited(InsertField(b"X-N", b" 1", 1)), b"X-N: 1\r\n" + _CONTENT)
        self.assertEqual(self.kept()[2], _CONTENT)
        self.assertEqual(
            self.edited(InsertField(b"X-N", b" 1"), ChangeField(b"Subject", 1, b" y")),
            b"From: a@from.test\r\nSubject: y\r\nX-N: 1\r\n\r\nbody\r\n",
        )
        self.assertEqual(self.edited(ChangeField(b"from", 1, None)), b"Subject: x\r\n\r\nbody\r\n")
        large = InsertField(b"X-N", b" " + b"1" * 500, 1)
        self.assertIn(b"X-N: 1", self.edited(*[large] * 40))
        self.assertLess(len(self.kept()[1]), 16 * 1024)

    def test_new_body(self):
        """The header stays. No bare CR or LF and no NUL gets into the message, and its last line has an end."""
        head = _CONTENT[:-6]
        for body, expected in (
            (b"new\r\n", b"new\r\n"),
            (b"", b""),
            (b"a\nb\rc\r\n\0d", b"a\r\nb\r\nc\r\nd\r\n"),
            (b"a\n.\r\nMAIL FROM:<x@y>", b"a\r\n.\r\nMAIL FROM:<x@y>\r\n"),
            (b"a\r\r\n", b"a\r\n\r\n"),
        ):
            self.assertEqual(self.edited(body=body), head + expected)
        self.edited(body=b"\xc3\xa4\r\n")
        self.assertIs(self.kept()[0].message.envelope.body, BodyType.EIGHT_BIT)

    def test_envelope(self):
        """Recipients and sender; what else was asked for with MAIL stays."""
        self.make_house(
            Passed(
                Edits(added=(Recipient(mailbox("new@a.test")),), removed=(mailbox("y@a.test"),), reverse_path=(None,))
            )
        )
        parameters = MailParameters(envelope_id="E1")
        recipients = tuple(Recipient(mailbox(name)) for name in ("x@a.test", "y@a.test", "y@a.test"))
        envelope = Envelope(mailbox("s@from.test"), recipients, parameters=parameters)
        intake = self.house.reception.begin(CLIENT, envelope, lambda: None)
        intake.write(_CONTENT)
        intake.finish(lambda answer: self.assertEqual(answer.code, 250))
        [entry] = self.house.spool.entries.values()
        found = entry.message.envelope
        self.assertEqual([str(r.mailbox) for r in found.recipients], ["x@a.test", "new@a.test"])
        self.assertEqual((found.reverse_path, found.parameters, len(entry.slots)), (None, parameters, 2))

    def test_one_after_the_other(self):
        """Each filter sees what the one before it has made of the message: header, body and envelope."""
        first = Edits((InsertField(b"X-N", b" 1"),), b"new\r\n", added=(Recipient(mailbox("new@a.test")),))
        self.make_house(Passed(first), Passed(Edits((ChangeField(b"X-N", 1, b" 2"),))))
        self.submit()
        envelope, _, fields, body = self.filters[1].seen[0]
        self.assertEqual((fields[-1], body, len(envelope.recipients)), (b"X-N: 1\r\n", b"new\r\n", 2))
        self.assertEqual(self.kept()[2], b"From: a@from.test\r\nSubject: x\r\nX-N: 2\r\n\r\nnew\r\n")


class VerdictTests(FilterTestCase):
    """Refused, thrown away, held."""

    def test_refused(self):
        """With the filter's reply; those behind it are not asked."""
        self.make_house(Refuse(reply(550, "5.7.1", "spam"), "fake"), None)
        self.assertEqual(self.submit().code, 550)
        self.assertEqual((self.house.spool.entries, self.filters[1].seen), ({}, []))
        self.assertIsInstance(self.house.notices[-1], Rejected)

    @holds_in_part(
        "5321",
        "6.2",
        "What was accepted is not dropped silently.",
        "Never by us; a milter that says discard is obeyed, and the log says so.",
    )
    def test_discarded(self):
        """The client hears 250 with an id; nothing is kept, and the log tells it."""
        for answer, cause in (
            (Discard("fake", "192.0.2.4:11332"), "192.0.2.4:11332"),
            (Passed(Edits(removed=(mailbox("x@a.test"),))), "it has taken away every recipient"),
        ):
            self.make_house(answer)
            said = self.submit()
            self.assertEqual(said.code, 250)
            self.assertEqual(self.house.spool.entries, {})
            [notice] = self.house.notices
            self.assertIsInstance(notice, Dropped)
            self.assertEqual((notice.check, notice.cause), ("fake", cause))
            self.assertTrue(said.lines[0].endswith(queue_id_text(notice.entry.message.queue_id)))

    def test_quarantine(self):
        """It is kept and held, with the reason for whoever looks; nothing of it is delivered until it is released."""
        self.make_house(Passed(Edits(quarantine="looks odd")), pause=False)
        self.assertEqual(self.submit().code, 250)
        self.kept()
        self.house.run(10)
        [entry] = self.house.spool.entries.values()
        [slot] = entry.slots
        self.assertIs(slot.state, SlotState.HELD)
        self.assertIn("looks odd", slot.last.reason)
        self.assertEqual([type(notice) for notice in self.house.notices], [Queued, Held])
        self.assertEqual(self.house.notices[1].reason, "held by a filter: looks odd")
        self.assertEqual(self.house.dialer.opened, [])

    def test_broken(self):
        """A filter that fails is our trouble: 451, and nothing is kept."""
        self.make_house(RuntimeError("oops"))
        self.assertEqual(self.submit().code, 451)
        self.assertEqual(self.house.spool.entries, {})
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_unreadable(self):
        """So is a disk that fails when the message is read back."""
        self.make_house(None)
        intake = self.house.reception.begin(CLIENT, Envelope(None, (Recipient(mailbox("x@a.test")),)), lambda: None)
        intake.write(_CONTENT)
        intake._draft.read = lambda offset, most, done: done(SpoolTrouble(full=False, cause="I/O error on /secret"))
        replies = []
        intake.finish(replies.append)
        self.assertEqual(replies[0].code, 451)
        self.assertNotIn("secret", str(replies[0]))
        self.assertEqual(self.house.spool.entries, {})

    def test_slow(self):
        """The client waits for its answer as long as the filters take."""
        waiting = Deferred()
        self.make_house(waiting)
        self.assertIsNone(self.submit())
        self.assertEqual(self.house.spool.entries, {})
        waiting.callback(Passed())
        self.assertEqual(len(self.house.spool.entries), 1)

    def test_given_up(self):
        """A client that goes while a filter works takes its message along; the filter hears of it."""
        waiting = Deferred()
        self.make_house(waiting)
        intake = self.house.reception.begin(CLIENT, Envelope(None, (Recipient(mailbox("x@a.test")),)), lambda: None)
        intake.write(_CONTENT)
        replies = []
        intake.finish(replies.append)
        intake.abandon()
        self.assertTrue(waiting.called)
        self.assertEqual((replies, self.house.spool.entries, self.house.notices), ([], {}, []))
        self.assertEqual(self.flushLoggedErrors(), [])


class CompleteTests(FilterTestCase):
    """Submission: what a header lacks is put before it."""

    def complete(self, header, now):
        self.seen = header
        return b"Date: now\r\nMessage-ID: <1@gw.test>\r\n"

    def test_added(self):
        """Between our Received field and the author's fields; the content stays as it is."""
        self.make_house(complete=self.complete)
        self.submit()
        self.assertEqual(self.seen, b"From: a@from.test\r\nSubject: x\r\n")
        self.assertEqual(self.kept()[1:], (b"Date: now\r\nMessage-ID: <1@gw.test>\r\n", _CONTENT))

    def test_filters_see_it(self):
        """So that they can sign it; and it is there once, whatever they change."""
        self.make_house(Passed(Edits((InsertField(b"X-N", b" 1", 1),))), complete=self.complete)
        self.submit()
        self.assertEqual(self.filters[0].seen[0][2][0], b"Date: now\r\n")
        self.assertEqual(self.kept()[1:], (b"X-N: 1\r\nDate: now\r\nMessage-ID: <1@gw.test>\r\n", _CONTENT))
        self.make_house(Passed(Edits((InsertField(b"X-N", b" 1"),))), complete=self.complete)
        self.submit()
        _, top, content = self.kept()
        self.assertEqual((top, content[:11], content.count(b"Date:")), (b"", b"Date: now\r\n", 1))
