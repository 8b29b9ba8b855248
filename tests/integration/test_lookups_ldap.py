"""Recipients in a real directory: slapd of Debian's package, on loopback."""

import base64
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.trial.unittest import SkipTest

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.ldap import LdapDirectory, read_ldap_url
from smtpgw.lookups.question import Question, Source
from smtpgw.testing.certificates import Authority
from tests.contracts.source import DOMAIN, RECIPIENTS, MemoryThreads, SourceContract
from tests.integration.loopback import RealThingTestCase, find_program, free_port
from tests.integration.programs import OwnServer

_BASE = "dc=ours,dc=example"
_READER = f"cn=reader,{_BASE}"
_PASSWORD = "s3cret/@pw"
_SCHEMAS = Path("/etc/ldap/schema")


class Directory(OwnServer):
    """One slapd."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._program = find_program("slapd")
        if not (_SCHEMAS / "inetorgperson.schema").exists():
            raise SkipTest("the schemas of slapd are not installed")
        self.port, self.tls_port = free_port(), free_port()
        self.authority = Authority()
        pair = self.authority.issue("localhost")
        (folder / "db").mkdir()
        (folder / "ca.pem").write_bytes(self.authority.certificate)
        (folder / "cert.pem").write_bytes(pair.certificate)
        (folder / "key.pem").write_bytes(pair.key)
        (folder / "slapd.conf").write_text(_configuration(folder), encoding="utf-8")
        (folder / "all.ldif").write_text(_entries(), encoding="utf-8")
        self.give_up_root()
        self.run(self._program, "-T", "add", "-f", "slapd.conf", "-l", "all.ldif")
        self.start()

    def command(self) -> list[str]:
        """In the foreground."""
        places = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        return [self._program, "-f", "slapd.conf", "-d", "0", "-h", places]

    def answers(self) -> bool:
        """It listens on both ports."""
        try:
            for port in (self.port, self.tls_port):
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return False
        return True


def _configuration(folder: Path) -> str:
    includes = "\n".join(f"include {_SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson"))
    return f"""{includes}
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
suffix "{_BASE}"
rootdn "{_READER}"
rootpw {_PASSWORD}
directory {folder}/db
access to dn.subtree="ou=hidden,{_BASE}" by * none
access to * by anonymous read by * read
"""


def _entries() -> str:
    lines = [f"dn: {_BASE}", "objectClass: domain", "dc: ours", ""]
    for unit in ("people", "hidden"):
        lines += [f"dn: ou={unit},{_BASE}", "objectClass: organizationalUnit", f"ou: {unit}", ""]
    for number, local in enumerate(RECIPIENTS):
        lines += [f"dn: cn=p{number},ou=people,{_BASE}", "objectClass: inetOrgPerson", "sn: x"]
        # The type of mail takes ASCII only; where others live is a matter of the schema.
        lines += [_encoded("mail", Question(local, DOMAIN).address)] if local.isascii() else []
        lines += [_encoded("description", f"{local}@{DOMAIN}"), ""]
    return "\n".join(lines)


def _encoded(attribute: str, value: str) -> str:
    return f"{attribute}:: {base64.b64encode(value.encode()).decode()}"


class LdapTests(SourceContract, RealThingTestCase):
    """What the directory has an entry for is known."""

    def setUp(self) -> None:
        """A directory with people."""
        super().setUp()
        if find_spec("ldap3") is None:
            raise SkipTest("ldap3 is not installed")
        self.directory = Directory(self.folder)
        self.addCleanup(self.directory.stop)
        self.place = f"127.0.0.1:{self.directory.port}/{_BASE}"

    def source(self, url: str, **more: Any) -> LdapDirectory:
        """Closed at the end."""
        directory = LdapDirectory(read_ldap_url(url), Lane(MemoryThreads()), **more)
        self.addCleanup(directory.close)
        return directory

    def make_source(self) -> Source:
        """By a filter; other characters than ASCII need an attribute that takes them."""
        return self.source(
            f"ldap://{self.place}?description?sub?(%26(objectClass=inetOrgPerson)(description={{local}}@{{domain}}))"
        )

    def make_broken_source(self) -> Source:
        """Nobody listens there."""
        return self.source(f"ldap://127.0.0.1:{free_port()}/{_BASE}")

    def test_by_mail(self) -> None:
        """Without a filter, the attribute mail is the address."""
        for url in (f"ldap://{self.place}", f"ldap://{self.place}?mail", f"ldap://{self.place}?mail?sub"):
            source = self.source(url)
            for local in filter(str.isascii, RECIPIENTS):
                self.assertTrue(self.ask(source, local), local)
            for local in self.strangers:
                self.assertFalse(self.ask(source, local), local)

    def test_scope(self) -> None:
        """Only as deep as the URL says."""
        self.assertFalse(self.ask(self.source(f"ldap://{self.place}?mail?one"), "alice"))
        people = self.place.replace(_BASE, f"ou=people,{_BASE}")
        self.assertTrue(self.ask(self.source(f"ldap://{people}?mail?one"), "alice"))

    def test_bind(self) -> None:
        """With a name and a password; a wrong one is trouble, and never in its text."""
        for password, works in ((_PASSWORD, True), ("wr0ng/pw", False)):
            url = f"ldap://{quote(_READER, safe='')}:{quote(password, safe='')}@{self.place}"
            source = self.source(url)
            if works:
                self.assertTrue(self.ask(source, "alice"))
            else:
                words = self.trouble_of(source)
                self.assertIn("invalidCredentials", words)
                self.assertNotIn(password, words)

    def test_wrong_base(self) -> None:
        """A base that isn't there, and one that may not be read, are trouble: nobody is refused for it."""
        self.assertIn(
            "noSuchObject", self.trouble_of(self.source(f"ldap://127.0.0.1:{self.directory.port}/dc=nowhere"))
        )
        hidden = self.place.replace(_BASE, f"ou=hidden,{_BASE}")
        self.assertIn("noSuchObject", self.trouble_of(self.source(f"ldap://{hidden}")))

    def test_restarted(self) -> None:
        """A directory that was started anew is asked over a new connection, without trouble."""
        source = self.make_source()
        self.assertTrue(self.ask(source, "alice"))
        self.directory.stop()
        self.assertTrue(self.trouble_of(source))
        self.directory.start()
        self.assertTrue(self.ask(source, "alice"))
        self.directory.stop()
        self.directory.start()
        self.assertTrue(self.ask(source, "alice"))

    def test_tls(self) -> None:
        """Ldaps and StartTLS check the certificate: its issuer and its name."""
        ca = self.folder / "ca.pem"
        implicit = f"ldaps://{{}}:{self.directory.tls_port}/{_BASE}"
        start = f"ldap://{{}}:{self.directory.port}/{_BASE}????StartTLS".replace("????", "?mail?sub??")
        for url in (implicit, start):
            self.assertTrue(self.ask(self.source(url.format("localhost"), authorities=ca), "alice"), url)
            self.assertTrue(self.trouble_of(self.source(url.format("localhost"))), url)
            self.assertTrue(self.trouble_of(self.source(url.format("127.0.0.1"), authorities=ca)), url)
