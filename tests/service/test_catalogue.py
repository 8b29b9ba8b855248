"""The configuration's words become sinks, routes and checks."""

# mypy: no-check-untyped-defs

import sys
import types
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.load import config_from_text
from smtpgw.config.schema import ListenConfig
from smtpgw.model.envelope import MailFrom, Recipient
from smtpgw.model.outcome import Failed
from smtpgw.model.reply import reply
from smtpgw.model.route import Route, ViaFail, ViaHost, ViaMx, ViaSink
from smtpgw.service import catalogue
from smtpgw.sinks.callback import CallbackSink
from smtpgw.sinks.discard import DiscardSink
from smtpgw.sinks.maildir import MaildirSink
from smtpgw.spool.bodies import InlineBody
from tests.service.house import CLIENT, AtOnce, mailbox

TOML = """
hostname = "gw.test"
[relay]
networks = ["192.0.2.0/24"]
[[domain]]
name = "here.test"
recipients = ["Alice"]
deliver = "maildir:/tmp/{domain}/{local}"
[[domain]]
name = "*.sub.test"
deliver = "discard:"
[[route]]
to = "*.partner.test"
via = "smtp:relay.test:587"
tls = "required"
"""


class CatalogueTests(SynchronousTestCase):
    """One configuration, read."""

    def setUp(self):
        self.config = config_from_text(TOML, "test.toml", folder=Path("/"))
        self.domains = catalogue.local_domains(self.config, lambda: 0.0)
        self.sinks = catalogue.SinkCatalogue(AtOnce(), "gw.test", {})

    def test_asked_recipients(self):
        """A place that is asked becomes what asks it; who can ask nobody says so."""
        text = '[[domain]]\nname = "a.test"\nrecipients = "sqlite:users.db"\n'
        config = config_from_text(text, "test.toml", folder=Path("/"), machine_name=lambda: "gw.test")
        domains = catalogue.local_domains(
            config, lambda: 0.0, lambda place: lambda local, domain: place.path.name == local
        )
        self.assertIs(domains.find("a.test").recipients("users.db", "a.test"), True)
        self.assertRaises(ValueError, catalogue.local_domains, config, lambda: 0.0)

    def test_routes(self):
        """Local domains first, then the rules, then the MX hosts."""
        router = catalogue.router(self.config, self.domains)
        self.assertIsInstance(router.route("here.test", "").via, ViaSink)
        self.assertIsInstance(router.route("x.sub.test", "").via, ViaSink)
        self.assertEqual(router.route("x.partner.test", "").via, ViaHost("relay.test", 587))
        self.assertEqual(router.route("partner.test", "").via, ViaMx(25))

    def test_sinks(self):
        """Each URL has its sink, made once."""
        maildir = self.domains.find("here.test").deliver
        self.assertIsInstance(self.sinks.sink(maildir), MaildirSink)
        self.assertIs(self.sinks.sink(maildir), self.sinks.sink(maildir))
        self.assertIsInstance(self.sinks.sink(Route("d", ViaSink("discard:"))), DiscardSink)

    def test_handler(self):
        """A Python function is found by its name, and a missing one is an error at the start."""
        module = types.ModuleType("catalogue_handler")

        async def receive(message):
            """Takes everything."""

        module.receive = receive
        self.patch(sys, "modules", {**sys.modules, "catalogue_handler": module})
        sink = self.sinks.sink(Route("h", ViaSink("python:catalogue_handler:receive")))
        self.assertIsInstance(sink, CallbackSink)
        self.assertRaises(ValueError, self.sinks.sink, Route("i", ViaSink("python:catalogue_handler:nothing")))

    def test_unknown_sink(self):
        """A URL that no sink takes never becomes one."""
        self.assertRaises(ValueError, self.sinks.sink, Route("x", ViaSink("teapot:")))
        self.assertRaises(TypeError, self.sinks.sink, Route("y", ViaMx()))

    def test_refusing(self):
        """A route that fails gives its words to every recipient."""
        answer = reply(550, "5.7.1", "no mail for them")
        sink = self.sinks.sink(Route("f", ViaFail(answer)))
        recipients = (Recipient(mailbox("a@b.test")), Recipient(mailbox("c@b.test")))
        outcomes = self.successResultOf(Deferred.fromCoroutine(sink.deliver(None, recipients, InlineBody(b""))))
        self.assertEqual(outcomes, (Failed("5.7.1", "550 5.7.1 no mail for them", reply=answer),) * 2)

    def test_mx_listener(self):
        """Our recipients for everybody, the rest of the world for the relay networks."""
        networks = self.config.relay.networks
        self.assertEqual(self.verdicts(ListenConfig(relay_networks=networks)), [True, False, True])
        self.assertEqual(self.verdicts(ListenConfig(relay_networks=())), [True, False, False])

    def verdicts(self, listen):
        """Whether alice, a stranger at our domain and somebody elsewhere are accepted."""
        checks = catalogue.rcpt_checks(self.config, listen, self.domains)
        return [
            all(
                not hasattr(check.check_rcpt(CLIENT, MailFrom(None), Recipient(mailbox(address))), "reply")
                for check in checks
            )
            for address in ("alice@here.test", "bob@here.test", "x@elsewhere.test")
        ]
