"""Tests for notifications to the sender."""

import re
from email import message_from_bytes
from email.policy import default
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import Insert
from smtpgw.delivery.lifecycle import LifeRules, apply, expire
from smtpgw.delivery.notify import delay_notice, failure_notice
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, Recipient
from smtpgw.model.message import Slot, SlotState
from smtpgw.model.outcome import Delayed, Failed, Scope
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import Reply, reply
from tests.clauses import holds
from tests.delivery.entries import ALICE, EXPIRES_AT, QUEUE_ID, RECEIVED_AT, entry_for, queued

NOW = RECEIVED_AT + 60.0
NOTICE_ID = QUEUE_ID + 1
NOTICE_EXPIRES_AT = NOW + 86400.0
RULES = LifeRules(RetrySchedule((300.0,)))
HEADER = b"From: Alice <alice@a.example>\r\nMessage-ID: <one@a.example>\r\nSubject: Hello\r\n"

UNKNOWN = Failed(
    "5.1.1", "unknown", reply=reply(550, "5.1.1", "No such user"), host="mx.b.example", address="192.0.2.7"
)
LATER = Delayed("4.2.0", "greylisted", reply=reply(450, "4.2.0", "Later"), host="mx.b.example", address="192.0.2.7")


def after(entry, *outcomes):
    """An entry after the first of its recipients got these outcomes."""
    return apply(entry, range(len(outcomes)), outcomes, NOW, RULES, Random(1)).entry


def failure(entry, slots, header=HEADER, seed=1):
    """The failure notification."""
    return failure_notice(entry, slots, NOW, "gw.example", NOTICE_ID, header, NOTICE_EXPIRES_AT, Random(seed))


def delay(entry, slots, header=HEADER):
    """The delay notification."""
    return delay_notice(entry, slots, NOW, "gw.example", NOTICE_ID, header, NOTICE_EXPIRES_AT, Random(1))


FIELD = re.compile(r"[!-9;-~]+:[^\r\n]*(\r\n[ \t]+[^\r\n]*[^\s][^\r\n]*)*\Z")


class NoticeCase(SynchronousTestCase):
    """Takes notifications apart, strictly."""

    def parts(self, content, *, is_utf8=False):
        """The whole, the words, the report's blocks of fields, the returned header, once checked for form."""
        self.assertNotRegex(content.replace(b"\r\n", b""), rb"[\r\n]", "only CR LF ends a line")
        self.assertNotIn(b"\0", content)
        self.assertLessEqual(max(map(len, content.split(b"\r\n"))), 998)
        self.assertTrue(content.endswith(b"\r\n"))
        text = content.decode()
        self.assertTrue(is_utf8 or text.isascii())
        whole = message_from_bytes(content, policy=default)
        self.assertEqual(whole.defects, [])
        for part in whole.iter_parts():
            self.assertEqual(part.defects, [])
        self.assertEqual(whole.get_content_type(), "multipart/report")
        self.assertEqual(whole.get_param("report-type"), "delivery-status")
        boundary = whole.get_boundary()
        raw = [section.partition("\r\n\r\n") for section in text.split(f"\r\n--{boundary}")[1:-1]]
        self.assertEqual(len(raw), 3)
        # The header is returned as the sender wrote it; all else is ours, and clean.
        own = text[: text.rindex(raw[2][2])] if raw[2][2] else text
        self.assertNotRegex(own, "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]")
        words = raw[0][2]
        blocks = []
        for block in raw[1][2].removesuffix("\r\n").split("\r\n\r\n"):
            fields = []
            for field in re.split(r"\r\n(?![ \t])", block):
                self.assertRegex(field, FIELD)
                name, _, value = field.partition(":")
                fields.append((name, re.sub(r"\r\n(?=[ \t])", "", value).strip()))
            blocks.append(fields)
        return whole, words, blocks, raw[2][2]


class FailureTests(NoticeCase):
    """What the sender reads when a message has failed."""

    def test_entry(self):
        """It goes to the sender from the null path, so that nothing is ever told about it in turn."""
        entry, content = failure(after(queued(1), UNKNOWN), (0,))
        message = entry.message
        self.assertEqual(message.queue_id, NOTICE_ID)
        self.assertIsNone(message.envelope.reverse_path)
        self.assertEqual(message.envelope.recipients, (Recipient(ALICE),))
        self.assertEqual((message.envelope.body, message.envelope.smtputf8), (BodyType.SEVEN_BIT, False))
        self.assertEqual((message.size_octets, message.received_at, message.trace), (len(content), NOW, b""))
        self.assertEqual(entry.slots, (Slot(SlotState.QUEUED, NOW),))
        self.assertEqual((entry.expires_at, entry.warned), (NOTICE_EXPIRES_AT, False))
        self.assertIsNone(failure(after(entry, UNKNOWN), (0,)))
        self.assertEqual(Insert(entry, content).content, content)

    def test_nobody_to_tell(self):
        """Nothing is sent to the null path, nor about nothing."""
        entry = after(queued(1, reverse_path=None), UNKNOWN)
        self.assertIsNone(failure(entry, (0,)))
        self.assertIsNone(delay(entry, (0,)))
        self.assertIsNone(failure(after(queued(1), UNKNOWN), ()))
        self.assertIsNone(delay(queued(1), ()))

    @holds(
        "6522",
        "3",
        "A notification is a multipart/report of type delivery-status with three parts: text, report, header.",
    )
    def test_header(self):
        """Its header says who, to whom, when, and that a machine wrote it."""
        _, content = failure(after(queued(1), UNKNOWN), (0,))
        whole = self.parts(content)[0]
        self.assertEqual(whole["From"], "Mail Delivery System <MAILER-DAEMON@gw.example>")
        self.assertEqual(whole["To"], "alice@a.example")
        self.assertEqual(whole["Subject"], "Your message could not be delivered")
        self.assertEqual(parsedate_to_datetime(whole["Date"]).timestamp(), NOW)
        self.assertRegex(whole["Message-ID"], rf"^<{queue_id_text(NOTICE_ID)}\.[0-9a-f]{{16}}@gw\.example>$")
        self.assertEqual(whole["Auto-Submitted"], "auto-replied")
        self.assertEqual(whole["In-Reply-To"], "<one@a.example>")
        self.assertEqual(whole["MIME-Version"], "1.0")
        self.assertEqual(
            [part.get_content_type() for part in whole.iter_parts()],
            ["text/plain", "message/delivery-status", "text/rfc822-headers"],
        )

    @holds("3464", "2.2", "The fields about the message hold Reporting-MTA and Arrival-Date.")
    @holds(
        "3464",
        "2.3",
        "The fields about a recipient hold Final-Recipient, Action, Status, Remote-MTA and Diagnostic-Code.",
    )
    @holds("6522", "4", "The header section of the message comes back as it was.")
    def test_report(self):
        """Programs find every field of RFC 3464 that we know."""
        _, content = failure(after(queued(1), UNKNOWN), (0,))
        _, _, blocks, header = self.parts(content)
        self.assertEqual(
            blocks,
            [
                [
                    ("Reporting-MTA", "dns; gw.example"),
                    ("X-Smtpgw-Queue-ID", queue_id_text(QUEUE_ID)),
                    ("Arrival-Date", "Mon, 21 Sep 2026 14:13:20 +0000"),
                ],
                [
                    ("Final-Recipient", "rfc822; bob0@b.example"),
                    ("Action", "failed"),
                    ("Status", "5.1.1"),
                    ("Remote-MTA", "dns; mx.b.example"),
                    ("Diagnostic-Code", "smtp; 550 5.1.1 No such user"),
                ],
            ],
        )
        self.assertEqual(header.encode(), HEADER)

    def test_stock_reader(self):
        """Python's own reader of reports sees the same."""
        _, content = failure(after(queued(3), UNKNOWN, UNKNOWN), (0, 1))
        report: Any = list(message_from_bytes(content).walk())[2]
        self.assertEqual(report.get_content_type(), "message/delivery-status")
        about, *recipients = report.get_payload()
        self.assertEqual(about["Reporting-MTA"], "dns; gw.example")
        self.assertEqual(
            [one["Final-Recipient"] for one in recipients], ["rfc822; bob0@b.example", "rfc822; bob1@b.example"]
        )

    def test_words(self):
        """People read who did not get it and why, in the host's own words."""
        _, content = failure(after(queued(2), UNKNOWN, replace(UNKNOWN, reply=None)), (0, 1))
        words = self.parts(content)[1]
        self.assertIn("<bob0@b.example>\r\n    mx.b.example [192.0.2.7] said: 550 5.1.1 No such user\r\n", words)
        self.assertIn("<bob1@b.example>\r\n    unknown\r\n", words)
        self.assertIn("final", words)
        self.assertIn(queue_id_text(QUEUE_ID), words)

    def test_only_the_failed(self):
        """Recipients that did not fail now are not spoken of."""
        _, content = failure(after(queued(3), UNKNOWN, LATER, UNKNOWN), (0, 2))
        self.assertIn(b"bob2@", content)
        self.assertNotIn(b"bob1@", content)

    def test_our_reason(self):
        """Where no host spoke the reason is ours, and marked so."""
        outcome = Failed("5.1.2", "the domain b.example does not exist")
        fields = dict(self.parts(failure(after(queued(1), outcome), (0,))[1])[2][1])
        self.assertEqual(fields["Diagnostic-Code"], "X-Smtpgw; the domain b.example does not exist")
        self.assertNotIn("Remote-MTA", fields)

    @holds("3464", "2.3.4", "A message that expired is reported as failed, with the last 4.x.x.")
    def test_expired(self):
        """After too long a time it says so, with the last trouble and its 4.x.x."""
        entry = expire(queued(1), (0,), EXPIRES_AT, LATER, RULES).entry
        _, words, blocks, _ = self.parts(failure(entry, (0,))[1])
        self.assertEqual(dict(blocks[1])["Status"], "4.2.0")
        self.assertEqual(dict(blocks[1])["Action"], "failed")
        self.assertIn("tried for too long", words)
        self.assertIn("450 4.2.0 Later", " ".join(words.split()))

    def test_unique(self):
        """Boundary and Message-ID differ from one to the next."""
        entry = after(queued(1), UNKNOWN)
        one, other = (message_from_bytes(failure(entry, (0,), seed=seed)[1]) for seed in (1, 2))
        self.assertNotEqual(one.get_boundary(), other.get_boundary())
        self.assertNotEqual(one["Message-ID"], other["Message-ID"])

    def test_boundary_in_text(self):
        """A boundary that stands in the returned header is not used."""
        entry = after(queued(1), UNKNOWN)
        boundary = message_from_bytes(failure(entry, (0,))[1]).get_boundary()
        header = f"X-Trap: x\r\n--{boundary}--\r\n".encode()
        content = failure(entry, (0,), header)[1]
        self.assertNotEqual(message_from_bytes(content).get_boundary(), boundary)
        self.parts(content)


class DelayTests(NoticeCase):
    """What the sender reads when a message waits."""

    @holds("3464", "2.3.9", "A notification of a delay has Action delayed, and says until when it will be tried.")
    def test_delayed(self):
        """It says that nothing need be done, and until when it will be tried."""
        entry, content = delay(after(queued(1), LATER), (0,))
        whole, words, blocks, _ = self.parts(content)
        self.assertIsNone(entry.message.envelope.reverse_path)
        self.assertEqual(whole["Subject"], "Your message is delayed")
        self.assertEqual(whole["Auto-Submitted"], "auto-replied")
        self.assertIn("need not send it again", " ".join(words.split()))
        self.assertEqual(
            blocks[1],
            [
                ("Final-Recipient", "rfc822; bob0@b.example"),
                ("Action", "delayed"),
                ("Status", "4.2.0"),
                ("Remote-MTA", "dns; mx.b.example"),
                ("Diagnostic-Code", "smtp; 450 4.2.0 Later"),
                ("Will-Retry-Until", "Sat, 26 Sep 2026 14:13:20 +0000"),
            ],
        )

    def test_untried(self):
        """A recipient that has not been tried has no reason to tell."""
        _, words, blocks, _ = self.parts(delay(queued(1), (0,))[1])
        fields = dict(blocks[1])
        self.assertEqual(fields["Status"], "4.0.0")
        self.assertNotIn("Diagnostic-Code", fields)
        self.assertIn("not been tried yet", words)


class Utf8Tests(NoticeCase):
    """Addresses that are not ASCII (RFC 6533)."""

    @holds("6533", "4", "A sender whose address is not ASCII gets a message/global-delivery-status.")
    def test_sender(self):
        """A sender with such an address gets a notification that needs SMTPUTF8."""
        sender = Mailbox("jürgen", "bücher.example")
        entry, content = failure(after(queued(1, reverse_path=sender), UNKNOWN), (0,))
        whole, *_ = self.parts(content, is_utf8=True)
        self.assertEqual((entry.message.envelope.smtputf8, entry.message.envelope.body), (True, BodyType.EIGHT_BIT))
        self.assertIn("To: <jürgen@bücher.example>\r\n", content.decode())
        self.assertEqual([part.get_content_type() for part in whole.iter_parts()][1], "message/global-delivery-status")

    def test_domain(self):
        """A sender of whom only the domain is not ASCII gets one that every host takes."""
        sender = Mailbox("j", "bücher.example")
        entry, content = failure(after(queued(1, reverse_path=sender), UNKNOWN), (0,))
        self.parts(content, is_utf8=True)
        self.assertFalse(entry.message.envelope.smtputf8)
        self.assertIn(b"To: <j@xn--bcher-kva.example>\r\n", content)
        self.assertEqual(entry.message.envelope.recipients, (Recipient(sender),))

    @holds("6533", "3", "A recipient whose address is not ASCII stands in Final-Recipient with the type utf-8.")
    def test_recipient(self):
        """Such a recipient alone needs only 8BITMIME, for a sender who may not know SMTPUTF8."""
        entry, content = failure(after(entry_for(Mailbox("宛先", "b.example")), UNKNOWN), (0,))
        _, words, blocks, _ = self.parts(content, is_utf8=True)
        self.assertEqual((entry.message.envelope.smtputf8, entry.message.envelope.body), (False, BodyType.EIGHT_BIT))
        self.assertEqual(blocks[1][0], ("Final-Recipient", "utf-8; 宛先@b.example"))
        self.assertIn("<宛先@b.example>", words)
        self.assertTrue(content.partition(b"\r\n\r\n")[0].isascii())

    def test_header_of_original(self):
        """A header in UTF-8 comes back as it was where that is allowed, and encoded where not."""
        header = "Subject: Grüße\r\n".encode()
        _, content = failure(after(entry_for(Mailbox("ü", "b.example")), UNKNOWN), (0,), header)
        self.assertEqual(self.parts(content, is_utf8=True)[3].encode(), header)
        self.assertIn(b"Content-Type: message/global-headers\r\n", content)
        for header in ("Subject: Grüße\r\n".encode(), b"Subject: \xff\x00\r\nX: y\r\n", b"X: " + b"y" * 3000 + b"\r\n"):
            _, content = failure(after(queued(1), UNKNOWN), (0,), header)
            whole = self.parts(content)[0]
            self.assertEqual(
                list(whole.iter_parts())[2].get_payload(decode=True).replace(b"\n", b"\r\n").replace(b"\r\r", b"\r"),
                header,
            )


HOSTILE = (
    "x\r\nBcc: victim@c.example\r\n\r\nhello",
    "\r\n--boundary--\r\n",
    "\x00\x1b[2J\x9b\u202e\ud800\u2028",
    "y" * 100_000,
    "é" * 100_000,
    " " * 100_000,
    "a b " * 50_000,
    "",
)


class HostileTests(NoticeCase):
    """What strangers write into a notification stays text, and small."""

    def test_replies(self):
        """No reply of a host can add a field, a line or a part, or make it large."""
        for text in HOSTILE:
            outcome = Failed(
                text or "5.0.0", text, reply=Reply(550, "5.1.1", (text, text) * 50), host=text, address=text
            )
            for outcome_ in (outcome, replace(outcome, reply=None)):
                for mailbox in (Mailbox("bob", "b.example"), Mailbox("bøb", "b.example")):
                    _, content = failure(after(entry_for(mailbox), outcome_), (0,))
                    _, _, blocks, _ = self.parts(content, is_utf8=not mailbox.is_ascii)
                    self.assertEqual(len(blocks), 2)
                    self.assertLessEqual(len(blocks[1]), 5)
                    self.assertEqual(dict(blocks[1])["Status"], "5.0.0")
                    self.assertLess(len(content), 8000)

    def test_addresses(self):
        """Nor can an address, should it ever come past the grammar."""
        for text in HOSTILE:
            entry = after(entry_for(Mailbox(text, "b.example"), reverse_path=Mailbox(text, "a.example")), UNKNOWN)
            _, content = failure(entry, (0,))
            whole, _, blocks, _ = self.parts(content, is_utf8=not text.isascii())
            self.assertIsNone(whole["Bcc"])
            self.assertEqual([name for name, _ in blocks[1]][:3], ["Final-Recipient", "Action", "Status"])

    def test_returned_header(self):
        """Of a huge header whole lines come back, 64 KiB of them."""
        header = b"X-Long: " + b"y" * 60 + b"\r\n"
        _, content = failure(after(queued(1), UNKNOWN), (0,), header * 100_000)
        returned = self.parts(content)[3].encode()
        self.assertEqual(returned, header * (64 * 1024 // len(header)))
        _, content = failure(after(queued(1), UNKNOWN), (0,), b"X: " + b"y" * 1_000_000)
        self.assertEqual(self.parts(content)[3], "")

    def test_message_id(self):
        """A Message-ID that is not one is not referred to."""
        for value in (b"<a b@c>", b"<x\xff@c>", b"<" + b"x" * 5000 + b"@c>", b"<>", b"<a@b>\r\n <c@d>", b"x"):
            _, content = failure(after(queued(1), UNKNOWN), (0,), b"Message-ID: " + value + b"\r\n")
            referred = self.parts(content)[0]["In-Reply-To"]
            self.assertIn(referred, (None, "<a@b>"))
        _, content = failure(after(queued(1), UNKNOWN), (0,), b"message-id:\r\n <a@b>\r\nX: y\r\n")
        self.assertEqual(self.parts(content)[0]["In-Reply-To"], "<a@b>")

    def test_many_recipients(self):
        """A thousand recipients are listed, the rest counted; the words name the first hundred."""
        entry = after(queued(1500), *[UNKNOWN] * 1500)
        _, words, blocks, _ = self.parts(failure(entry, range(1500))[1])
        self.assertEqual(len(blocks), 1001)
        self.assertEqual(words.count("@b.example>"), 100)
        self.assertIn("and 1400 more.", words)

    @given(st.text(max_size=300), st.text(max_size=60), st.binary(max_size=300), st.booleans())
    @settings(max_examples=150, deadline=None)
    def test_anything(self, text, local, header, is_delay):
        """Whatever is in it, it is a well-formed report."""
        entry = entry_for(Mailbox(local, "b.example"), Mailbox("c", text))
        outcome = Delayed(text, text, Scope.HOST, reply(450, "", text), text, text)
        entry = after(entry, outcome, outcome)
        notice = delay(entry, (0, 1), header) if is_delay else failure(entry, (0, 1), header)
        _, _, blocks, _ = self.parts(notice[1], is_utf8=not (local + text).isascii())
        self.assertEqual(len(blocks), 3)
