"""
The header by which a proxy tells for whom it speaks (PROXY protocol, versions 1 and 2), without input or output.

Known to be bad: the optional parts of version 2 (TLVs) are stepped over, whatever they say; their checksum as well.
"""

import re
import struct
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from msgspec import Struct

_MAX_LINE_OCTETS = 107
"""Of version 1, with CR LF, as its specification says."""

_MAX_BLOCK_OCTETS = 4096
"""Of version 2. Its length field would allow 64 KiB, of which no proxy in use needs a tenth."""

_V1 = b"PROXY "
_V2 = b"\r\n\r\n\0\r\nQUIT\n"
_V2_HEAD_OCTETS = 16

_V1_LINE = re.compile(rb"PROXY (TCP4|TCP6) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})\Z")
_V1_UNKNOWN = re.compile(rb"PROXY UNKNOWN(?: [\x20-\x7e]*)?\Z")

_MAX_PORT = 65535

_LOCAL = 0x20
_PROXY = 0x21
_UNSPECIFIED = 0x00
_TCP4 = 0x11
_TCP6 = 0x21
_UNIX = 0x31

_ADDRESS_OCTETS = {_UNSPECIFIED: 0, _TCP4: 12, _TCP6: 36, _UNIX: 216}


class BadProxyHeader(Exception):
    """What came is no header, or one that can't be believed. The text holds nothing that the peer sent."""


class ProxiedClient(Struct, frozen=True):
    """
    For whom the proxy speaks.

    :ivar address: IP address as text, an IPv4 address never as IPv6; empty: the proxy speaks for itself, or for
        somebody of whom it knows no address, and its own stands.
    """

    address: str = ""
    port: int = 0


class ProxyHeaderReader:
    """
    Reads one header from the front of a connection; holds back at most 4 KiB.

    :ivar rest: what came behind the header; no octet of it was looked at.
    """

    __slots__ = ("_buffer", "rest")

    def __init__(self) -> None:
        self._buffer = b""
        self.rest = b""

    def feed(self, octets: bytes) -> ProxiedClient | None:
        """
        Take input; ``None``: more is needed. Not to be called again after a client.

        :raises BadProxyHeader: as soon as it is clear.
        """
        buffer = self._buffer = self._buffer + octets
        if buffer.startswith(_V1) or _V1.startswith(buffer):
            return self._line(buffer)
        if buffer.startswith(_V2) or _V2.startswith(buffer):
            return self._block(buffer)
        raise BadProxyHeader("no header")

    def _line(self, buffer: bytes) -> ProxiedClient | None:
        end = buffer.find(b"\r\n", 0, _MAX_LINE_OCTETS)
        if end < 0:
            if len(buffer) >= _MAX_LINE_OCTETS:
                raise BadProxyHeader("the line is too long")
            return None
        self.rest = buffer[end + 2 :]
        self._buffer = b""
        line = buffer[:end]
        if _V1_UNKNOWN.match(line):
            return ProxiedClient()
        found = _V1_LINE.match(line)
        if found is None:
            raise BadProxyHeader("the line makes no sense")
        family, source, destination, port, own_port = (part.decode("ascii") for part in found.groups())
        if int(port) > _MAX_PORT or int(own_port) > _MAX_PORT:
            raise BadProxyHeader("a port is too high")
        try:
            if family == "TCP4":
                IPv4Address(destination)
                return ProxiedClient(str(IPv4Address(source)), int(port))
            IPv6Address(destination)
            return ProxiedClient(_text(IPv6Address(source)), int(port))
        except AddressValueError as trouble:
            raise BadProxyHeader("an address makes no sense") from trouble

    def _block(self, buffer: bytes) -> ProxiedClient | None:
        if len(buffer) < _V2_HEAD_OCTETS:
            return None
        command, family, length = struct.unpack_from(">BBH", buffer, len(_V2))
        if command not in (_LOCAL, _PROXY):
            raise BadProxyHeader("another version or command")
        end = _V2_HEAD_OCTETS + length
        if end > _MAX_BLOCK_OCTETS:
            raise BadProxyHeader("the header is too long")
        # Of LOCAL nothing counts but its length.
        if command == _PROXY:
            needed = _ADDRESS_OCTETS.get(family)
            if needed is None:
                raise BadProxyHeader("not a stream, or an unknown kind of address")
            if length < needed:
                raise BadProxyHeader("the addresses are cut off")
        if len(buffer) < end:
            return None
        self.rest = buffer[end:]
        self._buffer = b""
        if command == _LOCAL or family in (_UNSPECIFIED, _UNIX):
            return ProxiedClient()
        if family == _TCP4:
            source, port = struct.unpack_from(">4s4xH", buffer, _V2_HEAD_OCTETS)
            return ProxiedClient(str(IPv4Address(source)), port)
        source, port = struct.unpack_from(">16s16xH", buffer, _V2_HEAD_OCTETS)
        return ProxiedClient(_text(IPv6Address(source)), port)


def _text(address: IPv6Address) -> str:
    mapped = address.ipv4_mapped
    return str(address if mapped is None else mapped)
