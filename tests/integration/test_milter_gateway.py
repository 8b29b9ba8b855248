"""policy.milters, through a gateway as it runs: real milters, and some that are no good."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable

from tests.integration.loopback import free_port
from tests.integration.milters import OpenDkim, Rspamd
from tests.integration.policy import PolicyTestCase

_QUEUED = "250 2.0.0 Ok: queued as "
_HEADER = "From: <alice@example.test>\r\nTo: <bob@here.test>\r\nSubject: hello\r\nMessage-ID: <1@example.test>\r\n\r\n"
_REJECTED = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
_MARKED = "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"


class RealMilterTests(PolicyTestCase):
    """Programs from Debian's packages."""

    def test_rspamd_and_opendkim(self) -> None:
        """One after the other: spam is refused, suspect mail marked, and what is taken is signed as it then is."""
        folders = [self.folder / name for name in ("rspamd", "opendkim")]
        for folder in folders:
            folder.mkdir()
        rspamd = Rspamd(folders[0])
        self.addCleanup(rspamd.close)
        opendkim = OpenDkim(folders[1])
        self.addCleanup(opendkim.close)
        # OpenDKIM signs for internal hosts, which loopback is.
        self.serve(f'[policy]\nmilters = ["{rspamd.address}", "{opendkim.address}"]')
        client = self.connect("127.0.0.1")
        sender = "alice@example.test"
        refused = client.send("bob@here.test", sender=sender, message=_HEADER + _REJECTED)
        self.assertEqual(refused, "554 5.7.1 Gtube pattern")
        self.assertEqual(self.line("smtp.reject")["check"], "milter")
        self.assert_says(_QUEUED, client.send("bob@here.test", sender=sender, message=_HEADER + _MARKED))
        (message,) = self.arrived(1)
        message = message.replace(b"\r\n", b"\n")
        self.assertIn(b"\nX-Spam: Yes\n", message)
        self.assertIn(b"\nDKIM-Signature: v=1; ", message)
        self.assertLess(message.index(b"Received: "), message.index(b"DKIM-Signature"))
        self.assertTrue(message.endswith(b"\n\n" + _MARKED.replace("\r\n", "\n").encode()))
        client.close()
        rspamd.close()
        again = self.connect("127.0.0.1")
        self.assert_says("451 4.7.1", again.send("bob@here.test", sender=sender))
        self.assertEqual(len(self.arrived(1)), 1)


class BadMilter:
    """Something that is no milter, on a port. :ivar address: as in ``policy.milters``."""

    def __init__(self, talk: Callable[[socket.socket], object]) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address = f"inet:127.0.0.1:{self._server.getsockname()[1]}"
        self._talk = talk
        self._kept: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            self._kept.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self._talk(connection)

    def close(self) -> None:
        """Hang up."""
        self._server.close()
        for connection in self._kept:
            connection.close()


def _packet(payload: bytes) -> bytes:
    return struct.pack("!I", len(payload)) + payload


def _options(version: int = 6, actions: int = 0x1FF, protocol: int = 0) -> bytes:
    return _packet(b"O" + struct.pack("!III", version, actions, protocol))


def _agree(answers: dict[bytes, bytes]) -> Callable[[socket.socket], None]:
    """Agree on options; then answer each command with what stands here, or else with CONTINUE."""

    def talk(connection: socket.socket) -> None:
        stream = connection.makefile("rb")
        while len(head := stream.read(4)) == 4:
            command = stream.read(struct.unpack("!I", head)[0])[:1]
            if command == b"O":
                connection.sendall(_options())
            elif command not in b"DAQK":
                connection.sendall(answers.get(command, _packet(b"c")))

    return talk


class BadMilterTests(PolicyTestCase):
    """Whatever is wrong with one, no mail slips in, none is refused for good, and nobody waits for long."""

    def bad(self, talk: Callable[[socket.socket], object]) -> str:
        """Its address."""
        milter = BadMilter(talk)
        self.addCleanup(milter.close)
        return milter.address

    def serve_with(self, *addresses: str, when_down: str = "delay") -> None:
        """A gateway with a listener that asks them."""
        tables = ", ".join(
            f'{{address = "{address}", timeout = 0.7, when_down = "{when_down}"}}' for address in addresses
        )
        self.serve(f"[policy]\nmilters = [{tables}]")

    def test_no_milters(self) -> None:
        """Dead, silent, garbage, an endless packet, one that hangs up, an HTTP server: 451, each time."""
        talks = (
            lambda connection: None,
            lambda connection: connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
            lambda connection: connection.sendall(b"\xff" * 65536),
            lambda connection: connection.sendall(_packet(b"")),
            lambda connection: connection.sendall(struct.pack("!I", 1 << 20) + b"O" * 100_000),
            lambda connection: connection.shutdown(socket.SHUT_RDWR),
            lambda connection: connection.sendall(_options(version=99)),
            lambda connection: connection.sendall(_options(version=1)),
            lambda connection: connection.sendall(_options() + _packet(b"c") * 1000),
            lambda connection: connection.sendall(_options() + _packet(b"y999 no such code\0")),
        )
        for address in (f"inet:127.0.0.1:{free_port()}", "unix:nowhere.sock", *map(self.bad, talks)):
            self.serve_with(address)
            answer = self.connect().send("bob@here.test")
            self.assertEqual(answer[:9], "451 4.7.1", answer)
            self.assertNotIn("127.0.0.1", answer)
            self.assertNotIn("nowhere", answer)
            line = self.line("smtp.reject")
            self.assertEqual(line["check"], "milter")
            self.assertIn(address.removeprefix("unix:"), line["cause"])
            self.stop()
            self.assertNotIn("Traceback", self.gateway.log_text())

    def test_accept(self) -> None:
        """With when_down = "accept" mail goes on without them, with a remark; its changes are not made by half."""
        # Agrees to everything, adds a field at the end, and then says what is no answer.
        added = _packet(b"h" + b"X-Half\0yes\0")
        halfway = _agree({b"E": added + _packet(b"?")})
        addresses = (f"inet:127.0.0.1:{free_port()}", self.bad(lambda connection: None), self.bad(halfway))
        self.serve_with(*addresses, when_down="accept")
        self.assert_says(_QUEUED, self.connect().send("bob@here.test"))
        notes = str(self.line("msg.queued")["notes"])
        for address in addresses[:2]:
            self.assertIn(f"milter: not asked: {address}", notes)
        (message,) = self.arrived(1)
        self.assertNotIn(b"X-Half", message)
        self.assertIn(f"milter: not asked: {addresses[2]}: its answer is unknown", self.gateway.log_text())

    def test_hostile_words(self) -> None:
        """What a milter says to the client can't end a line, and is not read as another reply."""
        reply = _packet(b"y550 5.7.1 no\r\n250 2.0.0 Ok: queued as FAKE\r\n\x1b[31m\0")
        self.serve_with(self.bad(_agree({b"M": reply})))
        client = self.connect()
        answer = client.mail("bob@here.test")
        self.assertNotEqual(answer[:1], "2", answer)
        self.assertNotIn("\x1b", answer)
        # In step: the next reply is to the next command.
        self.assertEqual(client.say("NOOP"), "250 2.0.0 Ok")

    def test_verdicts(self) -> None:
        """Each of its words has its reply, at each stage."""
        for answer, begins in (
            (b"r", "550 5.7.1"),
            (b"t", "451 4.7.1"),
            (b"y452 4.2.2 Full, says it\0", "452 4.2.2 Full, says it"),
            (b"y554 5.7.1 One\r\n554 5.7.1 Two\0", "554-5.7.1 One\n554 5.7.1 Two"),
        ):
            self.serve_with(self.bad(_agree({b"R": _packet(answer)})))
            self.assert_says(begins, self.connect().mail("bob@here.test"))
            self.stop()

    def test_quarantine(self) -> None:
        """The message is held with the reason until it is released; a discarded one is gone, and the log has both."""
        self.serve_with(self.bad(_agree({b"E": _packet(b"qlooks\x1b odd\0") + _packet(b"c")})))
        self.assert_says(_QUEUED, self.connect().send("bob@here.test"))
        qid = self.line("msg.held")["qid"]
        shown = self.gateway.command("queue", "show", qid).stdout
        self.assertIn(b"held by a filter: looks", shown)
        self.assertNotIn(b"\x1b", shown)
        self.assertEqual(list((self.folder / "mail").glob("**/new/*")), [])
        self.assertEqual(self.gateway.command("queue", "release", qid, "--yes").returncode, 0)
        self.arrived(1)
        self.stop()
        self.serve_with(self.bad(_agree({b"E": _packet(b"d")})))
        self.assert_says(_QUEUED, self.connect().send("bob@here.test"))
        self.line("msg.dropped")

    def test_our_own_command(self) -> None:
        """What ``smtpgw send`` hands in goes through them, too; other rules don't ask about it."""
        self.serve_with(self.bad(_agree({b"E": _packet(b"h" + b"X-Seen\0yes\0") + _packet(b"c")})))
        message = b"From: root@here.test\nTo: bob@here.test\nSubject: x\n\nHello\n"
        sent = self.gateway.command("send", "bob@here.test", stdin=message)
        self.assertEqual(sent.returncode, 0, sent)
        (arrived,) = self.arrived(1)
        self.assertIn(b"X-Seen: yes", arrived)

    def test_many_clients(self) -> None:
        """A milter that hangs holds up its own clients alone, and goes with them; the gateway stops at once."""
        self.serve_with(self.bad(lambda connection: None))
        clients = [self.connect(f"198.51.100.{number}") for number in range(20)]
        for client in clients:
            client.socket.sendall(b"MAIL FROM:<a@client.test>\r\n")
        self.assert_says("250", self.connect().say("NOOP"))
        self.assertEqual({client.reply()[:9] for client in clients}, {"451 4.7.1"})
