"""Tests for mail loops."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.checks.loop import Loop, received_fields
from smtpgw.model.envelope import Envelope
from smtpgw.model.verdict import ACCEPT
from tests.clauses import holds
from tests.contracts.check import STRANGER, CheckContract

FIELD = b"Received: from a by b\r\n\tfor <x@y.example>; today\r\n"


class LoopTests(CheckContract, SynchronousTestCase):
    """A message that has been through too many hosts is refused."""

    def make_check(self):
        """With the limit of the manual."""
        return Loop(100)

    def ask_all(self, check):
        """At the limit and beyond."""
        for count in (0, 100, 101):
            yield check.check_content(STRANGER, Envelope(None, ()), FIELD * count + b"Subject: x\r\n")

    @holds("5321", "6.3", "A message with more than 100 Received lines is refused as a loop.")
    def test_limit(self):
        """Exactly so many hops are fine, one more is not."""
        fine, full, over = self.ask_all(self.make_check())
        self.assertIs(fine, ACCEPT)
        self.assertIs(full, ACCEPT)
        self.assertEqual((over.reply.code, over.reply.status), (554, "5.4.6"))

    def test_counting(self):
        """Only fields count, in any case, not what looks like them within others."""
        table = [
            (b"", 0),
            (FIELD, 1),
            (b"RECEIVED: x\r\nreceived:y\r\nReCeIvEd : z\r\nReceived\t: z\r\n", 4),
            (b"X-Received: x\r\n", 0),
            (b"Received-SPF: pass\r\n", 0),
            (b"Subject: a\r\n Received: b\r\n\tReceived: c\r\nX: Received: d\r\n", 0),
            (b"Subject: a\r\nReceived: b", 1),
        ]
        for header, count in table:
            self.assertEqual(received_fields(header), count, header)
