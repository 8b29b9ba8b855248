"""Tests of :mod:`smtpgw.net.resolver_answers`."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.dns import MxRecord, RecordType, TlsaRecord
from smtpgw.net.resolver_answers import MAX_RECORDS, host_text, question_name, records_of


def _rdatas(record_type: str, *texts: str) -> list[dns.rdata.Rdata]:
    return [dns.rdata.from_text(dns.rdataclass.IN, record_type, text) for text in texts]


class QuestionNameTests(SynchronousTestCase):
    """Names that are asked for."""

    def test_good(self) -> None:
        """Case and the dot at the end don't matter; underscores and odd characters are asked for."""
        for name in ("Example.COM", "example.com."):
            self.assertEqual(question_name(name), dns.name.from_text("example.com."))
        for name in ("_25._tcp.mx.example", "a+b.example", "1.2.0.192.in-addr.arpa", "localhost", "*.example"):
            self.assertIsNotNone(question_name(name), name)

    def test_longest(self) -> None:
        """253 characters are a name, 254 are none; 63 are a label, 64 are none."""
        longest = ".".join(["x" * 61, "y" * 63, "z" * 63, "w" * 63])
        self.assertEqual(len(longest), 253)
        self.assertIsNotNone(question_name(longest))
        self.assertIsNone(question_name("x" + longest))
        self.assertIsNone(question_name("x" * 64 + ".example"))

    def test_bad(self) -> None:
        """Addresses, onion names and what is no name."""
        for name in (
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a b",
            "a\n",
            "é.example",
            "192.0.2.1",
            "[::1]",
            "x.onion",
            "x.ONION.",
        ):
            self.assertIsNone(question_name(name), repr(name))

    @given(st.text(max_size=300))
    @settings(max_examples=100, deadline=None)
    def test_never_raises(self, name: str) -> None:
        """Whatever the text is."""
        question = question_name(name)
        self.assertTrue(question is None or question.is_absolute())


class HostTextTests(SynchronousTestCase):
    """Names that may be connected to."""

    def test_good(self) -> None:
        """In lower case, without the dot at the end."""
        self.assertEqual(host_text(dns.name.from_text("MX-1.Example_2.COM.")), "mx-1.example_2.com")

    @given(st.lists(st.binary(min_size=1, max_size=63), max_size=3))
    @settings(max_examples=150, deadline=None)
    def test_nothing_odd_passes(self, labels: list[bytes]) -> None:
        """Whatever octets the labels hold, only letters, digits, hyphens and underscores come out."""
        text = host_text(dns.name.Name([*labels, b""]))
        if text is not None:
            self.assertRegex(text, r"\A[a-z0-9_-]+(\.[a-z0-9_-]+)*\Z")
            self.assertLessEqual(len(text), 253)

    def test_bad(self) -> None:
        """Line ends, dots inside a label, hyphens at an end, addresses."""
        for labels in ([b"a\n"], [b"a.b"], [b"-a"], [b"a-"], [b"192", b"0", b"2", b"1"], [], [b"a\x00b"], [b"a b"]):
            self.assertIsNone(host_text(dns.name.Name([*labels, b""])), labels)


class RecordTests(SynchronousTestCase):
    """Records as they come."""

    def test_mx(self) -> None:
        """Best first, each once, bad ones left out, the root as the empty name."""
        rdatas = _rdatas("MX", "20 b.example.", "10 c.example.", "10 C.example.", "5 bad\\010.example.", "0 .")
        expected = (MxRecord(0, ""), MxRecord(10, "c.example"), MxRecord(20, "b.example"))
        self.assertEqual(records_of(RecordType.MX, rdatas), expected)

    def test_addresses(self) -> None:
        """As text in the usual form."""
        self.assertEqual(records_of(RecordType.AAAA, _rdatas("AAAA", "2001:DB8:0:0::1")), ("2001:db8::1",))
        self.assertEqual(records_of(RecordType.A, _rdatas("A", "192.0.2.1")), ("192.0.2.1",))

    def test_txt(self) -> None:
        """The strings of a record are joined."""
        self.assertEqual(records_of(RecordType.TXT, _rdatas("TXT", '"v=spf1 " "-all"')), (b"v=spf1 -all",))

    def test_ptr(self) -> None:
        """Names of hosts; others are left out."""
        self.assertEqual(records_of(RecordType.PTR, _rdatas("PTR", "MX.example.", "a\\010b.example.")), ("mx.example",))

    def test_tlsa(self) -> None:
        """Numbers and octets."""
        self.assertEqual(
            records_of(RecordType.TLSA, _rdatas("TLSA", "3 1 1 " + "00ff" * 16)),
            (TlsaRecord(3, 1, 1, b"\x00\xff" * 16),),
        )

    def test_bounded(self) -> None:
        """No more than fifty of any type."""
        many = {
            RecordType.A: [f"10.0.{n // 200}.{n % 200}" for n in range(900)],
            RecordType.AAAA: [f"2001:db8::{n:x}" for n in range(900)],
            RecordType.MX: [f"{n} m{n}.example." for n in range(900)],
            RecordType.TXT: [f'"{n}"' for n in range(900)],
            RecordType.PTR: [f"m{n}.example." for n in range(900)],
            RecordType.TLSA: [f"3 1 1 {n:064x}" for n in range(900)],
        }
        for record_type in RecordType:
            self.assertEqual(len(records_of(record_type, _rdatas(record_type.value, *many[record_type]))), MAX_RECORDS)

    def test_other_types(self) -> None:
        """Records of another type than asked for are left out."""
        for record_type in RecordType:
            self.assertEqual(records_of(record_type, _rdatas("NS", "a.example.")), ())
