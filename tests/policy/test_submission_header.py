"""Tests for what a submitted message's header lacks."""

from email import message_from_bytes
from email.utils import parsedate_to_datetime
from time import perf_counter

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.policy.submission_header import missing_fields
from tests.clauses import holds

NOW = 1_700_000_000.5
DATE = b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"


def missing(header):
    """With known random octets."""
    return missing_fields(header, NOW, "mx.example", lambda size: b"\0" * size)


MESSAGE_ID = b"Message-ID: <1700000000." + b"a" * 24 + b"@mx.example>\r\n"


class MissingTests(SynchronousTestCase):
    """Date and Message-ID."""

    @holds("6409", "8.2", "A message without Date gets one.")
    def test_date(self):
        """The time of its coming, in a form that others read."""
        self.assertEqual(missing(b"From: a@b\r\nMessage-ID: <x@y>\r\n"), DATE)
        self.assertEqual(parsedate_to_datetime(DATE[6:].decode().strip()).timestamp(), 1_700_000_000)

    @holds("6409", "8.3", "A message without Message-ID gets one.")
    def test_message_id(self):
        """Of our name, and never twice the same."""
        self.assertEqual(missing(b"From: a@b\r\nDate: x\r\n"), MESSAGE_ID)
        octets = iter(b"ab")
        made = {missing_fields(b"Date: x\r\n", NOW, "mx", lambda size: bytes([next(octets)]) * size) for _ in range(2)}
        self.assertEqual(len(made), 2)

    def test_both(self):
        """No header at all lacks both; together they are a header."""
        for header in (b"", b"\r\n", b"From: a@b\r\n"):
            self.assertEqual(missing(header), DATE + MESSAGE_ID)
        parsed = message_from_bytes(DATE + MESSAGE_ID + b"From: a@b\r\n\r\nbody")
        self.assertEqual(parsed.keys(), ["Date", "Message-ID", "From"])
        self.assertEqual(parsed.defects, [])

    def test_nothing(self):
        """What is there stays alone, in any case, anywhere, also in obsolete or empty form."""
        for header in (
            b"Date: x\r\nMessage-ID: y\r\n",
            b"A: b\r\ndate:\r\nMESSAGE-id \t : y\r\n",
            b"Message-Id: y\r\nA: b\r\n c\r\nDATE\t: x\r\n\r\n",
        ):
            self.assertEqual(missing(header), b"", header)

    def test_look_alikes(self):
        """Other fields, folded lines and values are neither."""
        for header in (
            b"Resent-Date: x\r\nResent-Message-ID: y\r\n",
            b"A: b\r\n Date: x\r\n\tMessage-ID: y\r\n",
            b"Subject: Date: x Message-ID: y\r\n",
            b"Date\r\nMessage-ID\r\n : y\r\n",
            b"Dates: x\r\nMessage-IDs: y\r\n",
            b"A: b\nDate: x\nMessage-ID: y\r\n",
        ):
            self.assertEqual(missing(header), DATE + MESSAGE_ID, header)

    def test_cost(self):
        """A header as large as the limit is read in no time, whatever is in it."""
        for piece in (b"Date", b"Date ", b"\r\nDate \t", b" ", b"\r\nd", b"\r", b"A: b\r\n"):
            header = (piece * 262_144)[:262_144]
            begun = perf_counter()
            missing(header)
            self.assertLess(perf_counter() - begun, 0.5, piece)
