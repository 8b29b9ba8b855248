"""The files of [tls] are tried before anything is served."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.errors import ConfigErrors
from smtpgw.config.load import config_from_text
from smtpgw.config.schema import Config, ListenTls, TlsConfig, TlsVersion
from tests.service.certificates import write_pair

_NOT_PEM = "has no '-----BEGIN ... %s-----' in it: not a PEM file of that kind"


class TlsTests(SynchronousTestCase):
    """A certificate and a key that work, or one clear line."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        write_pair(self.folder)

    def read(self, text: str) -> Config:
        return config_from_text(text, "f", {}, self.folder, lambda: "mx.example")

    def mistake(self, text: str) -> str:
        errors = self.assertRaises(ConfigErrors, self.read, text).errors
        self.assertEqual(len(errors), 1, errors)
        return str(errors[0]).replace(f"{self.folder}/", "")

    def test_pair(self) -> None:
        """With a certificate every listener offers STARTTLS, but where it says otherwise."""
        config = self.read("""
            [tls]
            certificate = "cert.pem"
            key = "key.pem"
            minimum = "1.3"
            ca = "cert.pem"
            [[listen]]
            endpoint = "tcp:25"
            [[listen]]
            endpoint = "tcp:465"
            tls = "implicit"
            [[listen]]
            endpoint = "tcp:26"
            tls = "off"
        """)
        cert = self.folder / "cert.pem"
        self.assertEqual(config.tls, TlsConfig(cert, self.folder / "key.pem", TlsVersion.TLS_1_3, cert))
        self.assertEqual(
            [listen.tls for listen in config.listen], [ListenTls.STARTTLS, ListenTls.IMPLICIT, ListenTls.OFF]
        )

    def test_one_file(self) -> None:
        """Certificate and key may stand in one file; the default listener offers STARTTLS."""
        config = self.read('[tls]\ncertificate = "both.pem"')
        self.assertEqual(config.tls.key, self.folder / "both.pem")
        self.assertEqual(config.listen[0].tls, ListenTls.STARTTLS)

    def test_files_that_can_not_be_used(self) -> None:
        """Each with the key that names it, and the reason."""
        for tls, mistake in (
            (
                'certificate = "no.pem"\nkey = "key.pem"',
                "f:2: tls.certificate: no.pem can't be read: No such file or directory",
            ),
            (
                'certificate = "cert.pem"\nkey = "no.pem"',
                "f:3: tls.key: no.pem can't be read: No such file or directory",
            ),
            ('certificate = "cert.pem"\nkey = "other.pem"', "f:3: tls.key: other.pem is not the key of cert.pem"),
            (
                'certificate = "cert.pem"\nkey = "locked.pem"',
                "f:3: tls.key: locked.pem is encrypted; a gateway that starts by itself can't ask for the password",
            ),
            (
                'certificate = "cert.pem"',
                f"f:2: tls.certificate: cert.pem {_NOT_PEM % 'PRIVATE KEY'}",
            ),
            (
                'certificate = "key.pem"\nkey = "key.pem"',
                f"f:2: tls.certificate: key.pem {_NOT_PEM % 'CERTIFICATE'}",
            ),
            ('key = "key.pem"', "f:2: tls.key: a key without a certificate"),
            (
                'ca = "key.pem"',
                f"f:2: tls.ca: key.pem {_NOT_PEM % 'CERTIFICATE'}",
            ),
            ('ca = "no.pem"', "f:2: tls.ca: no.pem can't be read: No such file or directory"),
            ('minimum = "1.0"', "f:2: tls.minimum: '1.0' is not one of 1.2, 1.3"),
            ("minimum = 1.2", "f:2: tls.minimum: 1.2 is not one of 1.2, 1.3"),
        ):
            self.assertEqual(self.mistake(f"[tls]\n{tls}"), mistake)

    def test_both_missing(self) -> None:
        """Two files that aren't there are two mistakes; one file for both is one."""
        errors = self.assertRaises(ConfigErrors, self.read, '[tls]\ncertificate = "a.pem"\nkey = "b.pem"').errors
        self.assertEqual([(error.line, error.key) for error in errors], [(2, "tls.certificate"), (3, "tls.key")])
        self.assertIn("a.pem can't be read", self.mistake('[tls]\ncertificate = "a.pem"'))

    def test_damaged(self) -> None:
        """What looks like PEM and is not."""
        self.assertIn(
            "f:2: tls.certificate: broken.pem and key.pem can't be used: ",
            self.mistake('[tls]\ncertificate = "broken.pem"\nkey = "key.pem"'),
        )
        self.assertIn("f:2: tls.ca: broken.pem can't be used: ", self.mistake('[tls]\nca = "broken.pem"'))
