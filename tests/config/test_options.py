"""What the options of the command line mean, alone and over a file."""

from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.errors import ConfigErrors
from smtpgw.config.load import StartOptions, config_from_options, config_from_text
from smtpgw.config.schema import Config, DomainConfig, ListenConfig, Role, RouteConfig
from smtpgw.config.values import machine_host_name
from smtpgw.model.route import ViaHost, ViaSink
from tests.config.mistakes import mistakes_in

HERE = Path("/current")


def read(environ: dict[str, str] | None = None, **options: Any) -> Config:
    return config_from_options(StartOptions(**options), environ or {}, HERE, lambda: "mx.example")


def mistakes(**options: Any) -> list[str]:
    return mistakes_in(read, **options)


class AloneTests(SynchronousTestCase):
    """Options without a file."""

    def test_none(self) -> None:
        """The zero configuration is that of an empty file."""
        self.assertEqual(read(), config_from_text("", "f", {}, HERE, lambda: "mx.example"))

    def test_each(self) -> None:
        """Every option sets its key; relative paths start in the current folder."""
        networks = (IPv4Network("10.0.0.0/8"), IPv4Network("192.0.2.1/32"))
        config = read(
            port=25,
            interface="::",
            hostname="gw.example",
            spool="q",
            domains=("a.example", "b.example"),
            deliver="maildir:m/{local}",
            relay_from=("10.0.0.0/8", "192.0.2.1"),
            smarthost="mail.example.net:587",
        )
        self.assertEqual(config.hostname, "gw.example")
        self.assertEqual(config.spool.store, HERE / "q")
        self.assertEqual(config.listen, (ListenConfig(r"tcp:25:interface=\:\:", relay_networks=networks),))
        deliver = ViaSink("maildir:/current/m/{local}")
        self.assertEqual(
            config.domains, (DomainConfig("a.example", deliver=deliver), DomainConfig("b.example", deliver=deliver))
        )
        self.assertEqual(config.routes, (RouteConfig(via=ViaHost("mail.example.net", 587)),))

    def test_default_place_of_domains(self) -> None:
        """Mail of --domain goes into Maildirs in the current folder."""
        (domain,) = read(domains=("a.example",)).domains
        self.assertEqual(domain.deliver, ViaSink("maildir:/current/smtpgw-mail/{domain}/{local}"))

    def test_interface_or_port(self) -> None:
        """One keeps the default of the other."""
        self.assertEqual(read(port=0).listen[0].endpoint, "tcp:0:interface=127.0.0.1")
        self.assertEqual(read(interface="0.0.0.0").listen[0].endpoint, "tcp:2525:interface=0.0.0.0")

    def test_wins_over_environment(self) -> None:
        """The command line has the last word."""
        environ = {"SMTPGW_HOSTNAME": "env.example", "SMTPGW_SPOOL__STORE": "/env"}
        self.assertEqual(read(environ, hostname="gw.example").hostname, "gw.example")
        self.assertEqual(read(environ).spool.store, Path("/env"))

    def test_errors_are_named_by_the_option(self) -> None:
        """All of them at once, in the words of the command line."""
        self.assertEqual(
            mistakes(
                hostname="a b",
                port=70000,
                relay_from=("10.0.0.0/8", "x"),
                smarthost="h h",
                domains=("*", "a.example"),
                deliver="maildir:{x}",
                spool="postgresql://a/b",
            ),
            [
                "command line: --hostname: 'a b' is not a host name",
                "command line: --relay-from: 'x' is not a network such as '10.0.0.0/8' or '2001:db8::/32'",
                "command line: --port: 'tcp:70000:interface=127.0.0.1': '70000' is not a port number",
                "command line: --domain: '*' is not a domain name such as 'example.com' or '*.example.com'",
                "command line: --deliver: '{x}' is not one of {local}, {domain}, {tag}",
                "command line: --smarthost: 'h h' is not a host name",
            ],
        )

    def test_deliver_without_domain(self) -> None:
        """It would do nothing, and nothing is done silently."""
        self.assertEqual(
            mistakes(deliver="discard:"), ["command line: --deliver: says where the mail of --domain goes; name one"]
        )


class OverFileTests(SynchronousTestCase):
    """Options win over the file they come with."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def read(self, text: str, **options: Any) -> Config:
        self.path.write_text(text)
        return read(config=str(self.path), **options)

    def test_listener(self) -> None:
        """--port moves the file's only listener, and leaves its role and networks."""
        text = '[[listen]]\nendpoint = "tcp:25"\nrole = "relay"\nrelay_networks = []\n'
        (listen,) = self.read(text, port=2626).listen
        self.assertEqual(listen, ListenConfig("tcp:2626:interface=127.0.0.1", Role.RELAY, relay_networks=()))
        self.assertEqual(self.read("", port=2626).listen[0].endpoint, "tcp:2626:interface=127.0.0.1")

    def test_several_listeners(self) -> None:
        """Which one is meant can't be guessed."""
        text = '[[listen]]\nendpoint = "tcp:25"\n[[listen]]\nendpoint = "tcp:26"\n'
        error = self.assertRaises(ConfigErrors, self.read, text, interface="::")
        self.assertEqual(
            str(error),
            "command line: --interface: the configuration has 2 listeners, and which one is meant can't be said",
        )

    def test_domains_and_routes(self) -> None:
        """--domain takes the place of the same domain, --smarthost of all routes."""
        text = (
            '[[domain]]\nname = "a.example"\nrecipients = ["x"]\nsubaddress = "-"\n[[domain]]\nname = "b.example"\n'
            '[[route]]\nvia = "discard:"\n[[route]]\n'
        )
        config = self.read(text, domains=("a.example", "c.example"), deliver="discard:", smarthost="s.example")
        self.assertEqual([domain.name for domain in config.domains], ["a.example", "b.example", "c.example"])
        self.assertEqual(config.domains[0], DomainConfig("a.example", deliver=ViaSink("discard:")))
        self.assertEqual(config.routes, (RouteConfig(via=ViaHost("s.example", 25)),))

    def test_spool_of_option_and_of_file(self) -> None:
        """Each relative to where it was written."""
        self.assertEqual(self.read('[spool]\nstore = "q"').spool.store, self.path.parent / "q")
        self.assertEqual(self.read('[spool]\nstore = "q"', spool="o").spool.store, HERE / "o")

    def test_file_is_named_as_given(self) -> None:
        """And lines of the file stay lines of the file."""
        error = self.assertRaises(ConfigErrors, self.read, "[log]\nlevel = 1\n", hostname="a b")
        self.assertEqual(
            str(error).replace(str(self.path), "FILE"),
            "FILE:2: log.level: 1 is not one of debug, info, warn, error\n"
            "command line: --hostname: 'a b' is not a host name",
        )


class MachineNameTests(SynchronousTestCase):
    """Our name, if nobody gives one."""

    def test_names(self) -> None:
        """A proper full name, else the bare one, else localhost."""
        for short, full, name in (
            ("mx.example.com", "x", "mx.example.com"),
            ("Mx", "mx.example.com", "mx.example.com"),
            ("mx", "localhost.localdomain", "mx"),
            ("mx", "mx", "mx"),
            ("mx", "1.0.0.127.in-addr.arpa", "mx"),
            ("my_host", "my_host", "localhost"),
            ("", "192.0.2.1", "localhost"),
        ):
            self.assertEqual(machine_host_name(short, partial(str, full)), name)

    def test_full_name_is_not_asked_for_in_vain(self) -> None:
        """To ask may mean to wait for a name server."""
        self.assertEqual(machine_host_name("mx.example.com", lambda: self.fail("asked")), "mx.example.com")
