"""Tests of :mod:`smtpgw.net.resolver_cost`."""

import struct

import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.dns import MxRecord, RecordType
from smtpgw.net.resolver_cost import MAX_ANSWER_RECORDS, is_affordable
from smtpgw.testing.names import FakeNameServer

LONG_NAME = b"\x01a" * 120 + b"\x00"


def _answer(owner: bytes, records: int, record: bytes) -> bytes:
    header = struct.pack("!6H", 1, 0x8180, 1, records, 0, 0)
    return header + owner + struct.pack("!HH", 16, 1) + record * records


class AffordableTests(SynchronousTestCase):
    """Honest answers are read, answers made to cost are not."""

    def real_answer(self, count: int) -> bytes:
        """Of a name server, with that many MX records."""
        records = [MxRecord(number, f"mx{number}.mail.example") for number in range(count)]
        server = FakeNameServer(None, {("example.test", RecordType.MX): records})
        return server.answers(dns.message.make_query("example.test.", "MX").to_wire(), "tcp")[0]

    def test_honest(self) -> None:
        """Answers of every usual size, and 1,500 mail hosts."""
        for count in (0, 1, 10, 1500):
            self.assertTrue(is_affordable(self.real_answer(count)), count)

    def test_long_owners(self) -> None:
        """A name of 120 labels, said again two thousand times in two octets each."""
        txt = b"\xc0\x0c" + struct.pack("!HHIH", 16, 1, 1, 2) + b"\x01x"
        self.assertTrue(is_affordable(_answer(LONG_NAME, 100, txt)))
        self.assertFalse(is_affordable(_answer(LONG_NAME, 2000, txt)))

    def test_long_names_in_records(self) -> None:
        """Likewise inside MX records."""
        mx = b"\x00" + struct.pack("!HHIH", 15, 1, 1, 4) + b"\x00\x0a\xc0\x0c"
        self.assertFalse(is_affordable(_answer(LONG_NAME, 1000, mx)))

    def test_chained_pointers(self) -> None:
        """A pointer to a label before a pointer counts what it leads to in the end."""
        txt = b"\x01b\xc0\x0c" + struct.pack("!HHIH", 16, 1, 1, 2) + b"\x01x"
        self.assertFalse(is_affordable(_answer(LONG_NAME, 2000, txt)))

    def test_too_many_records(self) -> None:
        """Counted before anything is looked at."""
        self.assertFalse(is_affordable(struct.pack("!6H", 1, 0x8180, 1, MAX_ANSWER_RECORDS, 1, 0)))
        self.assertFalse(is_affordable(struct.pack("!6H", 1, 0x8180, 2, 0, 0, 0)))

    def test_loop(self) -> None:
        """A name that points at itself is left to the reader, who stops there at once."""
        self.assertTrue(is_affordable(_answer(b"\xc0\x0c", 10, b"")))

    @given(st.binary(max_size=400))
    @settings(max_examples=150, deadline=None)
    def test_never_raises(self, octets: bytes) -> None:
        """Whatever comes."""
        for wire in (octets, struct.pack("!6H", 1, 0x8180, 1, 20, 20, 20) + octets):
            self.assertIn(is_affordable(wire), (True, False))
