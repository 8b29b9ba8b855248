"""Recipients in a directory: URLs, and the texts of searches. A real directory is asked in tests/integration."""

from importlib.util import find_spec
from typing import Any

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.ldap import LdapDirectory, LdapPlace, read_ldap_url
from smtpgw.lookups.placeholders import read_template
from smtpgw.lookups.question import Question
from smtpgw.model.domains import LookupTrouble
from tests.contracts.source import STRANGERS, MemoryThreads
from tests.lookups.rig import waited


class _NeedsLibrary(SynchronousTestCase):
    def setUp(self) -> None:
        """Only with ldap3."""
        if find_spec("ldap3") is None:
            raise SkipTest("ldap3 is not installed")


class UrlTests(_NeedsLibrary):
    """What the configuration says."""

    def test_whole(self) -> None:
        """Every part has its meaning, percent-encoded where it must be."""
        self.assertEqual(
            read_ldap_url(
                "ldaps://cn=reader,dc=x:p%40ss@host:1636/ou=a%20b,dc=x?mail?one?(%26(objectClass=user)(uid={local}))"
            ),
            LdapPlace(
                "host", 1636, "ou=a b,dc=x", "LEVEL", read_template("(&(objectClass=user)(uid={local}))"), "implicit",
                "cn=reader,dc=x", "p@ss",
            ),
        )  # fmt: skip

    def test_short(self) -> None:
        """What is left out: the attribute mail, the whole tree, nobody to bind as, no TLS."""
        self.assertEqual(
            read_ldap_url("ldap://host/dc=x"),
            LdapPlace("host", 389, "dc=x", "SUBTREE", read_template("(mail={address})")),
        )
        self.assertEqual(read_ldap_url("ldap://host/dc=x?uid").filter, read_template("(uid={address})"))
        self.assertEqual(read_ldap_url("ldap://host/dc=x??sub??!StartTLS").tls, "starttls")

    def test_wrong(self) -> None:
        """Each mistake is told, and no password with it."""
        for url, words in (
            ("ldap:///dc=x", "no host"),
            ("ldap:host", "no host"),
            ("ldap://host:x/dc=x", "no number"),
            ("ldap://host/dc=x?mail,uid", "one name"),
            ("ldap://host/dc=x?mail?all", "base, one, sub"),
            ("ldap://host/dc=x?mail?sub?(mail=*)", "the same for everybody"),
            ("ldap://host/dc=x?mail?sub?(mail={user})", "none of"),
            ("ldap://host/dc=x?mail?sub?(mail={local}", "filter"),
            ("ldap://host/dc=x?mail?sub?(&(mail={local})", "filter"),
            ("ldap://host/dc=x?mail?sub??x-other", "StartTLS"),
            ("ldaps://host/dc=x?mail?sub??StartTLS", "StartTLS"),
            ("ldap://host/dc=x?a?sub?b?c?d", "more than"),
            ("ldap://cn=a@host/dc=x", "needs a password"),
            ("ldap://cn=a:secret@host/dc=x?mail?all", "base, one, sub"),
        ):
            text = str(self.assertRaises(ValueError, read_ldap_url, url))
            self.assertIn(words, text, url)
            self.assertNotIn("secret", text)

    def test_shown(self) -> None:
        """The password is not in what is printed of a configuration."""
        self.assertNotIn("secret", repr(read_ldap_url("ldap://cn=a:secret@host/dc=x")))


class SearchTests(_NeedsLibrary):
    """The search that a directory gets."""

    def test_escaped(self) -> None:
        """No mark in an address is one of the filter (RFC 4515 section 3)."""
        searches: list[str] = []
        source = LdapDirectory(read_ldap_url("ldap://host/dc=x?mail?sub?(mail={local})"), Lane(MemoryThreads()))

        class Connection:
            result = {"result": 0, "description": "success"}
            response: list[Any] = []

            def search(self, base: str, search: str, scope: str, **_: Any) -> None:
                """Note it."""
                searches.append(search)

        self.patch(source, "_connect", Connection)
        self.patch(source._connections, "_connect", Connection)
        for local in STRANGERS:
            self.assertFalse(self.successResultOf(waited(source(Question(local, "ours.example")))))
        for search in searches:
            inside = search.removeprefix("(mail=").removesuffix(")")
            self.assertNotRegex(inside, r"[()*\x00]|\\(?![0-9a-f]{2})")

    def test_results(self) -> None:
        """Only entries are a yes, only success is a no; references are neither."""
        source = LdapDirectory(read_ldap_url("ldap://host/dc=x"), Lane(MemoryThreads()))
        entry, reference = {"type": "searchResEntry"}, {"type": "searchResRef"}
        for code, response, expected in (
            (0, [entry], True), (0, [reference, entry], True), (4, [entry, entry], True),
            (0, [], False), (0, None, False), (0, [reference], False),
            (32, [], None), (50, [], None), (3, [], None), (10, [], None),
        ):  # fmt: skip

            class Connection:
                result = {"result": code, "description": "words"}

                def search(self, *_: Any, **__: Any) -> None:
                    """Done."""

                def unbind(self) -> None:
                    """Done."""

            Connection.response = response  # type: ignore[attr-defined]
            source._connections.close()
            self.patch(source._connections, "_connect", Connection)
            asked = waited(source(Question("alice", "ours.example")))
            if expected is None:
                self.failureResultOf(asked, LookupTrouble)
            else:
                self.assertIs(self.successResultOf(asked), expected, (code, response))
