"""The fields of a notification that RFC 3461 asks for, and notifications of success."""

# mypy: no-check-untyped-defs

from email import message_from_bytes
from email.policy import default
from random import Random

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.notify import failure_notice, success_notice
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import DeliverBy, MailParameters, Recipient, Returned
from smtpgw.model.message import Slot, SlotState
from smtpgw.model.outcome import Delivered, Failed, Relayed
from smtpgw.model.reply import Reply, reply
from tests.clauses import holds
from tests.delivery.entries import ALICE, EXPIRES_AT, QUEUE_ID, RECEIVED_AT, queued

HEADER = b"Subject: hello\r\nMessage-ID: <1@a.example>\r\n"
RELAYED = Relayed(reply(250, "2.6.0", "Ok: queued as 7"), "mx.b.example", "192.0.2.7")
FAILED = Failed("5.1.1", "unknown user", reply=reply(550, "5.1.1", "Unknown"), host="mx.b.example")


def entry_with(*outcomes, originals=None, reverse_path=ALICE, **parameters):
    """A message that is done, whose MAIL had these."""
    entry = queued(len(outcomes), reverse_path)
    envelope = entry.message.envelope
    recipients = tuple(
        Recipient(one.mailbox, None, original)
        for one, original in zip(envelope.recipients, originals or [""] * len(outcomes), strict=True)
    )
    envelope = replace(envelope, recipients=recipients, parameters=MailParameters(**parameters))
    slots = tuple(Slot(SlotState.DONE, RECEIVED_AT, 1, outcome) for outcome in outcomes)
    return replace(entry, message=replace(entry.message, envelope=envelope), slots=slots)


def content_of(entry, make=failure_notice):
    """The notification about all of it."""
    slots = tuple(range(len(entry.slots)))
    made = make(entry, slots, RECEIVED_AT + 5, "gw.test", QUEUE_ID + 1, HEADER, EXPIRES_AT, Random(1))
    assert made is not None
    return made[1]


def blocks(content):
    """The report's blocks of fields, as Python reads them."""
    report = list(message_from_bytes(content, policy=default).iter_parts())[1]
    return [dict(block.items()) for block in report.get_payload()]


class FieldTests(SynchronousTestCase):
    """What the sender gave comes back to it."""

    @holds(
        "3461", "6.3", "Original-Envelope-Id and Original-Recipient are there as given, and only if they were given."
    )
    def test_given(self):
        """ENVID and ORCPT, decoded."""
        entry = entry_with(FAILED, FAILED, originals=["rfc822;Bob+x@A.example", ""], envelope_id="QQ 314")
        message, first, second = blocks(content_of(entry))
        self.assertEqual(message["Original-Envelope-Id"], "QQ 314")
        self.assertEqual(first["Original-Recipient"], "rfc822;Bob+x@A.example")
        self.assertNotIn("Original-Recipient", second)
        [message, *_] = blocks(content_of(entry_with(FAILED)))
        self.assertNotIn("Original-Envelope-Id", message)
        self.assertNotIn("Deliver-By-Date", message)

    def test_host_named_by_its_address(self):
        """A smarthost without a name is named as a domain literal (RFC 3464 section 2.1.2)."""
        for host, named in (
            ("192.0.2.7", "dns; [192.0.2.7]"),
            ("2001:db8::7", "dns; [IPv6:2001:db8::7]"),
            ("[192.0.2.7]", "dns; [192.0.2.7]"),
            ("mx.b.example", "dns; mx.b.example"),
        ):
            _, failed = blocks(content_of(entry_with(replace(FAILED, host=host))))
            self.assertEqual(failed["Remote-MTA"], named)
            _, relayed = blocks(content_of(entry_with(replace(RELAYED, host=host)), success_notice))
            self.assertEqual(relayed["Remote-MTA"], named)

    def test_deliver_by(self):
        """The time that BY meant."""
        [message, *_] = blocks(content_of(entry_with(FAILED, deliver_by=DeliverBy(60, returns=True))))
        self.assertEqual(message["Deliver-By-Date"], "Mon, 21 Sep 2026 14:14:20 +0000")

    def test_international(self):
        """An ORCPT that is not ASCII makes the report one in UTF-8."""
        content = content_of(entry_with(FAILED, originals=["utf-8;zoë@a.example"]))
        self.assertIn("Original-Recipient: utf-8;zoë@a.example\r\n".encode(), content)
        self.assertIn(b"Content-Type: message/global-delivery-status\r\n", content)

    def test_hostile(self):
        """Nor can those, should they ever come past the grammar, add a field or make it large."""
        evil = "x\r\nX-Evil: 1\r\n\r\n\x1b[2J" + "y" * 5000
        content = content_of(entry_with(FAILED, originals=["rfc822;" + evil], envelope_id=evil))
        self.assertNotIn(b"\r\nX-Evil", content)
        self.assertNotIn(b"\x1b", content)
        self.assertLess(len(content), 8000)
        self.assertLess(max(map(len, content.split(b"\r\n"))), 998)


class SuccessTests(SynchronousTestCase):
    """Your message got where it was to go."""

    @holds("3461", "5.2.3", "A delivered DSN is sent for a recipient with NOTIFY=SUCCESS that was delivered to.")
    def test_delivered(self):
        """To a mailbox here."""
        content = content_of(entry_with(Delivered("maildir")), success_notice)
        self.assertIn(b"\r\nSubject: Your message was delivered\r\n", content)
        self.assertIn(b"It was delivered.", content)
        self.assertIn(b"\r\nIn-Reply-To: <1@a.example>\r\n", content)
        _, recipient = blocks(content)
        self.assertEqual((recipient["Action"], recipient["Status"]), ("delivered", "2.0.0"))
        self.assertNotIn("Remote-MTA", recipient)

    def test_relayed(self):
        """Passed on to a host that tells nothing further; both in one notification."""
        content = content_of(entry_with(RELAYED, Delivered("maildir")), success_notice)
        self.assertIn(b"\r\nSubject: Your message was passed on\r\n", content)
        _, relayed, delivered = blocks(content)
        self.assertEqual((relayed["Action"], relayed["Status"]), ("relayed", "2.6.0"))
        self.assertEqual(relayed["Remote-MTA"], "dns; mx.b.example")
        self.assertEqual(relayed["Diagnostic-Code"], "smtp; 250 2.6.0 Ok: queued as 7")
        self.assertEqual(delivered["Action"], "delivered")

    def test_envelope(self):
        """From the null path to the sender; only the header comes back, whatever RET said."""
        entry = entry_with(RELAYED, returned=Returned.FULL)
        made = success_notice(entry, (0,), RECEIVED_AT, "gw.test", QUEUE_ID + 1, HEADER, EXPIRES_AT, Random(1))
        assert made is not None
        notice, content = made
        self.assertIsNone(notice.message.envelope.reverse_path)
        self.assertEqual(notice.message.envelope.recipients, (Recipient(ALICE),))
        self.assertIn(b"\r\nAuto-Submitted: auto-replied\r\n", content)
        self.assertIn(b"Content-Type: text/rfc822-headers\r\n", content)

    def test_nobody(self):
        """Nothing is told to the null path, nor about nothing."""
        for entry, slots in ((entry_with(RELAYED, reverse_path=None), (0,)), (entry_with(RELAYED), ())):
            made = success_notice(entry, slots, RECEIVED_AT, "gw.test", 1, HEADER, EXPIRES_AT, Random(1))
            self.assertIsNone(made)

    def test_hostile_host(self):
        """What the host said can't add anything, nor make it large."""
        said = Reply(250, "2.0.0\r\nX-Evil: 1", ("ok\r\n\r\nX-Evil: 2\x07" + "z" * 5000,) * 50)
        content = content_of(entry_with(Relayed(said, "mx\r\nX-Evil: 3", "192.0.2.7")), success_notice)
        self.assertNotIn(b"\r\nX-Evil", content)
        self.assertNotIn(b"\x07", content)
        self.assertLess(len(content), 8000)
        self.assertEqual(blocks(content)[1]["Status"], "2.0.0")

    def test_international(self):
        """To a sender whose address is not ASCII it takes the forms of RFC 6533."""
        content = content_of(entry_with(RELAYED, reverse_path=Mailbox("zoë", "a.example")), success_notice)
        self.assertIn(b"Content-Type: message/global-delivery-status\r\n", content)
