"""
Names that are asked for, and records as they come: what is hostile or odd in them stops here. Pure.

A name in a record is only ever octets: it may hold line ends, blanks, dots inside a label, or be longer than any host
name. A host name passes only when it is one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

import dns.exception
import dns.name
from dns.rdata import Rdata
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TLSA import TLSA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA

from smtpgw.model.dns import MxRecord, Record, RecordType, TlsaRecord

MAX_RECORDS = 50
"""Of one answer. No domain that means well has more hosts; an answer over TCP has room for thousands."""

_MAX_NAME_LENGTH = 253

# Underscores are no letters of host names (RFC 952), but hosts with them take mail every day.
_LABEL = re.compile(rb"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_QUESTION = re.compile(r"[!-Z\\^-~]{1,254}\Z")
"""Printable, without the brackets of an address literal."""


def question_name(name: str) -> dns.name.Name | None:
    """
    The name to ask for, ``None`` when no name server could know it.

    Without escapes: a backslash is an octet like others. Addresses are no names, and ``.onion`` must not be asked for
    (RFC 7686 section 2).
    """
    if not _QUESTION.match(name):
        return None
    labels = name.lower().encode("ascii").removesuffix(b".").split(b".")
    if labels[-1].isdigit() or labels[-1] == b"onion":
        return None
    try:
        return dns.name.Name([*labels, b""])
    except (dns.exception.DNSException, ValueError):
        return None


def host_text(name: dns.name.Name) -> str | None:
    """
    A host name in lower case without trailing dot; ``None`` when it can't be one.

    The root, and a name whose last label is a number (an address in the place of a name), are none.
    """
    labels = [label.lower() for label in name.labels if label]
    if not labels or labels[-1].isdigit():
        return None
    for label in labels:
        if not _LABEL.match(label):
            return None
    text = b".".join(labels).decode("ascii")
    return text if len(text) <= _MAX_NAME_LENGTH else None


def records_of(record_type: RecordType, rdatas: Iterable[Rdata]) -> tuple[Record, ...]:
    """
    The records of an answer, the bad ones left out, at most ``MAX_RECORDS``.

    MX records come in the order of preference and name, so that the same ones are kept whatever the order on the wire;
    others as received. No record at all may be left of an answer that had some.
    """
    return _CONVERSIONS[record_type](rdatas)


def _mx(rdatas: Iterable[Rdata]) -> tuple[Record, ...]:
    found = set()
    for rdata in rdatas:
        if isinstance(rdata, MX):
            host = "" if rdata.exchange == dns.name.root else host_text(rdata.exchange)
            if host is not None:
                found.add(MxRecord(rdata.preference, host))
    return tuple(sorted(found)[:MAX_RECORDS])


def _addresses(rdatas: Iterable[Rdata]) -> tuple[Record, ...]:
    found: dict[Record, None] = {}
    for rdata in rdatas:
        if isinstance(rdata, (A, AAAA)):
            found[str(ipaddress.ip_address(rdata.address))] = None
            if len(found) >= MAX_RECORDS:
                break
    return tuple(found)


def _txt(rdatas: Iterable[Rdata]) -> tuple[Record, ...]:
    found: list[Record] = []
    for rdata in rdatas:
        if isinstance(rdata, TXT):
            found.append(b"".join(rdata.strings))
            if len(found) >= MAX_RECORDS:
                break
    return tuple(found)


def _ptr(rdatas: Iterable[Rdata]) -> tuple[Record, ...]:
    found: dict[Record, None] = {}
    for rdata in rdatas:
        if isinstance(rdata, PTR):
            host = host_text(rdata.target)
            if host is not None:
                found[host] = None
                if len(found) >= MAX_RECORDS:
                    break
    return tuple(found)


def _tlsa(rdatas: Iterable[Rdata]) -> tuple[Record, ...]:
    found: list[Record] = []
    for rdata in rdatas:
        if isinstance(rdata, TLSA):
            found.append(TlsaRecord(rdata.usage, rdata.selector, rdata.mtype, bytes(rdata.cert)))
            if len(found) >= MAX_RECORDS:
                break
    return tuple(found)


_CONVERSIONS: dict[RecordType, Callable[[Iterable[Rdata]], tuple[Record, ...]]] = {
    RecordType.A: _addresses,
    RecordType.AAAA: _addresses,
    RecordType.MX: _mx,
    RecordType.TXT: _txt,
    RecordType.PTR: _ptr,
    RecordType.TLSA: _tlsa,
}
