"""The gateway as a service: started by twistd's two steps, stopped, and what is said when it can't start."""

# mypy: no-check-untyped-defs

import io
import os
import sys
from pathlib import Path

from twisted.application.service import IService, MultiService
from twisted.mail.smtp import IMessageDelivery, SMTPBadRcpt
from twisted.trial.unittest import TestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from smtpgw.config.load import config_from_text
from smtpgw.service import application
from smtpgw.service.application import make_service

TOML = """
hostname = "gw.test"
[spool]
store = "spool"
min_free = 0
[[listen]]
endpoint = "tcp:%d:interface=127.0.0.1"
"""


@implementer(IMessageDelivery)
class OwnDelivery:
    """A user's own delivery, made without arguments."""

    def receivedHeader(self, helo, origin, recipients):
        """None."""
        return b""

    def validateFrom(self, helo, origin):
        """Everybody."""
        return origin

    def validateTo(self, user):
        """Nobody."""
        raise SMTPBadRcpt(user)


class ServiceTests(TestCase):
    """twistd starts it, and stops it."""

    timeout = 20

    def make(self, delivery=None, port=0, options=None):
        """A service that is not started, in a folder of its own."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        config = config_from_text(TOML % port, "test.toml", folder=folder)
        return make_service(config, delivery, options)

    async def test_start_and_stop(self):
        """It binds while privileged and serves afterwards; a second start after a stop works, too."""
        service = self.make()
        verifyObject(IService, service)
        service.privilegedStartService()
        service.startService()
        self.assertTrue(service.running)
        await service.stopService()
        service.startService()
        await service.stopService()

    def exit_line(self, service, step):
        """What it says on standard error when it can't start."""
        stderr = io.StringIO()
        self.patch(sys, "__stderr__", stderr)
        self.assertEqual(self.assertRaises(SystemExit, getattr(service, step)).code, 1)
        self.flushLoggedErrors()
        return stderr.getvalue()

    async def test_port_in_use(self):
        """A port that is taken is one line and status 1."""
        first = self.make()
        first.startService()
        port = first._gateway.port(0)
        line = self.exit_line(self.make(port=port), "privilegedStartService")
        self.assertEqual(line, f"smtpgw: cannot listen on tcp:{port}:interface=127.0.0.1: Address already in use\n")
        await first.stopService()

    def test_unknown_delivery(self):
        """A --delivery that can't be imported is one line and status 1."""
        line = self.exit_line(self.make("no.such.module"), "privilegedStartService")
        self.assertTrue(line.startswith("smtpgw: --delivery: no.such.module: "))
        self.assertEqual(line.count("\n"), 1)

    async def test_daemon(self) -> None:
        """A daemon says it on the terminal it came from, ends its parent's wait, and leaves no pid file."""
        first = self.make()
        first.startService()
        port = first._gateway.port(0)
        terminal, status = os.pipe(), os.pipe()
        self.patch(application, "_STANDARD_ERROR", terminal[1])
        pidfile = Path(self.mktemp())
        pidfile.write_text(str(os.getpid()))
        options = {"nodaemon": False, "logger": "x", "pidfile": str(pidfile)}
        service = self.make(port=port, options=options)
        service.setServiceParent(MultiService())
        options["statusPipe"] = status[1]
        self.assertEqual(self.exit_line(service, "privilegedStartService"), "")
        os.close(terminal[1])
        said = f"smtpgw: cannot listen on tcp:{port}:interface=127.0.0.1: Address already in use\n"
        for descriptor, octets in ((terminal[0], said.encode()), (status[0], b"1 smtpgw cannot start")):
            with os.fdopen(descriptor, "rb") as stream:
                self.assertEqual(stream.read(), octets)
        self.assertFalse(pidfile.exists())
        await first.stopService()

    async def test_terminal_is_left(self) -> None:
        """A daemon that serves has let go of the terminal."""
        terminal = os.pipe()
        self.patch(application, "_STANDARD_ERROR", terminal[1])
        service = self.make(options={"nodaemon": False, "logger": "x"})
        service.setServiceParent(MultiService())
        os.close(terminal[1])
        service.startService()
        with os.fdopen(terminal[0], "rb") as stream:
            self.assertEqual(stream.read(), b"")
        await service.stopService()

    async def test_descriptors(self):
        """The soft limit of descriptors is raised to what the configured connections need, as far as it may be."""
        limits = [(1024, 4096)]
        self.patch(application.resource, "getrlimit", lambda kind: limits[-1])
        self.patch(application.resource, "setrlimit", lambda kind, both: limits.append(both))
        service = self.make()
        service.startService()
        self.assertEqual(limits[1:], [(4096, 4096)])
        await service.stopService()

    async def test_own_delivery(self):
        """A class of the user's is made, and takes the place of ours."""
        service = self.make("tests.service.test_application.OwnDelivery")
        service.startService()
        self.assertIsInstance(service._gateway._delivery, OwnDelivery)
        await service.stopService()
