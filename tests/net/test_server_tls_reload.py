"""Certificates that are replaced while we run."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

import os
import shutil
from pathlib import Path

from cryptography.x509.oid import NameOID
from twisted.internet.task import Clock

from smtpgw.net.server_certificate import self_signed
from smtpgw.net.server_tls import SniFiles, TlsFiles
from smtpgw.net.server_tls_reload import ReloadingTls
from smtpgw.net.tls import TlsTrouble
from tests.clauses import holds
from tests.net.test_server_tls import TlsCase, client_connection
from tests.net.test_tls import shake_hands


class ReloadTests(TlsCase):
    """What is in force follows the files, and is never worse than it was."""

    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.lines = []
        self.warnings = []
        self.stamp = 10**18

    def start(self, **files):
        self.tls = ReloadingTls(
            TlsFiles(self.certificate, self.key, **files),
            self.clock.seconds,
            self.lines.append,
            self.warnings.append,
            look_seconds=5,
        )

    def shown(self, name=None):
        """Whose certificate a client sees."""
        server = self.tls.serverConnectionForTLS(None)
        client = client_connection(name=name)
        shake_hands(client, server)
        certificate = client.get_peer_certificate().to_cryptography()
        return certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value

    def touch(self, path):
        """Another time of change, whatever the file system's clock does."""
        self.stamp += 10**9
        os.utime(path, ns=(self.stamp, self.stamp))

    def replace(self, name, certificate=None):
        """In place."""
        folder = str(Path(certificate or self.certificate).parent)
        for path in self_signed(name, folder):
            self.touch(path)

    @holds("8314", "4.4", "A certificate that was renewed is in use without a restart.")
    def test_replaced(self):
        """A new pair is used some seconds later, at the latest, and told once."""
        self.start()
        self.assertEqual(self.shown(), "mx.example.com")
        self.replace("new.example.com")
        self.clock.advance(4.9)
        self.assertEqual(self.shown(), "mx.example.com")
        self.clock.advance(0.1)
        self.assertEqual(self.shown(), "new.example.com")
        self.clock.advance(100)
        self.shown()
        self.assertEqual((self.lines, self.warnings), ([f"{self.certificate}: read again"], []))

    def test_bad_pair(self):
        """A pair that does not fit changes nothing, is told once, and the next good one is used."""
        self.start()
        key = Path(self.key).read_bytes()
        self.replace("new.example.com")
        new_key = Path(self.key).read_bytes()
        Path(self.key).write_bytes(key)
        self.touch(self.key)
        for _ in range(3):
            self.clock.advance(10)
            self.assertEqual(self.shown(), "mx.example.com")
        self.assertEqual((len(self.warnings), self.lines), (1, []))
        self.assertIn("not the key of the certificate", self.warnings[0])
        Path(self.key).write_bytes(new_key)
        self.touch(self.key)
        self.clock.advance(10)
        self.assertEqual(self.shown(), "new.example.com")

    def test_missing(self):
        """Files that are away for a while."""
        self.start()
        Path(self.certificate).rename(self.certificate + ".away")
        self.clock.advance(10)
        self.assertEqual(self.shown(), "mx.example.com")
        self.assertIn("No such file", self.warnings[0])
        Path(self.certificate + ".away").rename(self.certificate)
        self.clock.advance(10)
        self.assertEqual(self.shown(), "mx.example.com")
        self.assertEqual((len(self.warnings), len(self.lines)), (1, 1))

    def test_behind_a_link(self):
        """A link that points elsewhere now is another file."""
        first, second = (Path(self.pair(name)[0]).parent for name in ("first.example", "second.example"))
        live = Path(self.mktemp())
        live.symlink_to(first.absolute())
        self.certificate, self.key = str(live / "certificate.pem"), str(live / "key.pem")
        self.start()
        self.assertEqual(self.shown(), "first.example")
        live.unlink()
        live.symlink_to(second.absolute())
        self.tls.look()
        self.assertEqual(self.shown(), "second.example")

    def test_sni_and_client_ca(self):
        """Every file of the listener is followed."""
        other, ca = self.pair("other.example"), self.pair("ca.example")[0]
        self.start(sni=(SniFiles("other.example", *other),), client_ca=ca)
        self.replace("newer.example", other[0])
        self.tls.look()
        self.assertEqual(self.shown(b"other.example"), "newer.example")
        shutil.copy(self.key, ca)
        self.touch(ca)
        self.tls.look()
        self.assertIn(ca, self.warnings[-1])
        self.assertEqual(self.shown(b"other.example"), "newer.example")

    def test_at_the_start(self):
        """Files that can't be used at the start are the caller's trouble."""
        self.key = "/no/such/file"
        self.assertRaises(TlsTrouble, self.start)
