"""What a configuration means: defaults, values, layers."""

import os
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.errors import ConfigErrors
from smtpgw.config.load import config_from_text, find_spool, load_config
from smtpgw.config.lookups import EveryRecipient, ListedRecipients
from smtpgw.config.schema import (
    BareNewlines,
    Config,
    DeliveryConfig,
    DnsConfig,
    DomainConfig,
    LimitsConfig,
    ListenConfig,
    ListenTls,
    LogConfig,
    LogFormat,
    LogLevel,
    RelayConfig,
    Role,
    RouteConfig,
    SpoolConfig,
    TlsVersion,
)
from smtpgw.model.reply import Reply
from smtpgw.model.route import TlsNeed, Via, ViaFail, ViaHost, ViaMx, ViaSink
from tests.config.mistakes import mistakes_in

FOLDER = Path("/srv/gateway")


def read(text: str = "", environ: dict[str, str] | None = None) -> Config:
    return config_from_text(text, "smtpgw.toml", environ, FOLDER, lambda: "machine.example")


def mistakes(text: str, environ: dict[str, str] | None = None) -> list[str]:
    """The lines that would be printed; empty for a configuration that is right."""
    return mistakes_in(read, text, environ)


class DefaultTests(SynchronousTestCase):
    """Without configuration a gateway is safe: loopback only, everything bounded."""

    def test_nothing_said(self) -> None:
        """An empty file is the zero configuration."""
        loopback = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
        self.assertEqual(
            read(),
            Config(
                hostname="machine.example",
                spool=SpoolConfig(store=FOLDER / "smtpgw-spool"),
                listen=(ListenConfig("tcp:2525:interface=127.0.0.1", Role.MX, ListenTls.OFF, relay_networks=loopback),),
                relay=RelayConfig(networks=loopback),
            ),
        )

    def test_domain(self) -> None:
        """A domain takes every recipient into Maildirs."""
        (domain,) = read('[[domain]]\nname = "example.com"').domains
        url = "maildir:/srv/gateway/smtpgw-mail/{domain}/{local}"
        self.assertEqual(domain, DomainConfig("example.com", EveryRecipient(), "+", ViaSink(url)))

    def test_machine_name_is_not_asked_for_in_vain(self) -> None:
        """With a hostname in the file the machine's is of no interest: asking may take a while."""
        config = config_from_text('hostname = "mx.example"', "f", {}, FOLDER, lambda: self.fail("asked"))
        self.assertEqual(config.hostname, "mx.example")


class ValueTests(SynchronousTestCase):
    """Every key of the contract arrives, in base units."""

    def test_sections(self) -> None:
        """All of the plain sections, each with values that are not the defaults."""
        config = read("""
            hostname = "MX1.Exämple.com"
            [spool]
            store = "/var/spool/smtpgw"
            min_free = "1 GiB"
            max_messages = 10
            [limits]
            message_size = "10 MB"
            recipients = 100
            connections = 10
            connections_per_client = 2
            messages_per_connection = 3
            errors = 4
            idle_timeout = 60
            session_timeout = "10m"
            hops = 30
            bare_newlines = "normalize"
            header_size = "64 KiB"
            connections_per_minute = 11
            messages_per_minute = 12
            recipients_per_minute = 13
            refused_recipients = 0
            [relay]
            networks = ["192.0.2.1", "2001:db8::/32"]
            [delivery]
            port = 2526
            paused = true
            retry = [1, "1m"]
            expire = "1d"
            warn = 0
            connections_per_site = 5
            messages_per_connection = 6
            connect_timeout = 7
            command_timeout = 8
            data_timeout = 9
            final_timeout = 10.5
            forbidden_networks = []
            [dns]
            servers = ["127.0.0.53:5353", "192.0.2.53", "[::1]:54", "[::1]"]
            [log]
            format = "json"
            level = "warn"
        """)
        networks = (IPv4Network("192.0.2.1/32"), IPv6Network("2001:db8::/32"))
        self.assertEqual(
            config,
            Config(
                hostname="mx1.xn--exmple-cua.com",
                spool=SpoolConfig(Path("/var/spool/smtpgw"), 2**30, 10),
                listen=(ListenConfig(relay_networks=networks),),
                limits=LimitsConfig(
                    *(10_000_000, 100, 10, 2, 3, 4, 60.0, 600.0, 30, BareNewlines.NORMALIZE, 65536),
                    *(11, 12, 13, 0),
                ),
                relay=RelayConfig(networks),
                delivery=DeliveryConfig(2526, True, (1.0, 60.0), 86400.0, 0.0, 5, 6, 7.0, 8.0, 9.0, 10.5, ()),
                dns=DnsConfig((("127.0.0.53", 5353), ("192.0.2.53", 53), ("::1", 54), ("::1", 53))),
                log=LogConfig(LogFormat.JSON, LogLevel.WARN),
            ),
        )

    def test_listeners(self) -> None:
        """Each listener has its own role and networks."""
        config = read("""
            [relay]
            networks = ["10.0.0.0/8"]
            [[listen]]
            endpoint = "tcp:25:interface=0.0.0.0"
            relay_networks = []
            [[listen]]
            endpoint = 'tcp:25:interface=\\:\\:1'
            role = "relay"
            tls = "off"
            [[listen]]
            endpoint = "unix:/run/mx"
        """)
        inside = (IPv4Network("10.0.0.0/8"),)
        self.assertEqual(
            config.listen,
            (
                ListenConfig("tcp:25:interface=0.0.0.0", relay_networks=()),
                ListenConfig(r"tcp:25:interface=\:\:1", Role.RELAY, relay_networks=inside),
                ListenConfig("unix:/run/mx", relay_networks=inside),
            ),
        )

    def test_port_zero_may_repeat(self) -> None:
        """Any free port: two of them do not collide."""
        self.assertEqual(len(read('[[listen]]\nendpoint="tcp:0"\n[[listen]]\nendpoint="tcp:0"').listen), 2)

    def test_domains(self) -> None:
        """Names, recipients and places."""
        config = read("""
            [[domain]]
            name = "*.Example.COM"
            recipients = ["Alice", "bob"]
            subaddress = ""
            deliver = "maildir:/var/mail/{domain}/{local}/{tag}"
            [[domain]]
            name = "bücher.example"
            deliver = "smtp:192.0.2.9:2525"
            subaddress = "-"
            [[domain]]
            name = "a.example"
            deliver = "python:package.module:name"
            [[domain]]
            name = "b.example"
            deliver = "discard:"
            [[domain]]
            name = "c.example"
            deliver = "smtp:[2001:db8::1]"
        """)
        self.assertEqual(
            config.domains,
            (
                DomainConfig(
                    "*.example.com",
                    ListedRecipients(("Alice", "bob")),
                    "",
                    ViaSink("maildir:/var/mail/{domain}/{local}/{tag}"),
                ),
                DomainConfig("xn--bcher-kva.example", subaddress="-", deliver=ViaHost("192.0.2.9", 2525)),
                DomainConfig("a.example", deliver=ViaSink("python:package.module:name")),
                DomainConfig("b.example", deliver=ViaSink("discard:")),
                DomainConfig("c.example", deliver=ViaHost("2001:db8::1", 25)),
            ),
        )

    def test_routes(self) -> None:
        """Patterns and next hops; what a route leaves out comes from [delivery]."""
        config = read("""
            [delivery]
            port = 2526
            connections_per_site = 7
            [[route]]
            to = "*.example.net"
            from = "example.com"
            via = "smtp:Mail.Example.org:587"
            tls = "verify"
            connections = 3
            source = "192.0.2.10"
            [[route]]
            [[route]]
            via = "fail:"
            [[route]]
            via = "fail:550 5.1.2 No such domain"
            [[route]]
            via = "fail:Not from here"
            [[route]]
            via = "discard:"
        """)

        def of(via: Via) -> RouteConfig:
            return RouteConfig(via=via, connections=7)

        self.assertEqual(
            config.routes,
            (
                RouteConfig(
                    "*.example.net", "example.com", ViaHost("mail.example.org", 587), TlsNeed.VERIFY, 3, "192.0.2.10"
                ),
                of(ViaMx(2526)),
                of(ViaFail(Reply(550, "5.7.1", ("Mail to this domain is not accepted",)))),
                of(ViaFail(Reply(550, "5.1.2", ("No such domain",)))),
                of(ViaFail(Reply(550, "5.7.1", ("Not from here",)))),
                of(ViaSink("discard:")),
            ),
        )


class EnvironmentTests(SynchronousTestCase):
    """SMTPGW_SECTION__KEY wins over the file."""

    def test_wins(self) -> None:
        """Typed as TOML, bare where that is no TOML."""
        config = read(
            '[delivery]\nport = 26\n[[listen]]\nendpoint = "tcp:25"\n',
            {
                "SMTPGW_HOSTNAME": "env.example",
                "SMTPGW_DELIVERY__PORT": "27",
                "SMTPGW_DELIVERY__PAUSED": "true",
                "SMTPGW_DELIVERY__RETRY": '["1m", 2]',
                "SMTPGW_LIMITS__IDLE_TIMEOUT": "2m",
                "SMTPGW_TLS__MINIMUM": "1.3",
                "SMTPGW_LISTEN__0__ENDPOINT": "tcp:26",
                "SMTPGW_DOMAIN": '[{name = "a.example", deliver = "discard:"}]',
                "SMTPGW_DOMAIN__1__NAME": "b.example",
            },
        )
        self.assertEqual(config.hostname, "env.example")
        self.assertEqual(config.delivery.port, 27)
        self.assertIs(config.delivery.paused, True)
        self.assertEqual(config.delivery.retry_seconds, (60.0, 2.0))
        self.assertEqual(config.limits.idle_timeout_seconds, 120.0)
        self.assertIs(config.tls.minimum, TlsVersion.TLS_1_3)
        self.assertEqual([listen.endpoint for listen in config.listen], ["tcp:26"])
        self.assertEqual([domain.name for domain in config.domains], ["a.example", "b.example"])

    def test_newline_is_no_second_key(self) -> None:
        """A variable sets its own key and nothing else."""
        self.assertEqual(
            mistakes("", {"SMTPGW_DELIVERY__PORT": "25\npaused = true"}),
            [r"environment: SMTPGW_DELIVERY__PORT: '25\npaused = true' is not a whole number"],
        )

    def test_index_beyond_the_end(self) -> None:
        """The last index there is, and the next, are said."""
        variable = "environment: SMTPGW_LISTEN__7__TLS: "
        self.assertEqual(
            mistakes("[[listen]]\nendpoint = 'tcp:25'\n", {"SMTPGW_LISTEN__7__TLS": "off"}),
            [f"{variable}there is no listen[7]: the last one is listen[0], listen[1] would be new"],
        )

    def test_errors_are_named_by_the_variable(self) -> None:
        """Whoever made the mistake finds it."""
        self.assertEqual(
            mistakes(
                "[relay]\nnetworks = []\n",
                {
                    "SMTPGW_DELIVERY__PAUSE": "true",
                    "SMTPGW_DELIVERY__PORT": "x",
                    "SMTPGW_RELAY__NETWORKS": '["10.0.0.0/8", "x"]',
                    "SMTPGW_LISTEN__3__TLS": "off",
                    "SMTPGW_HOSTNAME__X": "1",
                    "SMTPGW_HOSTNAMES": "a",
                    "SMTPGW_DELIVERY__": "a",
                },
            ),
            [
                "environment: SMTPGW_DELIVERY__: is not of the form SMTPGW_SECTION__KEY",
                "environment: SMTPGW_HOSTNAMES: unknown key 'hostnames'; did you mean 'SMTPGW_HOSTNAME'?",
                "environment: SMTPGW_LISTEN__3__TLS: there is no listen[3]: there is none yet, listen[0] would be new",
                "environment: SMTPGW_HOSTNAME__X: a table is not a text on one line that says something",
                "environment: SMTPGW_RELAY__NETWORKS[1]: 'x' is not a network such as '10.0.0.0/8' or '2001:db8::/32'",
                "environment: SMTPGW_DELIVERY__PORT: 'x' is not a whole number",
                "environment: SMTPGW_DELIVERY__PAUSE: unknown key; did you mean 'paused'?",
            ],
        )

    def test_others_are_left_alone(self) -> None:
        """Container platforms put variables of that prefix there, and must not stop us."""
        self.assertEqual(
            mistakes("", {"SMTPGW_PORT": "tcp://10.0.0.1:25", "SMTPGW_SERVICE_HOST": "x", "SMTP__X": "1"}), []
        )


class ConfigFileTests(SynchronousTestCase):
    """Configurations in files."""

    def write(self, text: bytes) -> Path:
        path = Path(self.mktemp())
        path.mkdir()
        (path / "smtpgw.toml").write_bytes(text)
        return path / "smtpgw.toml"

    def mistakes(self, path: Path | str) -> str:
        return str(self.assertRaises(ConfigErrors, load_config, path, {}))

    def test_relative_paths_start_at_the_file(self) -> None:
        """Wherever the command was called from."""
        path = self.write(b'[spool]\nstore = "here"\n[[domain]]\nname = "a.example"\ndeliver = "maildir:m/{local}"\n')
        config = load_config(os.path.relpath(path), {})
        folder = path.parent.absolute()
        self.assertEqual(config.spool.store, folder / "here")
        self.assertEqual(config.domains[0].deliver, ViaSink(f"maildir:{folder}/m/{{local}}"))

    def test_windows_editors(self) -> None:
        """A byte order mark and CR LF do no harm, and lines are counted right."""
        path = self.write(b'\xef\xbb\xbfhostname = "a.example"\r\n\r\n[log]\r\nlevel = "x"\r\n')
        self.assertIn(f"{path}:4: log.level:", self.mistakes(path))

    def test_not_there(self) -> None:
        """One line, with the reason."""
        self.assertEqual(self.mistakes("/nowhere/x.toml"), "/nowhere/x.toml: can't be read: No such file or directory")

    def test_not_text(self) -> None:
        """The line of the first octet that is wrong."""
        path = self.write(b"a = 1\nb = '\xff'\n")
        self.assertEqual(self.mistakes(path), f"{path}:2: is not UTF-8 text")

    def test_not_toml(self) -> None:
        """The line that the parser stopped at."""
        path = self.write(b"[log]\nlevel = \n")
        self.assertEqual(self.mistakes(path), f"{path}:2: not valid TOML: invalid value")
        path = self.write(b"[log\n")
        self.assertIn(f"{path}:1: not valid TOML", self.mistakes(path))

    def test_nested_too_deeply(self) -> None:
        """No traceback, whatever is in the file."""
        path = self.write(b"a = " + b"[" * 100_000)
        self.assertIn("nested too deeply", self.mistakes(path))

    def test_spool_alone(self) -> None:
        """The command finds the spool though it may not read the key, and though the rest is wrong."""
        path = self.write(b'[spool]\nstore = "q"\n[tls]\ncertificate = "/nowhere"\n[log]\nlevel = 1\n')
        self.assertEqual(find_spool(path, {}), path.parent.absolute() / "q")
        self.assertEqual(find_spool(path, {"SMTPGW_SPOOL__STORE": "/other"}), Path("/other"))
        self.assertEqual(find_spool(None, {}), Path.cwd() / "smtpgw-spool")
