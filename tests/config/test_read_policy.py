"""[policy]: the rules before content, and the milters."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.load import config_from_text
from smtpgw.config.schema import (
    DnsListConfig,
    GreylistConfig,
    MilterConfig,
    PolicyConfig,
    Strictness,
    WhenDown,
)
from tests.config.mistakes import mistakes_in


def read(text: str, environ: dict[str, str] | None = None) -> PolicyConfig:
    return config_from_text(text, "f", environ, Path("/srv/gateway"), lambda: "mx.example").policy


def mistakes(text: str) -> list[str]:
    return mistakes_in(read, text)


class ValueTests(SynchronousTestCase):
    """Every rule is off until it is asked for."""

    def test_off(self) -> None:
        """Nothing is asked, nobody waits."""
        self.assertEqual(read(""), PolicyConfig())
        self.assertEqual(read("[policy]\ngreylist = false\ndnsbl = []\nmilters = []"), PolicyConfig())

    def test_all(self) -> None:
        """Every key, each with a value that is not the default."""
        policy = read("""
            [policy]
            early_talker = "2s"
            helo = "mark"
            reverse_dns = "enforce"
            dnsbl = [
                "Zen.Example.ORG",
                "bl.example.net=127.0.0.2",
                {zone = "b.example", codes = ["127.0.0.3", "127.0.0.10"], when_down = "accept"},
                {zone = "c.example"},
            ]
            dnswl = ["wl.example"]
            greylist = {delay = "1m", window = "2h", lifetime = "10d"}
            tarpit = 1.5
            milters = [
                "inet:127.0.0.1:11332",
                "inet:[2001:db8::1]:8891",
                "inet:Milter.example:8891",
                "unix:/run/opendkim.sock",
                {address = "unix:m.sock", when_down = "accept", timeout = "1m"},
            ]
        """)
        delay = WhenDown.DELAY
        self.assertEqual(
            policy,
            PolicyConfig(
                early_talker_seconds=2.0,
                helo=Strictness.MARK,
                reverse_dns=Strictness.ENFORCE,
                dnsbl=(
                    DnsListConfig("zen.example.org", (), delay),
                    DnsListConfig("bl.example.net", ("127.0.0.2",), delay),
                    DnsListConfig("b.example", ("127.0.0.3", "127.0.0.10"), WhenDown.ACCEPT),
                    DnsListConfig("c.example", (), delay),
                ),
                dnswl=(DnsListConfig("wl.example", (), delay),),
                greylist=GreylistConfig(60.0, 7200.0, 864000.0),
                tarpit_seconds=1.5,
                milters=(
                    MilterConfig("inet:127.0.0.1:11332", delay),
                    MilterConfig("inet:[2001:db8::1]:8891", delay),
                    MilterConfig("inet:milter.example:8891", delay),
                    MilterConfig("unix:/run/opendkim.sock", delay),
                    MilterConfig("unix:/srv/gateway/m.sock", WhenDown.ACCEPT, 60.0),
                ),
            ),
        )

    def test_greylist(self) -> None:
        """True is all of the defaults; a table changes some of them."""
        self.assertEqual(read("[policy]\ngreylist = true").greylist, GreylistConfig())
        self.assertEqual(read("[policy]\ngreylist = {}").greylist, GreylistConfig())
        self.assertEqual(read('[policy.greylist]\ndelay = "1m"').greylist, GreylistConfig(60.0))

    def test_when_down_of_all(self) -> None:
        """What a list or milter does not say itself is said for all of them."""
        policy = read("""
            [policy]
            when_down = "accept"
            dnsbl = ["a.example", {zone = "b.example"}, {zone = "c.example", when_down = "delay"}]
            milters = ["inet:a.example:1", {address = "inet:b.example:1"}]
        """)
        accept = WhenDown.ACCEPT
        self.assertIs(policy.when_down, accept)
        self.assertEqual([entry.when_down for entry in policy.dnsbl], [accept, accept, WhenDown.DELAY])
        self.assertEqual([entry.when_down for entry in policy.milters], [accept, accept])

    def test_environment(self) -> None:
        """Scalars, and tables that the variable makes."""
        policy = read(
            '[policy]\nhelo = "enforce"\n',
            {
                "SMTPGW_POLICY__EARLY_TALKER": "3s",
                "SMTPGW_POLICY__HELO": "off",
                "SMTPGW_POLICY__DNSBL": '["a.example"]',
                "SMTPGW_POLICY__GREYLIST__DELAY": "30s",
            },
        )
        self.assertEqual(policy.early_talker_seconds, 3.0)
        self.assertIs(policy.helo, Strictness.OFF)
        self.assertEqual(policy.dnsbl, (DnsListConfig("a.example"),))
        self.assertEqual(policy.greylist, GreylistConfig(30.0))
        self.assertEqual(read("", {"SMTPGW_POLICY__GREYLIST": "true"}).greylist, GreylistConfig())


class MistakeTests(SynchronousTestCase):
    """What a rule can't be."""

    def assert_mistakes(self, line: str, *expected: str) -> None:
        self.assertEqual(mistakes(f"[policy]\n{line}\n"), [f"f:2: policy.{text}" for text in expected])

    def test_words(self) -> None:
        """The nearest word is proposed."""
        self.assert_mistakes('helo = "on"', "helo: 'on' is not one of off, mark, enforce")
        self.assert_mistakes(
            'reverse_dns = "enforced"',
            "reverse_dns: 'enforced' is not one of off, mark, enforce; did you mean 'enforce'?",
        )
        self.assert_mistakes('when_down = "refuse"', "when_down: 'refuse' is not one of delay, accept")
        self.assert_mistakes("greylisting = true", "greylisting: unknown key; did you mean 'greylist'?")
        self.assert_mistakes('dnsbls = ["a.example"]', "dnsbls: unknown key; did you mean 'dnsbl'?")

    def test_waits(self) -> None:
        """A wait that would outlast the client's patience is a slip."""
        self.assert_mistakes('early_talker = "2m"', "early_talker: '2m' is not between 0 and 1m")
        self.assert_mistakes("tarpit = 61", "tarpit: 61 is not between 0 and 1m")
        self.assert_mistakes("tarpit = -1", "tarpit: -1 is not between 0 and 1m")
        self.assert_mistakes("tarpit = 60")

    def test_lists(self) -> None:
        """What is no zone, and what no list answers."""
        for entry, mistake in (
            ('"zen"', "dnsbl[0]: 'zen' is not the zone of a list, such as 'zen.example.org'"),
            ('"a b.example"', "dnsbl[0]: 'a b.example' is not a host name"),
            ('"*.a.example"', "dnsbl[0]: '*.a.example' is not a host name"),
            ('"a.example="', "dnsbl[0]: '' is not an answer of a list, such as '127.0.0.2'"),
            ('"a.example=2"', "dnsbl[0]: '2' is not an answer of a list, such as '127.0.0.2'"),
            ('"a.example=10.0.0.2"', "dnsbl[0]: '10.0.0.2' is not in 127.0.0.0/8, where the answers of lists are"),
            (
                '"a.example=127.255.255.254"',
                "dnsbl[0]: '127.255.255.254' says that the list does not serve us, and nothing of the client",
            ),
            ("5", "dnsbl[0]: 5 is not a text on one line that says something"),
            ("{}", "dnsbl[0].zone: is missing"),
            ('{zone = "a.example", code = []}', "dnsbl[0].code: unknown key; did you mean 'codes'?"),
            (
                '{zone = "a.example", codes = []}',
                "dnsbl[0].codes: names no answer; leave it out for all of them",
            ),
            (
                '{zone = "a.example", codes = ["127.0.0.2", "x"]}',
                "dnsbl[0].codes[1]: 'x' is not an answer of a list, such as '127.0.0.2'",
            ),
            (
                '{zone = "a.example", when_down = "up"}',
                "dnsbl[0].when_down: 'up' is not one of delay, accept",
            ),
        ):
            self.assert_mistakes(f"dnsbl = [{entry}]", mistake)
            self.assert_mistakes(f"dnswl = [{entry}]", mistake.replace("dnsbl", "dnswl"))
        self.assert_mistakes('dnsbl = "a.example"', "dnsbl: 'a.example' is not an array")
        longest = ".".join(["a" * 37] * 5)
        self.assert_mistakes(f'dnsbl = ["{longest}"]')
        (line,) = mistakes(f'[policy]\ndnsbl = ["{longest}a"]')
        self.assertTrue(line.endswith("is longer than 189 octets"), line)

    def test_all_entries(self) -> None:
        """Each wrong entry with its own line."""
        text = '[policy]\ndnsbl = [\n"a",\n"b.example",\n{zone = "c"},\n]\n'
        self.assertEqual(
            [line.partition(": '")[0] for line in mistakes(text)],
            ["f:3: policy.dnsbl[0]", "f:5: policy.dnsbl[2].zone"],
        )

    def test_greylist(self) -> None:
        """A window that is hardly longer than the delay lets nobody in; the rules would take twice the delay for it."""
        self.assert_mistakes('greylist = "5m"', "greylist: '5m' is not true, false or a table such as {delay = '5m'}")
        self.assert_mistakes("greylist = {delay = 0}", "greylist.delay: must be more than 0")
        self.assert_mistakes("greylist = {dely = 5}", "greylist.dely: unknown key; did you mean 'delay'?")
        text = "hardly anybody would come in time: the window, 4h, is less than twice the delay"
        self.assert_mistakes('greylist = {delay = "4h"}', f"greylist.delay: {text}, 4h")
        self.assert_mistakes('greylist = {delay = "121m", window = "4h"}', f"greylist.window: {text}, 2h1m")
        self.assert_mistakes('greylist = {delay = "2h", window = "4h"}')

    def test_milters(self) -> None:
        """What can't be connected to."""
        place = "is not a milter such as 'inet:127.0.0.1:11332' or 'unix:/run/milter.sock'"
        port = "'inet:' is followed by a host and port such as 'inet:127.0.0.1:11332'"
        for entry, mistake in (
            ('"127.0.0.1:11332"', f"milters[0]: '127.0.0.1:11332' {place}"),
            ('"tcp:a.example:1"', f"milters[0]: 'tcp:a.example:1' {place}"),
            ('"unox:/run/x"', f"milters[0]: 'unox:/run/x' {place}; did you mean 'unix:'?"),
            ('"unix:"', "milters[0]: 'unix:' needs the path of a socket"),
            ('"inet:8891@localhost"', f"milters[0]: 'inet:8891@localhost': {port}"),
            ('"inet:localhost"', f"milters[0]: 'inet:localhost': {port}"),
            ('"inet:"', f"milters[0]: 'inet:': {port}"),
            ('"inet:a.example:0"', "milters[0]: 'a.example:0': the port is not between 1 and 65535"),
            ('{when_down = "accept"}', "milters[0].address: is missing"),
            ('{address = "inet:a.example:1", timeout = 0}', "milters[0].timeout: must be more than 0"),
            ('{address = "inet:a.example:1", wait = 0}', "milters[0].wait: unknown key"),
        ):
            self.assert_mistakes(f"milters = [{entry}]", mistake)
        (line,) = mistakes(f'[policy]\nmilters = ["unix:/{"a" * 107}"]')
        self.assertTrue(line.endswith("is longer than the path of a socket can be"), line)
