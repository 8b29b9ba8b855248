"""[[listen]] and [tls]: logins, proxies, and certificates for other names."""

from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.errors import ConfigErrors
from smtpgw.config.load import config_from_text
from smtpgw.config.schema import Config, ListenConfig, ListenTls, Role, SniConfig
from tests.config.test_read_accounts import USER
from tests.service.certificates import write_pair

TLS = '[tls]\ncertificate = "both.pem"\n'
LISTEN = '[[listen]]\nendpoint = "tcp:587"\n'


class ListenCase(SynchronousTestCase):
    """Reads configurations beside certificates."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        write_pair(self.folder)

    def read(self, text: str, environ: dict[str, str] | None = None) -> Config:
        return config_from_text(text, "f", environ, self.folder, lambda: "mx.example")

    def mistakes(self, text: str) -> list[str]:
        try:
            self.read(text)
        except ConfigErrors as errors:
            # Without lines: they stand in tests of the documents.
            return [str(error).partition(": ")[2].replace(f"{self.folder}/", "") for error in errors.errors]
        return []


class LoginTests(ListenCase):
    """Where clients log in."""

    def test_submission(self) -> None:
        """Offers AUTH, wants TLS for it, and relays for nobody's address."""
        config = self.read(f'{TLS}{USER}{LISTEN}role = "submission"\n')
        self.assertEqual(
            config.listen, (ListenConfig("tcp:587", Role.SUBMISSION, ListenTls.STARTTLS, relay_networks=(), auth=True),)
        )

    def test_others(self) -> None:
        """Offer it when they are told to."""
        config = self.read(f'{TLS}{USER}{LISTEN}auth = true\n[[listen]]\nendpoint = "tcp:25"\n')
        self.assertEqual([listen.auth for listen in config.listen], [True, False])

    def test_environment(self) -> None:
        """As for every scalar key."""
        environ = {"SMTPGW_LISTEN__0__ROLE": "submission", "SMTPGW_LISTEN__0__TLS": "implicit"}
        (listen,) = self.read(f"{TLS}{USER}{LISTEN}", environ).listen
        self.assertEqual((listen.role, listen.tls, listen.auth), (Role.SUBMISSION, ListenTls.IMPLICIT, True))

    def test_without_tls(self) -> None:
        """A password never goes over a clear line: not even offered."""
        needs = "AUTH is offered under TLS only, and needs"
        self.assertEqual(
            self.mistakes(f'{USER}{LISTEN}role = "submission"\n'),
            [f"listen[0].role: {needs} a certificate in [tls]"],
        )
        self.assertEqual(
            self.mistakes(f"{USER}{LISTEN}auth = true\n"), [f"listen[0].auth: {needs} a certificate in [tls]"]
        )
        self.assertEqual(
            self.mistakes(f'{TLS}{USER}{LISTEN}role = "submission"\ntls = "off"\n'),
            [f"listen[0].tls: {needs} a 'tls' that is not 'off'"],
        )
        self.assertEqual(
            self.mistakes(f'{USER}{LISTEN}role = "submission"\ntls = "implicit"\n'),
            ["listen[0].tls: 'implicit' needs a certificate in [tls]"],
        )

    def test_nobody_to_log_in(self) -> None:
        """A listener that everybody fails at is a slip; users or tokens mend it, certificates alone name nobody."""
        nobody = "nobody could log in: there is neither a [[user]] nor auth.tokens"
        submission = f'{LISTEN}role = "submission"\n'
        self.assertEqual(self.mistakes(TLS + submission), [f"listen[0].role: {nobody}"])
        self.assertEqual(self.mistakes(f"user = []\n{TLS}{submission}"), [f"listen[0].role: {nobody}"])
        self.assertEqual(self.mistakes(f"{TLS}{LISTEN}auth = true\n"), [f"listen[0].auth: {nobody}"])
        self.assertEqual(self.mistakes(f'{TLS}client_ca = "cert.pem"\n{submission}'), [f"listen[0].role: {nobody}"])
        for somebody in (USER, '[auth]\ntokens = "python:a:b"\n'):
            self.assertEqual(self.mistakes(TLS + somebody + submission), [])

    def test_one_mistake_is_one(self) -> None:
        """Users that are wrong are there."""
        wrong = '[[user]]\nname = "a@example.com"\npassword = "x"\n'
        self.assertEqual(len(self.mistakes(f"{TLS}{wrong}{LISTEN}auth = true\n")), 1)
        self.assertEqual(len(self.mistakes(f"{TLS}{LISTEN}auth = true\n[auth]\ntokens = 5\n")), 1)

    def test_submission_without_login(self) -> None:
        """Neither an address nor a word opens a submission listener."""
        submission = f'{TLS}{USER}{LISTEN}role = "submission"\n'
        self.assertEqual(
            self.mistakes(f"{submission}auth = false\n"),
            ["listen[0].auth: nobody could send: a submission listener takes mail after a login alone"],
        )
        self.assertEqual(
            self.mistakes(f'{submission}relay_networks = ["10.0.0.0/8"]\n'),
            ["listen[0].relay_networks: nobody sends through a submission listener without a login; use role 'relay'"],
        )
        self.assertEqual(self.mistakes(f"{submission}relay_networks = []\n"), [])


class TrustTests(ListenCase):
    """Whose word for another client's address is taken."""

    def test_networks(self) -> None:
        """Nobody's, but for those that are named."""
        text = 'proxy_protocol = ["10.0.0.1/32", "2001:db8::/64"]\nxclient = ["192.0.2.7"]\n'
        (listen,) = self.read(LISTEN + text).listen
        self.assertEqual(listen.proxy_protocol, (IPv4Network("10.0.0.1/32"), IPv6Network("2001:db8::/64")))
        self.assertEqual(listen.xclient, (IPv4Network("192.0.2.7/32"),))
        (listen,) = self.read(LISTEN).listen
        self.assertEqual((listen.proxy_protocol, listen.xclient), ((), ()))

    def test_mistakes(self) -> None:
        """What is no network, and where none could match."""
        self.assertEqual(
            self.mistakes(f'{LISTEN}proxy_protocol = ["proxy.example"]\nxclient = "10.0.0.1"\n'),
            [
                "listen[0].proxy_protocol[0]: 'proxy.example' is not a network such as '10.0.0.0/8' or '2001:db8::/32'",
                "listen[0].xclient: '10.0.0.1' is not an array",
            ],
        )
        for key in ("proxy_protocol", "xclient"):
            for network in ("0.0.0.0/0", "::/0"):
                text = "is everybody, and whoever comes could claim to be 127.0.0.1 and relay; name the proxies alone"
                self.assertEqual(
                    self.mistakes(f'{LISTEN}{key} = ["10.0.0.1", "{network}"]\n'),
                    [f"listen[0].{key}[1]: '{network}' {text}"],
                )
        socket = '[[listen]]\nendpoint = "unix:/run/x"\nproxy_protocol = ["10.0.0.1"]\nxclient = ["10.0.0.1"]\n'
        text = "clients of a Unix socket have no address that could be in a network"
        self.assertEqual(self.mistakes(socket), [f"listen[0].proxy_protocol: {text}", f"listen[0].xclient: {text}"])
        self.assertEqual(
            self.mistakes('[[listen]]\nendpoint = "haproxy:tcp:25"\nproxy_protocol = ["10.0.0.1"]\n'),
            [
                (
                    "listen[0].proxy_protocol: the endpoint 'haproxy:' reads the same header itself; "
                    "write it without 'haproxy:'"
                )
            ],
        )
        self.assertEqual(self.mistakes('[[listen]]\nendpoint = "haproxy:tcp:25"\nproxy_protocol = []\n'), [])


class NameTests(ListenCase):
    """Certificates for clients that ask for another name, and of clients."""

    def test_sni(self) -> None:
        """A name or what is below one; the key may stand in the certificate's file."""
        tls = self.read(f"""{TLS}
            client_ca = "cert.pem"
            [[tls.sni]]
            name = "MX.Other.example"
            certificate = "cert.pem"
            key = "key.pem"
            [[tls.sni]]
            name = "*.Bücher.example"
            certificate = "both.pem"
        """).tls
        both = self.folder / "both.pem"
        self.assertEqual(tls.client_ca, self.folder / "cert.pem")
        self.assertEqual(
            tls.sni,
            (
                SniConfig("mx.other.example", self.folder / "cert.pem", self.folder / "key.pem"),
                SniConfig("*.xn--bcher-kva.example", both, both),
            ),
        )

    def test_pairs(self) -> None:
        """Tried like the main one."""
        sni = f'{TLS}[[tls.sni]]\nname = "a.example"\n'
        for pair, mistake in (
            ("", "tls.sni[0].certificate: is missing"),
            ('key = "key.pem"', "tls.sni[0].key: a key without a certificate"),
            (
                'certificate = 5\nkey = "key.pem"',
                "tls.sni[0].certificate: 5 is not a text on one line that says something",
            ),
            (
                'certificate = "no.pem"\nkey = "key.pem"',
                "tls.sni[0].certificate: no.pem can't be read: No such file or directory",
            ),
            ('certificate = "cert.pem"\nkey = "other.pem"', "tls.sni[0].key: other.pem is not the key of cert.pem"),
            (
                'certificate = "cert.pem"\nkey = "locked.pem"',
                ("tls.sni[0].key: locked.pem is encrypted; a gateway that starts by itself can't ask for the password"),
            ),
            ('certificate = "both.pem"\nkye = "x"', "tls.sni[0].kye: unknown key; did you mean 'key'?"),
        ):
            self.assertEqual(self.mistakes(sni + pair), [mistake])

    def test_names(self) -> None:
        """Each once."""
        pair = 'certificate = "both.pem"\n'
        self.assertEqual(
            self.mistakes(
                f'{TLS}[[tls.sni]]\nname = "a.example"\n{pair}[[tls.sni]]\nname = "A.example"\n{pair}'
                f'[[tls.sni]]\n{pair}[[tls.sni]]\nname = "*"\n{pair}'
            ),
            [
                "tls.sni[1].name: 'a.example' stands in another [[tls.sni]], too",
                "tls.sni[2].name: is missing",
                "tls.sni[3].name: '*' is not a domain name such as 'example.com' or '*.example.com'",
            ],
        )
        self.assertEqual(
            self.mistakes(f"{TLS}sni = {{}}\n"),
            ["tls.sni: is written with two brackets, [[tls.sni]], for there may be several"],
        )

    def test_no_certificate_of_ones_own(self) -> None:
        """Names and clients' certificates without TLS would do nothing."""
        text = "without a certificate of [tls] itself no listener offers TLS"
        self.assertEqual(
            self.mistakes('[tls]\nclient_ca = "cert.pem"\n[[tls.sni]]\nname = "a.example"\ncertificate = "both.pem"\n'),
            [f"tls.client_ca: {text}", f"tls.sni: {text}"],
        )

    def test_client_ca(self) -> None:
        """A file with certificates."""
        self.assertEqual(
            self.mistakes(f'{TLS}client_ca = "no.pem"\n'),
            ["tls.client_ca: no.pem can't be read: No such file or directory"],
        )
        self.assertIn("not a PEM file of that kind", self.mistakes(f'{TLS}client_ca = "key.pem"\n')[0])
