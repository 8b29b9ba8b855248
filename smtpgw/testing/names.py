"""
A name server on loopback, over UDP and TCP, with real packets: for tests of whatever asks names.

The zone is a dict of the same form as :class:`smtpgw.testing.memory_names.MemoryResolver` takes. It can be told to
answer badly in all the ways that name servers do.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.PTR
import dns.rdtypes.ANY.SOA
import dns.rdtypes.ANY.TLSA
import dns.rdtypes.ANY.TXT
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rrset
from twisted.internet.defer import maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol, Factory, Protocol

from smtpgw.model.dns import MxRecord, Record, RecordType, TlsaRecord

_IN = dns.rdataclass.IN
_MAX_UDP_OCTETS = 1232
_PORT_TRIES = 20


class Fault(Enum):
    """
    What is wrong with an answer.

    ``TRUNCATE`` answers nothing but "ask by TCP", where all is well; ``SILENT_TCP`` truncates and then never answers.
    ``WRONG_ID``, ``WRONG_QUESTION`` and ``GARBAGE`` send what is no answer, and nothing else; ``FORGED_FIRST`` sends
    all of these before the right one. ``POINTER_LOOP`` is a packet whose compressed name points at itself.
    ``CNAME_LOOP`` and ``LONG_CHAIN`` (of 40 aliases) never get to a record.
    """

    DROP = "drop"
    SERVFAIL = "servfail"
    REFUSED = "refused"
    TRUNCATE = "truncate"
    SILENT_TCP = "silent tcp"
    GARBAGE = "garbage"
    WRONG_ID = "wrong id"
    WRONG_QUESTION = "wrong question"
    FORGED_FIRST = "forged first"
    POINTER_LOOP = "pointer loop"
    CNAME_LOOP = "cname loop"
    LONG_CHAIN = "long chain"


class FakeNameServer:
    """
    A name server.

    ::

        server = FakeNameServer(reactor, {("example.com", RecordType.MX): [MxRecord(10, "mx.example.com")]})
        server.start()
        resolver = DnsResolver(reactor, [server.address], clock=clock)
        ...
        await server.stop()

    Names in MX and PTR records are taken literally, label by label, so that they may hold anything.

    :ivar zone: may be changed at any time, like the others.
    :ivar aliases: CNAMEs.
    :ivar faults: by name; ``fault`` is for all names.
    :ivar questions: name, type and ``udp`` or ``tcp``, in the order of asking.
    :ivar flags: of each question, and the octets it offers to take (EDNS0).
    :ivar address: IP address and port, after ``start``.
    """

    def __init__(
        self,
        reactor: Any,
        zone: Mapping[tuple[str, RecordType], Iterable[Record]] | None = None,
        *,
        aliases: Mapping[str, str] | None = None,
        ttl_seconds: int = 300,
        negative_ttl_seconds: int = 60,
        authenticated: bool = False,
    ) -> None:
        """
        :param negative_ttl_seconds: the minimum field of the SOA record; its own TTL is an hour.
        :param authenticated: sets the AD bit.
        """
        self.zone: dict[tuple[str, RecordType], Iterable[Record]] = dict(zone or {})
        self.aliases: dict[str, str] = dict(aliases or {})
        self.faults: dict[str, Fault] = {}
        self.fault: Fault | None = None
        self.ttl_seconds = ttl_seconds
        self.negative_ttl_seconds = negative_ttl_seconds
        self.authenticated = authenticated
        self.questions: list[tuple[str, str, str]] = []
        self.flags: list[tuple[int, int]] = []
        self.address: tuple[str, int] = ("", 0)
        self._reactor = reactor
        self._ports: list[Any] = []
        self._streams: set[_Stream] = set()

    def start(self, interface: str = "127.0.0.1") -> None:
        """Listen on one free port, UDP and TCP."""
        for last in reversed(range(_PORT_TRIES)):
            factory = Factory.forProtocol(lambda: _Stream(self))
            factory.noisy = False
            tcp = self._reactor.listenTCP(0, factory, interface=interface)
            number = tcp.getHost().port
            try:
                udp = self._reactor.listenUDP(number, _Datagrams(self), interface=interface, maxPacketSize=65_535)
            except CannotListenError:
                tcp.stopListening()
                if not last:
                    raise
                continue
            self._ports = [tcp, udp]
            self.address = (interface, number)
            return

    async def stop(self) -> None:
        """Close every port and connection."""
        for port in self._ports:
            await maybeDeferred(port.stopListening)
        self._ports = []
        for stream in list(self._streams):
            stream.abort()

    def answers(self, wire: bytes, transport: str) -> list[bytes]:
        """The packets to send back for a packet; none for what is no question."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return []
        if query.flags & dns.flags.QR or len(query.question) != 1 or not isinstance(query, dns.message.QueryMessage):
            return []
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        self.questions.append((name, dns.rdatatype.to_text(question.rdtype), transport))
        self.flags.append((int(query.flags), query.payload))
        fault = self.faults.get(name, self.fault)
        if fault is not None:
            return self._bad_answers(query, fault, transport)
        return [self._wire(self._good_answer(query), transport)]

    def _wire(self, response: dns.message.Message, transport: str) -> bytes:
        if transport == "tcp":
            return response.to_wire(max_size=65_535)
        try:
            return response.to_wire(max_size=_MAX_UDP_OCTETS)
        except dns.exception.TooBig:
            return self._truncated(response)

    @staticmethod
    def _truncated(response: dns.message.Message) -> bytes:
        response.answer.clear()
        response.flags |= dns.flags.TC
        return response.to_wire()

    def _good_answer(self, query: dns.message.QueryMessage) -> dns.message.Message:
        response = dns.message.make_response(query, recursion_available=True)
        if self.authenticated:
            response.flags |= dns.flags.AD
        question = query.question[0]
        owner = question.name
        name = owner.to_text(omit_final_dot=True).lower()
        for _ in range(10):
            target = self.aliases.get(name)
            if target is None:
                break
            rdata = dns.rdata.from_text(_IN, dns.rdatatype.CNAME, f"{target}.")
            response.answer.append(dns.rrset.from_rdata(owner, self.ttl_seconds, rdata))
            owner, name = literal_name(target), target.lower()
        records = list(self._records(name, dns.rdatatype.to_text(question.rdtype)))
        if records:
            rrset = dns.rrset.RRset(owner, _IN, question.rdtype)
            for record in records:
                rrset.add(_rdata(question.rdtype, record), self.ttl_seconds)
            response.answer.append(rrset)
            return response
        if not any(known == name for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(self._soa())
        return response

    def _records(self, name: str, type_text: str) -> Iterable[Record]:
        try:
            return self.zone.get((name, RecordType(type_text)), ())
        except ValueError:
            return ()

    def _soa(self) -> dns.rrset.RRset:
        text = f". . 1 3600 600 86400 {self.negative_ttl_seconds}"
        return dns.rrset.from_text(dns.name.root, 3_600, _IN, dns.rdatatype.SOA, text)

    def _bad_answers(self, query: dns.message.QueryMessage, fault: Fault, transport: str) -> list[bytes]:
        make = _FORGERIES.get(fault)
        if make is not None:
            return [make(query)]
        good = self._good_answer(query)
        match fault:
            case Fault.SERVFAIL | Fault.REFUSED:
                good.answer.clear()
                good.set_rcode(dns.rcode.SERVFAIL if fault is Fault.SERVFAIL else dns.rcode.REFUSED)
                return [good.to_wire()]
            case Fault.TRUNCATE | Fault.SILENT_TCP if transport == "udp":
                return [self._truncated(good)]
            case Fault.TRUNCATE:
                return [self._wire(good, transport)]
            case Fault.FORGED_FIRST:
                return [_garbage(query), _wrong_id(query), _wrong_question(query), self._wire(good, transport)]
            case _:
                return []


def literal_name(text: str) -> dns.name.Name:
    """A name whose labels are what stands between the dots, whatever it is; empty for the root."""
    labels = [label.encode("latin-1") for label in text.split(".")] if text else []
    return dns.name.Name([*labels, b""])


def _rdata(rdtype: dns.rdatatype.RdataType, record: Record) -> dns.rdata.Rdata:
    match record:
        case MxRecord():
            return dns.rdtypes.ANY.MX.MX(_IN, rdtype, record.preference, literal_name(record.host))
        case TlsaRecord():
            return dns.rdtypes.ANY.TLSA.TLSA(_IN, rdtype, record.usage, record.selector, record.matching, record.data)
        case bytes():
            strings = [record[start : start + 255] for start in range(0, len(record), 255)] or [b""]
            return dns.rdtypes.ANY.TXT.TXT(_IN, rdtype, strings)
        case str() if rdtype == dns.rdatatype.PTR:
            return dns.rdtypes.ANY.PTR.PTR(_IN, rdtype, literal_name(record))
        case str():
            return dns.rdata.from_text(_IN, rdtype, record)


def _garbage(query: dns.message.Message) -> bytes:
    return struct.pack("!H", query.id) + b"\x81\x80\x00\x01\x00\x05" + bytes(range(256))


def _wrong_id(query: dns.message.Message) -> bytes:
    wire = bytearray(dns.message.make_response(query, recursion_available=True).to_wire())
    wire[0] ^= 0xFF
    return bytes(wire)


def _wrong_question(query: dns.message.Message) -> bytes:
    other = dns.message.make_query("other.example", query.question[0].rdtype, id=query.id)
    return dns.message.make_response(other, recursion_available=True).to_wire()


def _pointer_loop(query: dns.message.Message) -> bytes:
    wire = bytearray(dns.message.make_response(query, recursion_available=True).to_wire())
    wire[10:12] = b"\x00\x00"  # no EDNS record behind
    del wire[len(query.question[0].name.to_wire() or b"") + 16 :]
    wire[6:8] = b"\x00\x01"
    offset = len(wire)
    return bytes(wire) + struct.pack("!HHHIH", 0xC000 | offset, 1, 1, 60, 4) + b"\x7f\x00\x00\x01"


def _chain(query: dns.message.Message, length: int, *, is_loop: bool) -> bytes:
    response = dns.message.make_response(query, recursion_available=True)
    owner = query.question[0].name
    for number in range(length):
        is_last = number == length - 1
        target = query.question[0].name if is_last and is_loop else literal_name(f"a{number}.example")
        rdata = dns.rdata.from_text(_IN, dns.rdatatype.CNAME, target.to_text())
        response.answer.append(dns.rrset.from_rdata(owner, 60, rdata))
        owner = target
    return response.to_wire(max_size=65_535)


_FORGERIES: dict[Fault, Callable[[dns.message.Message], bytes]] = {
    Fault.GARBAGE: _garbage,
    Fault.WRONG_ID: _wrong_id,
    Fault.WRONG_QUESTION: _wrong_question,
    Fault.POINTER_LOOP: _pointer_loop,
    Fault.CNAME_LOOP: lambda query: _chain(query, 2, is_loop=True),
    Fault.LONG_CHAIN: lambda query: _chain(query, 40, is_loop=False),
}


class _Datagrams(DatagramProtocol):
    noisy = False

    def __init__(self, server: FakeNameServer) -> None:
        self._server = server

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        for answer in self._server.answers(datagram, "udp"):
            self.transport.write(answer, addr)  # type: ignore[union-attr]


class _Stream(Protocol):
    def __init__(self, server: FakeNameServer) -> None:
        self._server = server
        self._buffer = b""

    def abort(self) -> None:
        self.transport.abortConnection()  # type: ignore[union-attr]

    def connectionMade(self) -> None:
        self._server._streams.add(self)

    def connectionLost(self, reason: Any = None) -> None:
        self._server._streams.discard(self)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= 2:
            end = 2 + struct.unpack("!H", self._buffer[:2])[0]
            if len(self._buffer) < end:
                return
            wire, self._buffer = self._buffer[2:end], self._buffer[end:]
            for answer in self._server.answers(wire, "tcp"):
                self.transport.write(struct.pack("!H", len(answer)) + answer)  # type: ignore[union-attr]
