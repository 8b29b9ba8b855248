"""What of a message comes back with the notification about it."""

# mypy: no-check-untyped-defs

from email import message_from_bytes
from email.policy import default
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.delivery.notify import MOST_RETURNED_OCTETS, delay_notice, failure_notice, returns_whole
from smtpgw.delivery.notify_original import bounded_header, header_part, message_part
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, MailParameters, Returned
from smtpgw.model.message import Slot, SlotState
from smtpgw.model.outcome import Failed
from tests.clauses import holds
from tests.delivery.entries import ALICE, EXPIRES_AT, QUEUE_ID, RECEIVED_AT, queued

HEADER = b"Subject: hello\r\nX: y\r\n"
CONTENT = HEADER + b"\r\nsecret body\r\n"


def failed_entry(reverse_path=ALICE, size_octets=100, **parameters):
    """A message that has failed, whose MAIL had these."""
    entry = queued(1, reverse_path)
    envelope = replace(entry.message.envelope, parameters=MailParameters(**parameters))
    message = replace(entry.message, envelope=envelope, size_octets=size_octets)
    return replace(entry, message=message, slots=(Slot(SlotState.DONE, 0.0, 1, Failed("5.1.1", "unknown")),))


def notice(entry, whole=None, header=HEADER, make=failure_notice):
    """The notification of it."""
    more = {} if whole is None else {"whole": whole}
    made = make(entry, (0,), RECEIVED_AT, "gw.test", QUEUE_ID + 1, header, EXPIRES_AT, Random(1), **more)
    assert made is not None
    return made


def third(content):
    """The part with what comes back."""
    return list(message_from_bytes(content, policy=default).iter_parts())[2]


class WholeTests(SynchronousTestCase):
    """RET=FULL."""

    @holds(
        "3461", "6.2", "RET=FULL brings the whole message back with a failure, if it is small; otherwise the header."
    )
    def test_when(self):
        """Only where it was asked for, up to 50 KiB, and never of a message with REQUIRETLS."""
        for asked, size, expected in (
            ({"returned": Returned.FULL}, MOST_RETURNED_OCTETS, True),
            ({"returned": Returned.FULL}, MOST_RETURNED_OCTETS + 1, False),
            ({"returned": Returned.HEADERS}, 100, False),
            ({}, 100, False),
            ({"returned": Returned.FULL, "requires_tls": True}, 100, False),
        ):
            self.assertEqual(returns_whole(failed_entry(size_octets=size, **asked).message), expected)

    def test_part(self):
        """It comes back octet for octet, as message/rfc822."""
        entry, content = notice(failed_entry(returned=Returned.FULL), CONTENT)
        self.assertIn(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n", content)
        self.assertIn(b"\r\n\r\n" + CONTENT + b"\r\n--", content)
        self.assertEqual(third(content).get_content().get_content().split(), ["secret", "body"])
        self.assertEqual((entry.message.envelope.body, entry.message.size_octets), (BodyType.SEVEN_BIT, len(content)))

    def test_eight_bit(self):
        """Content of 8 bits makes the notification one of 8 bits."""
        whole = HEADER + b"\r\nsmall \xe9\r\n"
        entry, content = notice(failed_entry(returned=Returned.FULL), whole)
        self.assertIn(b"Content-Transfer-Encoding: 8bit\r\n", content)
        self.assertIn(whole, content)
        self.assertIs(entry.message.envelope.body, BodyType.EIGHT_BIT)

    def test_global(self):
        """A header in UTF-8 is allowed where the report is in UTF-8; elsewhere the header comes back, encoded."""
        header = "Subject: Grüße\r\n".encode()
        whole = header + b"\r\nbody\r\n"
        self.assertTrue(message_part(whole, header, is_utf8=True).startswith(b"Content-Type: message/global\r\n"))
        self.assertIsNone(message_part(whole, header, is_utf8=False))
        _, content = notice(failed_entry(returned=Returned.FULL), whole, header)
        self.assertIn(b"Content-Type: text/rfc822-headers\r\n", content)
        self.assertNotIn(b"body\r\n\r\n--", content)
        _, content = notice(failed_entry(Mailbox("zoë", "a.example"), returned=Returned.FULL), whole, header)
        self.assertIn(b"Content-Type: message/global\r\n", content)

    def test_unfit(self):
        """Lines that no mail may have, and NUL, can't be returned as they are: the header comes back."""
        for whole in (HEADER + b"\r\n" + b"x" * 999 + b"\r\n", HEADER + b"\r\n\0\r\n"):
            self.assertIsNone(message_part(whole, HEADER, is_utf8=True))

    def test_boundary(self):
        """Content that tries to be another part stays content."""
        _, first = notice(failed_entry(returned=Returned.FULL), CONTENT)
        boundary = message_from_bytes(first, policy=default).get_boundary().encode()
        whole = HEADER + b"\r\n--%b\r\n--%b--\r\n" % (boundary, boundary)
        _, content = notice(failed_entry(returned=Returned.FULL), whole)
        self.assertEqual(len(list(message_from_bytes(content, policy=default).iter_parts())), 3)

    @settings(max_examples=100, deadline=None)
    @given(st.binary(max_size=300))
    def test_anything(self, body):
        """Whatever it holds, there are three parts, and it is returned as it is or not at all."""
        whole = HEADER + b"\r\n" + body.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
        _, content = notice(failed_entry(returned=Returned.FULL), whole)
        self.assertEqual(len(list(message_from_bytes(content, policy=default).iter_parts())), 3)
        self.assertEqual(whole in content, b"\0" not in whole)


class RequireTlsTests(SynchronousTestCase):
    """REQUIRETLS (RFC 8689)."""

    @holds("8689", "5", "The notification about a message with REQUIRETLS has REQUIRETLS, and only the header with it.")
    def test_notification(self):
        """Failures and delays have it, too; those of other messages don't."""
        for make in (failure_notice, delay_notice):
            entry, content = notice(failed_entry(requires_tls=True), make=make)
            self.assertEqual(entry.message.envelope.parameters, MailParameters(requires_tls=True))
            self.assertNotIn(b"secret", content)
        entry, _ = notice(failed_entry(envelope_id="x", returned=Returned.FULL))
        self.assertEqual(entry.message.envelope.parameters, MailParameters())


class HeaderTests(SynchronousTestCase):
    """The header alone."""

    def test_bounded(self):
        """Whole lines, each ended by CR LF."""
        self.assertEqual(bounded_header(b"A: 1\nB: 2\rC: 3"), b"A: 1\r\nB: 2\r\nC: 3\r\n")
        self.assertEqual(bounded_header(b""), b"")
        long = bounded_header(b"A: %b\r\n" % (b"x" * 100) * 2000)
        self.assertTrue(len(long) <= 64 * 1024 and long.endswith(b"x\r\n"))

    def test_kinds(self):
        """As it is, as UTF-8 where that may be, or encoded."""
        self.assertIn(b"text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit", header_part(HEADER, is_utf8=False))
        utf8 = "Subject: ü\r\n".encode()
        self.assertIn(b"message/global-headers\r\nContent-Transfer-Encoding: 8bit", header_part(utf8, is_utf8=True))
        self.assertIn(b"Subject: =C3=BC\r\n", header_part(utf8, is_utf8=False))
