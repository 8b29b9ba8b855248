"""A name server on loopback for a few made-up domains, in a thread of its own."""

import contextlib
import socketserver
import struct
import threading
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from tests.integration.loopback import free_port

_TTL_SECONDS = 60
_SOA = "ns.test. hostmaster.test. 1 3600 600 86400 1"

Zone = Mapping[tuple[str, str], Sequence[str]]
"""``("some.test", "MX"): ["10 mx1.some.test."]``. Names that are in no key don't exist."""


def answer_to(zone: Zone, question: bytes) -> bytes | None:
    """The reply to one question in wire format; ``None`` for what can't be read."""
    try:
        query = dns.message.from_wire(question)
    except Exception:  # whatever it is, a name server has nothing to say to it
        return None
    response = dns.message.make_response(query)
    response.flags |= dns.flags.AA
    (asked,) = query.question
    name = asked.name.to_text(omit_final_dot=True).lower()
    kind = dns.rdatatype.to_text(asked.rdtype)
    records = zone.get((name, kind))
    if records:
        response.answer.append(dns.rrset.from_text(asked.name, _TTL_SECONDS, "IN", kind, *records))
    else:
        if not any(name == known for known, _ in zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        response.authority.append(dns.rrset.from_text("test.", _TTL_SECONDS, "IN", "SOA", _SOA))
    return response.to_wire()


class NameServer:
    """
    Answers on UDP and TCP until it is closed.

    :ivar asked: every question so far, name and type.
    """

    def __init__(self, zone: Zone) -> None:
        self.port = free_port()
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Datagram(socketserver.BaseRequestHandler):
            """One question, one answer."""

            def handle(self) -> None:
                """Answer it."""
                octets, socket = self.request
                if reply := outer.reply(zone, octets):
                    socket.sendto(reply, self.client_address)

        class Stream(socketserver.StreamRequestHandler):
            """Questions with their length in front (RFC 1035 section 4.2.2)."""

            def handle(self) -> None:
                """Answer one after the other."""
                while len(head := self.rfile.read(2)) == 2:
                    if reply := outer.reply(zone, self.rfile.read(struct.unpack("!H", head)[0])):
                        self.wfile.write(struct.pack("!H", len(reply)) + reply)

        class StreamServer(socketserver.ThreadingTCPServer):
            """Starts again at once on the same port."""

            allow_reuse_address = True
            daemon_threads = True

        self._servers: tuple[socketserver.BaseServer, ...] = (
            socketserver.UDPServer(("127.0.0.1", self.port), Datagram),
            StreamServer(("127.0.0.1", self.port), Stream),
        )
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True) for server in self._servers
        ]
        for thread in self._threads:
            thread.start()

    def reply(self, zone: Zone, octets: bytes) -> bytes | None:
        """Answer, and note what was asked."""
        with contextlib.suppress(Exception):
            (asked,) = dns.message.from_wire(octets).question
            self.asked.append((asked.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(asked.rdtype)))
        return answer_to(zone, octets)

    def close(self) -> None:
        """Stop both."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        for thread in self._threads:
            thread.join(5)
