"""The Received field says who, how and when, and nothing that a peer chose can break it."""

from email import message_from_bytes
from email.utils import parsedate_to_datetime

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, Recipient, TlsFacts
from smtpgw.service.trace import TraceHeader
from tests.clauses import holds

NOW = 1_790_000_000.0
ONE = Envelope(None, (Recipient(Mailbox("x", "a.test")),))
TWO = Envelope(None, (Recipient(Mailbox("x", "a.test")), Recipient(Mailbox("y", "a.test"))))


class ReceivedTests(SynchronousTestCase):
    """RFC 5321 section 4.4."""

    def field(self, client, envelope=ONE):
        """Its text, unfolded."""
        octets = TraceHeader("gw.test").received(client, envelope, 12345, NOW)
        self.assertTrue(octets.endswith(b"\r\n"))
        return " ".join(message_from_bytes(octets + b"\r\n")["Received"].split())

    @holds("5321", "4.4", "Received has from, by, with, id, for and the date, in this order.")
    def test_everything(self):
        """From, by, with, id, for, date: in the order that the RFC wants, TLS in a comment."""
        client = Client("192.0.2.7", "c.test", "ESMTPS", TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"), name="h.test")
        self.assertEqual(
            self.field(client),
            "from c.test (h.test [192.0.2.7]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384)"
            " by gw.test (smtpgw) with ESMTPS id 0000000000C1S for <x@a.test>; Mon, 21 Sep 2026 14:13:20 +0000",
        )

    def test_date(self):
        """The date is a date."""
        date = self.field(Client("192.0.2.7", "c.test")).rpartition(";")[2]
        self.assertEqual(parsedate_to_datetime(date).timestamp(), NOW)

    def test_ipv6(self):
        """An IPv6 client has its tag."""
        self.assertIn("from c.test ([IPv6:2001:db8::1]) by", self.field(Client("2001:db8::1", "c.test")))

    @holds("5321", "7.2", "The Received line of a message to several recipients has no for clause.")
    def test_several_recipients_stay_secret(self):
        """Nobody learns from it who else got the message."""
        self.assertNotIn("for <", self.field(Client("192.0.2.7", "c.test"), TWO))

    def test_handed_in_here(self):
        """What was handed in by the command has no from clause."""
        self.assertTrue(self.field(Client("", protocol="LOCAL")).startswith("by gw.test (smtpgw) with LOCAL id"))

    @holds("6531", "3.7.3", "An address in UTF-8 stands in the Received line only of a message with SMTPUTF8.")
    def test_utf8_address_only_where_it_may_be(self):
        """An address in UTF-8 stands in the field only when the message is one of SMTPUTF8."""
        mailbox = Recipient(Mailbox("j\u00fcrgen", "a.test"))
        octets = TraceHeader("gw.test").received(Client("192.0.2.7"), Envelope(None, (mailbox,)), 1, NOW)
        self.assertTrue(octets.isascii())
        octets = TraceHeader("gw.test").received(Client("192.0.2.7"), Envelope(None, (mailbox,), smtputf8=True), 1, NOW)
        self.assertIn("<j\u00fcrgen@a.test>".encode(), octets)

    @given(st.text(max_size=300), st.text(max_size=100))
    def test_hostile_names(self, helo, name):
        """Whatever the peer calls itself: one field, its lines folded, no control characters, no comment broken."""
        client = Client("192.0.2.7", helo, "ESMTP", name=name)
        octets = TraceHeader("gw.test").received(client, ONE, 1, NOW)
        lines = octets.decode().split("\r\n")
        self.assertEqual(lines[-1], "")
        self.assertTrue(all(line.startswith("\t") for line in lines[1:-1]))
        self.assertTrue(all(line.replace("\t", " ").isprintable() for line in lines))
        self.assertEqual(octets.count(b"("), octets.count(b")"))
        self.assertEqual(octets.count(b";"), 1)
