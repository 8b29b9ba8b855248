"""The gateway's end of the control socket."""

import base64
import json
import os
import socket
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock, StringTransportWithDisconnection
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.service.control import ControlConnection, ControlServer
from smtpgw.service.control_protocol import MAX_LINE_OCTETS, ControlTrouble, write_request


class Verbs:
    """Some verbs."""

    def __init__(self) -> None:
        self.later: Deferred[object] = Deferred()
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def mapping(self) -> dict[str, Any]:
        return {"echo": self.echo, "later": self.wait, "fail": self.fail, "refuse": self.refuse, "usage": self.usage}

    def echo(self, arguments: dict[str, Any]) -> object:
        self.calls.append(("echo", arguments))
        return arguments

    async def wait(self, arguments: dict[str, Any]) -> object:
        self.calls.append(("later", arguments))
        return await self.later

    def fail(self, arguments: dict[str, Any]) -> object:
        raise ValueError("secret of the inside")

    def refuse(self, arguments: dict[str, Any]) -> object:
        raise ControlTrouble("no such message", "not_found")

    def usage(self, arguments: dict[str, Any]) -> object:
        return msgspec.convert(arguments, type=dict[str, int])


class ConnectionTests(SynchronousTestCase):
    """Requests on one connection."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.verbs = Verbs()
        self.server = ControlServer(self.verbs.mapping(), max_content_octets=1000)
        folder = Path(self.mktemp())
        folder.mkdir()
        self.server.listen(self.reactor, folder)
        self.connection, self.transport = self.connect()

    def connect(self) -> tuple[ControlConnection, StringTransportWithDisconnection]:
        connection = self.server.buildProtocol(None)
        assert connection is not None
        transport = StringTransportWithDisconnection()
        transport.protocol = connection
        connection.makeConnection(transport)
        return connection, transport

    def answers(self) -> list[Any]:
        found = [json.loads(line) for line in self.transport.value().splitlines()]
        self.transport.clear()
        return found

    def ask(self, *lines: bytes) -> list[Any]:
        for line in lines:
            self.connection.dataReceived(line)
        return self.answers()

    def test_answer(self) -> None:
        """One line for one line, also octet by octet."""
        line = b'{"verb": "echo", "arguments": {"a": 1}}\n'
        self.assertEqual(self.ask(line), [{"ok": True, "result": {"a": 1}}])
        self.assertEqual(self.ask(*[line[i : i + 1] for i in range(len(line))]), [{"ok": True, "result": {"a": 1}}])

    def test_no(self) -> None:
        """Each kind of no has its code; what broke inside stays inside, and is in the log."""
        refused, unknown, nonsense, arguments = self.ask(
            b'{"verb": "refuse"}\n{"verb": "nothing"}\nnonsense\n{"verb": "usage", "arguments": {"a": "x"}}\n'
        )
        self.assertEqual(refused, {"ok": False, "error": "no such message", "code": "not_found"})
        self.assertEqual(unknown, {"ok": False, "error": "unknown verb 'nothing'", "code": "unknown_verb"})
        self.assertEqual((nonsense["ok"], nonsense["code"]), (False, "usage"))
        self.assertIn("not a request", nonsense["error"])
        self.assertEqual((arguments["ok"], arguments["code"]), (False, "usage"))
        self.assertIn("int", arguments["error"])
        (answer,) = self.ask(b'{"verb": "fail"}\n')
        self.assertEqual(answer["code"], "internal")
        self.assertNotIn("secret", answer["error"])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(self.ask(b'{"verb": "echo"}\n'), [{"ok": True, "result": {}}])

    def test_in_order(self) -> None:
        """While one is being done, the next is not begun, and the transport is paused."""
        self.assertEqual(self.ask(b'{"verb": "later"}\n{"verb": "echo"}\n'), [])
        self.assertEqual(self.transport.producerState, "paused")
        self.assertEqual([name for name, _ in self.verbs.calls], ["later"])
        self.verbs.later.callback("done")
        self.assertEqual(self.answers(), [{"ok": True, "result": "done"}, {"ok": True, "result": {}}])
        self.assertEqual(self.transport.producerState, "producing")

    def test_gone_meanwhile(self) -> None:
        """Nobody hears the result, and nothing breaks."""
        self.ask(b'{"verb": "later"}\n')
        self.transport.loseConnection()
        self.verbs.later.callback("done")
        self.assertEqual(self.answers(), [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_content(self) -> None:
        """Pieces become the argument of the next request, and of no other."""
        content = os.urandom(1000)
        (answer,) = self.ask(*write_request("echo", {"from": "a"}, content))
        self.assertEqual(answer["result"], {"from": "a", "content": base64.b64encode(content).decode()})
        self.assertEqual(self.ask(*write_request("echo", {})), [{"ok": True, "result": {}}])

    def test_too_much_content(self) -> None:
        """Refused with its request; nothing is kept, and the connection goes on."""
        pieces = [b'{"piece": "%s"}\n' % (b"A" * 600)] * 10
        (answer,) = self.ask(*pieces, b'{"verb": "echo"}\n')
        self.assertEqual((answer["ok"], answer["code"]), (False, "too_large"))
        self.assertEqual(self.verbs.calls, [])
        self.assertEqual(self.ask(b'{"verb": "echo"}\n'), [{"ok": True, "result": {}}])

    def test_long_line(self) -> None:
        """A line without end is answered and hung up on, long before it fills the memory."""
        self.ask(b"x" * MAX_LINE_OCTETS)
        self.assertTrue(self.transport.connected)
        (answer,) = self.ask(b"x")
        self.assertEqual(answer["code"], "too_large")
        self.assertFalse(self.transport.connected)

    def test_silence(self) -> None:
        """A connection that says nothing ends; one that waits for its answer does not."""
        _, transport = self.connect()
        self.ask(b'{"verb": "later"}\n')
        self.reactor.advance(61)
        self.assertFalse(transport.connected)
        self.assertTrue(self.transport.connected)
        self.verbs.later.callback(None)
        self.reactor.advance(61)
        self.assertFalse(self.transport.connected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_many_connections(self) -> None:
        """More than some dozens are hung up on, until one leaves."""
        transports = [self.connect()[1] for _ in range(31)]
        self.assertIsNone(self.server.buildProtocol(None))
        transports[0].loseConnection()
        self.assertIsNotNone(self.server.buildProtocol(None))

    def test_stop(self) -> None:
        """Every connection is closed."""
        stopping = Deferred.fromCoroutine(self.server.stop())
        self.successResultOf(stopping)
        self.assertFalse(self.transport.connected)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class ListenTests(SynchronousTestCase):
    """The socket in the spool's folder."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "control.sock"
        self.server = ControlServer({})

    def listen(self) -> None:
        self.server.listen(self.reactor, self.folder)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.server.stop()))

    def test_owner_only(self) -> None:
        """Nobody else may control the gateway."""
        self.listen()
        ((path, factory, _, mode, _),) = self.reactor.unixServers
        self.assertTrue(path.endswith("/control.sock"))
        self.assertIs(factory, self.server)
        self.assertEqual(mode, 0o600)

    def leave_socket(self) -> socket.socket:
        left = socket.socket(socket.AF_UNIX)
        self.addCleanup(left.close)
        descriptor = os.open(self.folder, os.O_RDONLY)
        self.addCleanup(os.close, descriptor)
        left.bind(f"/proc/self/fd/{descriptor}/control.sock")
        return left

    def test_dead_gateway(self) -> None:
        """The socket that a killed gateway has left is taken away."""
        self.leave_socket().close()
        self.assertTrue(self.path.exists())
        self.listen()
        self.assertFalse(self.path.exists())

    def test_living_gateway(self) -> None:
        """One that answers is left alone."""
        self.leave_socket().listen()
        self.assertRaises(OSError, self.listen)
        self.assertTrue(self.path.exists())

    def test_can_not_be_bound(self) -> None:
        """Told as OSError, with the reason."""

        def listen(path: str, factory: object, mode: int) -> object:
            raise CannotListenError(None, path, OSError(28, "No space left on device"))

        self.patch(self.reactor, "listenUNIX", listen)
        self.assertIn("No space left on device", str(self.assertRaises(OSError, self.listen)))

    def test_something_else(self) -> None:
        """A file of that name is nobody's to remove."""
        self.path.write_text("mine")
        self.assertRaises(OSError, self.listen)
        self.assertEqual(self.path.read_text(), "mine")
        self.assertEqual(self.reactor.unixServers, [])
