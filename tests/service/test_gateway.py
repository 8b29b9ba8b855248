"""A whole gateway in this process, over real sockets on loopback."""

# mypy: no-check-untyped-defs

import smtplib
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from smtpgw.config.load import config_from_text
from smtpgw.model.notice import Attempted, Queued
from smtpgw.model.outcome import Relayed
from smtpgw.service.gateway import Gateway
from smtpgw.service.listeners import CannotStart
from tests.clauses import holds

NEXT_HOP = """
hostname = "next.test"
[spool]
store = "next-spool"
min_free = 0
[[listen]]
endpoint = "tcp:0:interface=127.0.0.1"
[[domain]]
name = "there.test"
deliver = "maildir:mail/{domain}/{local}"
"""

FIRST = """
hostname = "first.test"
[spool]
store = "spool"
min_free = 0
[[listen]]
endpoint = "tcp:0:interface=127.0.0.1"
[[route]]
to = "*"
via = "smtp:127.0.0.1:%d"
[delivery]
paused = %s
"""


def hand_in(port, count=1, content="Subject: test\r\n\r\nbody\r\n..\r\n"):
    """Some messages, over one connection, by the standard library's client."""
    with smtplib.SMTP("127.0.0.1", port, local_hostname="client.test", timeout=10) as client:
        for number in range(count):
            client.sendmail("me@client.test", [f"user{number}@there.test"], content)


class GatewayTests(TestCase):
    """Started, used, stopped."""

    timeout = 30

    def setUp(self):
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.notices = []

    async def start(self, text):
        """A gateway that is stopped at the end."""
        config = config_from_text(text, "test.toml", folder=self.folder.absolute())
        gateway = Gateway(config, reactor=reactor, publish=[self.notices.append])
        gateway.start()
        return gateway

    async def wait_for(self, condition):
        """Until it holds."""
        for _ in range(500):
            if condition():
                return
            await deferLater(reactor, 0.02)
        self.fail("it never came true")

    def arrived(self):
        """The messages in the Maildirs of the next hop."""
        return [path.read_bytes() for path in self.folder.glob("mail/there.test/*/new/*")]

    async def test_through_two_gateways(self):
        """Ten messages go through one gateway into another, and are there with the trace of both."""
        next_hop = await self.start(NEXT_HOP)
        first = await self.start(FIRST % (next_hop.port(0), "false"))
        try:
            await deferToThread(hand_in, first.port(0), 10)
            await self.wait_for(lambda: len(self.arrived()) == 10)
            relayed = [n for n in self.notices if isinstance(n, Attempted) and isinstance(n.outcome, Relayed)]
            self.assertEqual(len(relayed), 10)
            for content in self.arrived():
                self.assertEqual(content.count(b"\nReceived: from "), 2)
                self.assertIn(b"by first.test (smtpgw) with ESMTP id ", content)
                self.assertTrue(content.endswith(b"\nSubject: test\n\nbody\n..\n"))
        finally:
            await first.stop()
            await next_hop.stop()

    async def test_restart(self):
        """What was kept by one process is delivered by the next."""
        next_hop = await self.start(NEXT_HOP)
        paused = await self.start(FIRST % (next_hop.port(0), "true"))
        try:
            await deferToThread(hand_in, paused.port(0), 5)
            await paused.stop()
            self.assertEqual(self.arrived(), [])
            first = await self.start(FIRST % (next_hop.port(0), "false"))
            await self.wait_for(lambda: len(self.arrived()) == 5)
            await first.stop()
        finally:
            await next_hop.stop()

    @holds("5321", "4.5.3.1.7", "A message of several megabytes is taken and relayed unchanged.")
    async def test_large_message(self):
        """A message of several megabytes passes unchanged, through files instead of memory."""
        content = "Subject: large\r\n\r\n" + ("." + "x" * 76 + "\r\n") * 60_000
        next_hop = await self.start(NEXT_HOP)
        first = await self.start(FIRST % (next_hop.port(0), "false"))
        try:
            await deferToThread(hand_in, first.port(0), 1, content)
            await self.wait_for(self.arrived)
            [arrived] = self.arrived()
            self.assertTrue(arrived.endswith(content.replace("\r\n", "\n").encode()))
        finally:
            await first.stop()
            await next_hop.stop()

    async def test_locked_spool(self):
        """Two gateways never share a spool: the second one says so and leaves nothing behind."""
        first = await self.start(FIRST % (9, "true"))
        try:
            await self.assertFailure(self.later(self.start(FIRST % (9, "true"))), CannotStart)
        finally:
            await first.stop()

    async def test_port_in_use(self):
        """A port that is taken is a clear error, and the spool is free again afterwards."""
        first = await self.start(FIRST % (9, "true"))
        taken = (FIRST % (9, "true")).replace("tcp:0", f"tcp:{first.port(0)}").replace('"spool"', '"other"')
        try:
            trouble = await self.assertFailure(self.later(self.start(taken)), CannotStart)
            self.assertIn("Address already in use", str(trouble))
        finally:
            await first.stop()
        again = await self.start(taken)
        await again.stop()

    async def test_handler_that_is_not_there(self):
        """A handler that can't be loaded is told before a spool is made or a port stays bound."""
        text = (FIRST % (9, "true")) + '[[domain]]\nname = "here.test"\ndeliver = "python:no_such_module:f"\n'
        await self.assertFailure(self.later(self.start(text)), CannotStart)
        self.assertEqual(list(self.folder.iterdir()), [])

    async def test_stop_while_clients_are_there(self):
        """A client that stays is told, and the stop does not wait for ever."""
        first = await self.start(FIRST % (9, "true"))
        client = await deferToThread(smtplib.SMTP, "127.0.0.1", first.port(0), "client.test", 10)
        await first.stop()
        await deferToThread(client.close)
        self.assertEqual([n for n in self.notices if isinstance(n, Queued)], [])

    def later(self, coroutine):
        """As a Deferred."""
        from twisted.internet.defer import Deferred

        return Deferred.fromCoroutine(coroutine)
