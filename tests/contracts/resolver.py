"""What every resolver promises: a mixin for ``TestCase``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.trial.unittest import TestCase

from smtpgw.boundaries.world import Resolver
from smtpgw.model.dns import AnswerStatus, MxRecord, Record, RecordType, TlsaRecord

CONTRACT_ZONE: dict[tuple[str, RecordType], list[Record]] = {
    ("two.example", RecordType.MX): [MxRecord(10, "mx1.two.example"), MxRecord(20, "mx2.two.example")],
    ("mx1.two.example", RecordType.A): ["192.0.2.1"],
    ("mx1.two.example", RecordType.AAAA): ["2001:db8::1"],
    ("null.example", RecordType.MX): [MxRecord(0, "")],
    ("text.example", RecordType.TXT): [b"v=spf1 -all"],
    ("1.2.0.192.in-addr.arpa", RecordType.PTR): ["mx1.two.example"],
    ("_25._tcp.mx1.two.example", RecordType.TLSA): [TlsaRecord(3, 1, 1, bytes(32))],
}
"""What ``make_resolver`` must answer from."""

if TYPE_CHECKING:
    _Base = TestCase
else:
    _Base = object


class ResolverContract(_Base):
    """Mix into a ``TestCase`` that has ``make_resolver``."""

    def make_resolver(self) -> Resolver:
        """A resolver over ``CONTRACT_ZONE``."""
        raise NotImplementedError

    async def test_mx(self) -> None:
        """Mail hosts come with their preferences, best first."""
        answer = await self.make_resolver().lookup("two.example", RecordType.MX)
        self.assertIs(answer.status, AnswerStatus.FOUND)
        self.assertEqual(answer.records, (MxRecord(10, "mx1.two.example"), MxRecord(20, "mx2.two.example")))
        self.assertGreater(answer.expires_at, 0.0)

    async def test_null_mx(self) -> None:
        """A domain that takes no mail has one host, the root, whose name is empty."""
        answer = await self.make_resolver().lookup("null.example", RecordType.MX)
        self.assertEqual(answer.records, (MxRecord(0, ""),))

    async def test_addresses(self) -> None:
        """Addresses of both families are text."""
        resolver = self.make_resolver()
        self.assertEqual((await resolver.lookup("mx1.two.example", RecordType.A)).records, ("192.0.2.1",))
        self.assertEqual((await resolver.lookup("mx1.two.example", RecordType.AAAA)).records, ("2001:db8::1",))

    async def test_text(self) -> None:
        """A TXT record is octets."""
        answer = await self.make_resolver().lookup("text.example", RecordType.TXT)
        self.assertEqual(answer.records, (b"v=spf1 -all",))

    async def test_ptr(self) -> None:
        """The name of an address has no dot at its end."""
        answer = await self.make_resolver().lookup("1.2.0.192.in-addr.arpa", RecordType.PTR)
        self.assertEqual(answer.records, ("mx1.two.example",))

    async def test_tlsa(self) -> None:
        """A TLSA record is read."""
        answer = await self.make_resolver().lookup("_25._tcp.mx1.two.example", RecordType.TLSA)
        self.assertEqual(answer.records, (TlsaRecord(3, 1, 1, bytes(32)),))

    async def test_no_data(self) -> None:
        """A name that exists without such a record is not the same as one that doesn't exist."""
        answer = await self.make_resolver().lookup("two.example", RecordType.A)
        self.assertIs(answer.status, AnswerStatus.NO_DATA)
        self.assertEqual(answer.records, ())

    async def test_no_name(self) -> None:
        """A name that doesn't exist."""
        answer = await self.make_resolver().lookup("absent.example", RecordType.MX)
        self.assertIs(answer.status, AnswerStatus.NO_NAME)
        self.assertEqual(answer.records, ())

    async def test_case_and_final_dot(self) -> None:
        """Names are the same in capitals and with a dot at the end."""
        answer = await self.make_resolver().lookup("TWO.Example.", RecordType.MX)
        self.assertEqual(len(answer.records), 2)

    async def test_impossible_names(self) -> None:
        """What can't be a name does not exist; nothing raises."""
        resolver = self.make_resolver()
        impossible = [
            "",
            ".",
            "a..b",
            "x" * 64 + ".example",
            "a." * 127 + "example",
            "é.example",
            "a b.example",
            "[192.0.2.1]",
        ]
        for name in [*impossible, "a\r\nb.example", "\x00.example"]:
            answer = await resolver.lookup(name, RecordType.A)
            self.assertIs(answer.status, AnswerStatus.NO_NAME, repr(name))
