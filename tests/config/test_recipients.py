"""Who is a recipient, as ``recipients`` of a domain writes it."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.config.lookups import EveryRecipient, FileRecipients
from smtpgw.config.recipients import recipients_in
from smtpgw.lookups import extras
from smtpgw.lookups.callahead import CallAheadPlace
from smtpgw.lookups.http import HttpPlace
from smtpgw.lookups.ldap import LdapPlace
from smtpgw.lookups.postgresql import PostgresqlPlace
from smtpgw.lookups.python import PythonPlace
from smtpgw.lookups.sql import DEFAULT_QUERY
from smtpgw.lookups.sqlite import SqlitePlace

FOLDER = Path("/etc/gw")


class FormTests(SynchronousTestCase):
    """Every form leads to its place, and nothing is connected to."""

    def test_simple(self) -> None:
        """Everybody, a file, a database in a file, a function, the next host."""
        for written, place in (
            ("*", EveryRecipient()),
            ("file:users.txt", FileRecipients(FOLDER / "users.txt")),
            ("sqlite:users.db", SqlitePlace(FOLDER / "users.db", DEFAULT_QUERY)),
            ("python:os.path:exists", PythonPlace("os.path:exists")),
            ("smtp:mail.example.com", CallAheadPlace("mail.example.com", 25)),
            ("smtp:[::1]:2525", CallAheadPlace("::1", 2525)),
        ):
            self.assertEqual(recipients_in(FOLDER)(written), place)

    def test_urls(self) -> None:
        """A database, a directory, a web service."""
        for written, kind in (
            ("postgresql://h/db", PostgresqlPlace),
            ("postgres://h/db", PostgresqlPlace),
            ("ldap://h/dc=x", LdapPlace),
            ("ldaps://h/dc=x", LdapPlace),
            ("https://h/{address}", HttpPlace),
            ("http://h/{address}", HttpPlace),
        ):
            self.assertIsInstance(recipients_in(FOLDER)(written), kind)

    def test_secret(self) -> None:
        """A URL with a password may stand in a variable or a file."""
        environ = {"USERS": "https://u:secret@h/{address}"}
        self.assertEqual(recipients_in(FOLDER, environ)({"env": "USERS"}), recipients_in(FOLDER)(environ["USERS"]))
        path = Path(self.mktemp()).absolute()
        path.write_text(environ["USERS"] + "\n")
        self.assertEqual(recipients_in(FOLDER)({"file": str(path)}), recipients_in(FOLDER)(environ["USERS"]))

    def test_wrong(self) -> None:
        """Each mistake is told in words, and no password with it."""
        for written, words in (
            (7, ""),
            ("", ""),
            ("alice", "is not a list, nor"),
            ("file:", "is not a list, nor"),
            ("*:", "is not a list, nor"),
            ("htps://u:secret@h/{address}", "did you mean 'https:'"),
            ("mysql://u:secret@h/db", "is not a list, nor"),
            ("sqlite", "is not a list, nor"),
            ("sqlite:", "path"),
            ("smtp:", "host and port"),
            ("smtp://h:25", "without slashes"),
            ("smtp:h:0", ""),
            ("python:users", "name in a module"),
            ("python:users.mail known", "name in a module"),
            ("https://u:secret@h/", "the same for everybody"),
            ("ldap://cn=a:secret@h/dc=x?m?all", "base, one, sub"),
            ("postgresql://u:secret@h/db?colour=red", "colour"),
            ({"env": "MISSING"}, "MISSING"),
        ):
            text = str(self.assertRaises(ValueError, recipients_in(FOLDER), written))
            self.assertIn(words, text)
            self.assertNotIn("secret", text)

    def test_library(self) -> None:
        """Who lacks a library is told how to get it."""
        self.patch(extras, "find_spec", lambda _: None)
        for written, command in (
            ("ldap://h/dc=x", "pip install 'smtpgw[ldap]'"),
            ("postgresql://h/db", "pip install 'smtpgw[postgresql]'"),
        ):
            self.assertIn(command, str(self.assertRaises(ValueError, recipients_in(FOLDER), written)))

    def test_function(self) -> None:
        """A function is looked for where that is wanted, and only there."""
        self.assertEqual(recipients_in(FOLDER)("python:no_such_module:f"), PythonPlace("no_such_module:f"))
        read = recipients_in(FOLDER, loads=True)
        self.assertIn("no_such_module", str(self.assertRaises(ValueError, read, "python:no_such_module:f")))
        self.assertEqual(read("python:os.path:exists"), PythonPlace("os.path:exists"))
