"""testssl.sh looks at our TLS: protocols, ciphers, preferences, server defaults, known holes. Takes minutes."""

import json
import os
import subprocess
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.clauses import holds
from tests.integration.certificates import make_certificate
from tests.integration.gateway import Gateway
from tests.integration.loopback import RealThingTestCase, find_program, free_port

_SECONDS = 180
_SECTIONS = ("--protocols", "--std", "--server-preference", "--fs", "--server-defaults", "--vulnerable")
_SEVERE = {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
_OURS = "cert"
"""Findings with this in front are about the certificate: that of a test is signed by nobody, and ends in two days."""


class TestsslTests(RealThingTestCase):
    """A gateway with STARTTLS and with TLS from the first octet on, as it comes out of the box."""

    def setUp(self) -> None:
        """Start it."""
        if os.environ.get("SMTPGW_SLOW_TESTS") != "1":
            raise SkipTest("takes minutes: only with SMTPGW_SLOW_TESTS=1")
        self.program = find_program("testssl")
        super().setUp()
        home = self.folder / "gateway"
        home.mkdir()
        certificate, key = make_certificate(home, "gw.test")
        self.implicit_port = free_port()
        self.gateway = Gateway(
            home,
            f'[tls]\ncertificate = "{certificate.name}"\nkey = "{key.name}"\n'
            f'[[listen]]\nendpoint = "tcp:{self.implicit_port}:interface=127.0.0.1"\ntls = "implicit"\n'
            "[limits]\nconnections_per_client = 500\n",
        )
        self.gateway.start()
        self.addCleanup(self.gateway.stop)

    def look(self, name: str, *where: str) -> tuple[subprocess.Popen[bytes], Path]:
        """Begin to look at a port."""
        findings, output = self.folder / f"{name}.json", self.folder / f"{name}.out"
        options = ("--quiet", "--color", "0", "--warnings", "off", "--nodns", "none", *_SECTIONS)
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [self.program, *options, "--jsonfile", str(findings), *where],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        self.addCleanup(_end, process)
        return process, findings

    @holds("8314", "4.1", "TLS 1.2 and newer, with authenticated encryption and forward secrecy alone.")
    def test_nothing_severe(self) -> None:
        """Nothing of severity MEDIUM or worse on either port, and it did look."""
        looks = {
            "starttls": self.look("starttls", "--starttls", "smtp", f"127.0.0.1:{self.gateway.port}"),
            "implicit": self.look("implicit", f"127.0.0.1:{self.implicit_port}"),
        }
        for name, (process, findings) in looks.items():
            process.wait(_SECONDS)
            found = {one["id"]: one for one in json.loads(findings.read_text(encoding="utf-8"))}
            with self.subTest(port=name):
                self.assertEqual("OK", found["TLS1_3"]["severity"], found["TLS1_3"])
                for expected in ("TLS1", "TLS1_1", "heartbleed", "cipherlist_AVERAGE", "secure_client_renego"):
                    self.assertIn(expected, found)
                severe = {
                    key: one["finding"]
                    for key, one in found.items()
                    if one["severity"] in _SEVERE and not key.startswith(_OURS)
                }
                self.assertEqual({}, severe)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """With its children, of which it has many."""
    if process.poll() is None:
        os.killpg(process.pid, 9)
        process.wait()
