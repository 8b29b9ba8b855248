"""Mistakes in a configuration: all at once, each with file, line, key and the nearest valid name."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.errors import ConfigError, nearest
from smtpgw.config.load import config_from_text, known_keys
from tests.config.mistakes import mistakes_in


def mistakes(text: str, environ: dict[str, str] | None = None) -> list[str]:
    return mistakes_in(config_from_text, text, "f", environ, Path("/srv/none"), lambda: "machine.example")


class PlaceTests(SynchronousTestCase):
    """An error says where."""

    def test_all_at_once(self) -> None:
        """From top to bottom, whatever section they are in."""
        self.assertEqual(
            mistakes(
                "\n".join(
                    (
                        "workers = 2",
                        "[[listen]]",
                        'endpoint = "tcp:25"',
                        'tls = "starttsl"',
                        "[limits]",
                        "hops = 0",
                        "idle_timout = 5",
                        "[delivery]",
                        "forbidden_networks = [",
                        '  "10.0.0.1/8",',
                        '  "10.0.0.0/8",',
                        "  7,",
                        "]",
                        "[zzz]",
                    )
                )
            ),
            [
                "f:1: workers: 2 is not available in this version; there is 1",
                (
                    "f:4: listen[0].tls: 'starttsl' is not one of off, starttls, required, implicit; "
                    "did you mean 'starttls'?"
                ),
                "f:6: limits.hops: 0 is not between 1 and 1000000000",
                "f:7: limits.idle_timout: unknown key; did you mean 'idle_timeout'?",
                (
                    "f:10: delivery.forbidden_networks[0]: '10.0.0.1/8' names an address inside the network; "
                    "did you mean '10.0.0.0/8'?"
                ),
                "f:12: delivery.forbidden_networks[2]: 7 is not a network such as '10.0.0.0/8' or '2001:db8::/32'",
                "f:14: zzz: unknown key",
            ],
        )

    def test_missing(self) -> None:
        """A key that is not there is missing at its table."""
        self.assertEqual(
            mistakes("[[domain]]\n[[listen]]\n"),
            ["f:1: domain[0].name: is missing", "f:2: listen[0].endpoint: is missing"],
        )

    def test_key_with_escapes(self) -> None:
        """A key may hold anything, and is shown so that it does nothing to a terminal."""
        self.assertEqual(mistakes('"a\\u001b[2J b" = 1'), [r"f:1: 'a\x1b[2J b': unknown key"])

    def test_tables_of_the_wrong_kind(self) -> None:
        """One bracket or two, a table or a value."""
        self.assertEqual(
            mistakes('log = "x"\ndomain = [1]\n[listen]\nendpoint = "tcp:25"\n'),
            [
                "f:1: log: is not a table",
                "f:2: domain[0]: is not a table",
                "f:3: listen: is written with two brackets, [[listen]], for there may be several",
            ],
        )

    def test_text(self) -> None:
        """As compilers write it; what is not known is left out."""
        self.assertEqual(str(ConfigError("a.toml", 3, "log.level", "wrong")), "a.toml:3: log.level: wrong")
        self.assertEqual(str(ConfigError("a.toml", None, "", "wrong")), "a.toml: wrong")

    def test_nearest(self) -> None:
        """Only a name that comes near is proposed; nonsense of any length is not compared."""
        self.assertEqual(nearest("starttsl", ("off", "starttls")), "; did you mean 'starttls'?")
        self.assertEqual(nearest("zzz", ("off", "starttls")), "")
        self.assertEqual(nearest("off" * 1000, ("off",)), "")
        self.assertEqual(nearest(5, ("off",)), "")


class NonsenseTests(SynchronousTestCase):
    """Whatever stands in a file, it is a configuration or a list of mistakes."""

    values = (
        *("0", "-1", "1.5", "inf", "nan", "9" * 400, "true", "1979-05-27", "07:32:00"),
        *('""', '" "', '"x"', '"*"', '":"', '"@"', '"="', '"\\u0000"', f'"{"a" * 300}"', f'"{"a" * 5000}"'),
        *("[]", "[[]]", "{}", "[{}]", "{x = 1}", '["x"]', "[1]", "[1979-05-27]", "[[{}], {x = []}]"),
    )

    def test_every_key(self) -> None:
        """Any value of any kind under any key: never a traceback, and always a place."""
        for key in sorted(known_keys()):
            section, _, name = key.rpartition(".")
            tables = [f"[[{section}]]", f"[{section}]"] if section else [""]
            for value in self.values:
                for table in tables:
                    for line in mistakes(f"{table}\n{name} = {value}\n"):
                        self.assertRegex(line, r"\Af:\d+: \S")
                        self.assertNotIn("\n", line)

    def test_every_section(self) -> None:
        """The same in the place of a section."""
        for section in sorted({key.rpartition(".")[0] for key in known_keys() if "." in key}):
            for value in self.values:
                for line in mistakes(f"{section} = {value}\n"):
                    self.assertRegex(line, r"\Af:\d+: \S")

    def test_every_variable(self) -> None:
        """The same from the environment."""
        for key in sorted(known_keys()):
            variable = f"SMTPGW_{key.upper().replace('.', '__')}"
            for value in self.values:
                for line in mistakes("", {variable: value}):
                    self.assertRegex(line, r"\A(?:environment|f): ")


class ValueTests(SynchronousTestCase):
    """What a key can't be."""

    def assert_mistake(self, text: str, *ends: str) -> None:
        found = mistakes(text)
        self.assertEqual(len(found), len(ends), found)
        for line, end in zip(found, ends, strict=True):
            self.assertTrue(line.endswith(end), f"{line!r} does not end in {end!r}")

    def test_host_names(self) -> None:
        """A name that no DNS could have."""
        for name in ("a b", "-a.example", "a-.example", "a..b", "a.example.", "a_b.example", "x" * 64):
            self.assert_mistake(f'hostname = "{name}"', f"{name!r} is not a host name")
        self.assert_mistake(f'hostname = "{"é" * 70}"', " is not a host name")
        self.assert_mistake('hostname = "192.0.2.1"', "is an address or a number, not a host name")
        self.assert_mistake('hostname = ""', "'' is not a text on one line that says something")
        self.assert_mistake("hostname = 5", "5 is not a text on one line that says something")
        self.assert_mistake(f'hostname = "{".".join(["abcdefgh"] * 29)}"', " is not a host name")

    def test_numbers(self) -> None:
        """True is no number, and a port ends at 65535."""
        self.assert_mistake("[delivery]\nport = true", "true is not a whole number")
        self.assert_mistake("[delivery]\nport = 1.5", "1.5 is not a whole number")
        self.assert_mistake("[delivery]\nport = 65536", "65536 is not between 1 and 65535")
        self.assert_mistake("[delivery]\nport = 0", "0 is not between 1 and 65535")
        self.assert_mistake('[delivery]\npaused = "yes"', "'yes' is not true or false")
        self.assert_mistake("[delivery]\npaused = 1", "1 is not true or false")
        for limit in ("connections", "messages", "recipients"):
            self.assert_mistake(f"[limits]\n{limit}_per_minute = -1", "-1 is not between 0 and 1000000000")
            self.assert_mistake(f"[limits]\n{limit}_per_minut = 1", f"unknown key; did you mean '{limit}_per_minute'?")
        self.assert_mistake('[limits]\nrefused_recipients = "none"', "'none' is not a whole number")

    def test_durations_and_sizes(self) -> None:
        """A wait of nothing would be a busy loop."""
        self.assert_mistake('[delivery]\nretry = ["5m", 0]', "must be more than 0")
        self.assert_mistake("[delivery]\nretry = []", "needs a delay; the last one repeats")
        self.assert_mistake('[delivery]\nretry = "5m"', "'5m' is not an array")
        self.assert_mistake('[limits]\nidle_timeout = "5 parsecs"', "such as '90s', '5m', '4h' or '5d'")
        self.assert_mistake("[limits]\nmessage_size = 0", "must be more than 0")
        self.assert_mistake('[limits]\nmessage_size = "5 MiBs"', "such as '25 MiB', '256 KiB' or a number of octets")

    def test_spool(self) -> None:
        """The shared store is not there yet; a file is no folder."""
        self.assert_mistake('[spool]\nstore = "postgresql://a@b/c"', "is not available in this version; name a folder")
        self.assert_mistake('[spool]\nstore = "/dev/null"', "/dev/null is not a folder")
        self.assert_mistake(f'[spool]\nstore = "/{"a" * 300}"', "aaa can't be used: File name too long")
        self.assert_mistake(f'[spool]\nstore = "{"a/" * 2500}"', "a/a...' is longer than a path can be")

    def test_listeners(self) -> None:
        """What can't be bound, or is not built."""
        listen = '[[listen]]\nendpoint = "tcp:25"\n'
        self.assert_mistake(listen + 'role = "mxx"', "'mxx' is not one of mx, submission, relay; did you mean 'mx'?")
        self.assert_mistake(listen + 'tls = "required"', "'required' needs a certificate in [tls]")
        self.assert_mistake(listen + '[[listen]]\nendpoint = "tcp:port=25:interface=0.0.0.0"', "another listener, too")
        self.assert_mistake("listen = []", "leave it out for the default one")
        for endpoint, end in (
            ("25", "did you mean 'tcp:25'?"),
            ("tcp:smtp", "'smtp' is not a port number"),
            ("tcp:70000", "'70000' is not a port number"),
            ("tcp:", "'' is not a port number"),
            ("tcp:25:interfce=::1", "unknown argument 'interfce'; did you mean 'interface'?"),
            ("tcp:25:interface=::1", "an IPv6 address needs its colons escaped: interface=\\:\\:1"),
            ("tpc:25", "no endpoint 'tpc:' is installed; did you mean 'tcp'?"),
            ("unix:", "has no path"),
            ("systemd:domain=INET", "needs a name= or an index="),
        ):
            self.assert_mistake(f"[[listen]]\nendpoint = '{endpoint}'", end)

    def test_endpoint_with_its_own_tls(self) -> None:
        """Its files would be told too late; tls = "implicit" does the same with those of [tls]."""
        for endpoint in ("ssl:465:privateKey=k.pem", "ssl:465"):
            self.assert_mistake(
                f"[[listen]]\nendpoint = '{endpoint}'\n",
                "instead of 'ssl:' write 'tcp:' with tls = \"implicit\", and the files in [tls]",
            )

    def test_interfaces(self) -> None:
        """What is no address can't be listened on; numbers of an endpoint are numbers."""
        for endpoint, end in (
            ("tcp:4005:interface=1.2.3.4.5", "the interface '1.2.3.4.5' is not an IP address"),
            ("tcp:4005:interface=localhost", "is not an IP address; did you mean '127.0.0.1'?"),
            ("tcp6:4005:interface=mx.example", "the interface 'mx.example' is not an IP address"),
            ("tcp:25:backlog=many", "backlog 'many' is not a number"),
            ("unix:/run/x:mode=rwx", "mode 'rwx' is not a number"),
        ):
            self.assert_mistake(f"[[listen]]\nendpoint = '{endpoint}'", end)
        self.assert_mistake("[[listen]]\nendpoint = 'tcp6:25:interface=\\:\\:1:backlog=5'")
        self.assert_mistake("[[listen]]\nendpoint = 'unix:/run/x:mode=660'")

    def test_every_recipient_of_a_list(self) -> None:
        """Two wrong entries are two mistakes, each with its line."""
        text = '[[domain]]\nname = "a.example"\nrecipients = [\n"a b",\n"bob",\n"c@d"]\n'
        self.assertEqual(
            [line.partition(": ")[0] + line.partition(": ")[2].partition(":")[0] for line in mistakes(text)],
            ["f:4domain[0].recipients[0]", "f:6domain[0].recipients[2]"],
        )

    def test_failures_by_route(self) -> None:
        """The code of fail: is one of a failure for good, and its status fits it."""
        for via, end in (
            ("fail:999 9.9 x", "'999' is not the code of a failure for good, 500 to 559"),
            ("fail:250 2.0.0 Ok", "'250' is not the code of a failure for good, 500 to 559"),
            ("fail:451", "'451' is not the code of a failure for good, 500 to 559"),
            ("fail:550 4.1.1 x", "'4.1.1' is not a status that fits 550, such as 5.7.1"),
            ("fail:550 5.1 x", "'5.1' is not a status that fits 550, such as 5.7.1"),
            ("fail:5.1.2345 x", "'5.1.2345' is not a status that fits 550, such as 5.7.1"),
        ):
            self.assert_mistake(f"[[route]]\nvia = '{via}'", end)

    def test_warning_after_the_end(self) -> None:
        """A warning that would never be sent is a slip; a short life alone is none."""
        self.assert_mistake(
            '[delivery]\nexpire = "1h"\nwarn = "2h"', "nobody would ever be warned: mail expires after 1h; 0 for never"
        )
        self.assert_mistake('[delivery]\nexpire = "1h"')
        self.assert_mistake('[delivery]\nexpire = "1h"\nwarn = 0')

    def test_domains(self) -> None:
        """Twice the same, or nothing that mail could go to."""
        domain = '[[domain]]\nname = "a.example"\n'
        self.assert_mistake(domain + '[[domain]]\nname = "A.example"', "'a.example' stands in another [[domain]], too")
        self.assert_mistake(
            '[[domain]]\nname = "*"', "'*' is not a domain name such as 'example.com' or '*.example.com'"
        )
        self.assert_mistake('[[domain]]\nname = "a.*.example"', "'*.example.com'")
        for deliver, end in (
            ("lmtp:unix:/x", "there are maildir:, smtp:, python:, discard:"),
            ("webhook+https://x", "there are maildir:, smtp:, python:, discard:"),
            ("pipe:/bin/cat", "there are maildir:, smtp:, python:, discard:"),
            ("mailder:x", "did you mean 'maildir:'?"),
            ("maildir:", "'maildir:' needs a path"),
            ("maildir:{user}", "'{user}' is not one of {local}, {domain}, {tag}"),
            ("maildir:{local", "'{local' has a brace without its partner"),
            ("maildir:a}", "'a}' has a brace without its partner"),
            ("maildir:{local.__class__}", "is not one of {local}, {domain}, {tag}"),
            ("python:module", "such as 'python:package.module:name'"),
            ("python:a b:c", "such as 'python:package.module:name'"),
            ("discard:x", "nothing comes after 'discard:'"),
            ("smtp:", "'smtp:' needs a host and port such as 'smtp:mail.example.com:25'"),
            ("smtp://a.example", "without slashes"),
            ("smtp:a.example:0", "the port is not between 1 and 65535"),
            ("smtp:2001:db8::1:25", "an IPv6 address is written [2001:db8::1]:25"),
            ("smtp:[a.example]:25", "is not a host and port such as 'mail.example.com:25'"),
            ("smtp:{domain}:25", "'{domain}' is not a host name"),
        ):
            self.assert_mistake(f"{domain}deliver = '{deliver}'", end)
        for recipients, end in (
            ('["alice@a.example"]', "is a whole address; only the part before the @ belongs here"),
            ('["a b"]', "'a b' has spaces or control characters"),
            ("[1]", "a recipient is the part of the address before the @, as text"),
            ('"file:/nowhere/x"', "/nowhere/x can't be read: No such file or directory"),
            (f'["{"a" * 65}"]', "is longer than 64 octets"),
        ):
            self.assert_mistake(f"{domain}recipients = {recipients}", end)
        for subaddress in ('"++"', '"@"', '"a"', "1"):
            self.assert_mistake(
                f"{domain}subaddress = {subaddress}", "is not one character such as '+' or '-', or empty"
            )
        self.assert_mistake(f'{domain}aliases = "file:x"', "not available in this version")

    def test_routes(self) -> None:
        """What is no next hop."""
        for line, end in (
            ('via = "smtps:a.example:465"', "there are mx, smtp:, discard:, fail:"),
            ('via = "mxx"', "did you mean 'mx'?"),
            ('via = "fail:\\u00e9"', "at most 200 ASCII characters on one line"),
            ('via = "fail:a\\nb"', "is not a text on one line that says something"),
            ('tls = "dane"', "'dane' is not available in this version; there are off, opportunistic, required, verify"),
            ('tls = "auto"', "'auto' is not available in this version; there are off, opportunistic, required, verify"),
            ('to = "*.*"', "is not a domain name such as 'example.com' or '*.example.com'"),
            ('source = "a.example"', "'a.example' is not an IP address"),
            ('source = "fe80::1%eth0"', "has a zone, which is not understood"),
            ("connections = 0", "0 is not between 1 and 1000000000"),
            ("messages_per_minute = 1", "not available in this version"),
            ("login = {user = 'a'}", "not available in this version"),
        ):
            self.assert_mistake(f"[[route]]\n{line}", end)

    def test_networks_and_servers(self) -> None:
        """An address is no mask, a name is no name server."""
        self.assert_mistake(
            '[relay]\nnetworks = ["localhost"]', "is not a network such as '10.0.0.0/8' or '2001:db8::/32'"
        )
        self.assert_mistake('[relay]\nnetworks = "10.0.0.0/8"', "'10.0.0.0/8' is not an array")
        self.assert_mistake('[dns]\nservers = ["dns.example"]', "is not an address and port such as '127.0.0.53:53'")
        self.assert_mistake('[dns]\nservers = ["::1:53"]', "an IPv6 address is written [2001:db8::1]:25")
        self.assert_mistake("[dns]\nservers = []", "names no server; leave it out for those of resolv.conf")

    def test_later(self) -> None:
        """What the contract has and this version has not says so, and is not taken for a slip."""
        text = """
            [http]
            endpoint = ""
            [[dkim]]
            domain = "a.example"
            [policy]
            spf = "mark"
            dkim = "mark"
            dmarc = "mark"
            arc = "mark"
        """
        self.assertEqual([line.rpartition(": ")[2] for line in mistakes(text)], ["not available in this version"] * 6)
        for text, mistake in (
            ("0", "0 is not available in this version; there is 1"),
            ("2", "2 is not available in this version; there is 1"),
            ("-1", "-1 is not between 0 and 1000000000"),
            ('"one"', "'one' is not a whole number"),
        ):
            self.assertEqual(mistakes(f"workers = {text}"), [f"f:1: workers: {mistake}"])
        self.assertEqual(mistakes("workers = 1"), [])
