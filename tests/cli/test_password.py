"""smtpgw password: what the configuration keeps of it."""

import json

import click

from smtpgw.accounts.passwords import check_password_record, matches_record
from smtpgw.cli.exits import Exit
from tests.cli.running import CommandTestCase


class PasswordTests(CommandTestCase):
    """A hash of a typed or piped password."""

    def typed(self, *answers: str) -> None:
        """What is typed without being seen."""
        left = list(answers)

        def prompt(text: str, **options: object) -> str:
            self.assertEqual(options, {"hide_input": True, "err": True})
            return left.pop(0)

        self.patch(click, "prompt", prompt)

    def test_piped(self) -> None:
        """One line, with or without its end."""
        for octets in (b"s\xc3\xa4cret", b"s\xc3\xa4cret\n", b"s\xc3\xa4cret\r\n"):
            ran = self.run_bare("password", "--stdin", "--scram", octets=octets)
            self.assertEqual((ran.status, ran.err), (0, ""))
            self.assertTrue(matches_record(ran.out.strip(), "säcret"))

    def test_hash(self) -> None:
        """An argon2id hash by default."""
        ran = self.run_bare("password", "--stdin", "--json", octets=b"secret\n")
        record = json.loads(ran.out)["password"]
        self.assertTrue(record.startswith("$argon2id$v=19$m=65536,t=3,p=4$"))
        check_password_record(record)
        self.assertTrue(matches_record(record, "secret"))

    def test_prepared(self) -> None:
        """It is made of the spelling that a login is compared in."""
        ran = self.run_bare("password", "--stdin", "--scram", octets="\u2168".encode())
        self.assertTrue(matches_record(ran.out.strip(), "IX"))

    def test_typed(self) -> None:
        """Asked twice."""
        self.typed("secret", "secret")
        ran = self.run_bare("password", "--scram", is_terminal=True)
        self.assertTrue(matches_record(ran.out.strip(), "secret"))

    def test_typed_wrong(self) -> None:
        """Two that are not the same are none."""
        self.typed("secret", "secrets")
        ran = self.run_bare("password", is_terminal=True)
        self.assertEqual((ran.status, ran.out, ran.err), (Exit.DATA, "", "smtpgw: the two are not the same\n"))

    def test_no_terminal(self) -> None:
        """It does not wait for a terminal that there is not."""
        ran = self.run_bare("password", octets=b"secret\n")
        self.assertEqual((ran.status, ran.out), (Exit.USAGE, ""))
        self.assertIn("--stdin", ran.err)

    def test_refused(self) -> None:
        """Nothing, several lines, what is no text, and what nobody could log in with."""
        for octets in (b"", b"\n", b"a\nb\n", b"\xff\n", b"a\0b", b"a\tb", b"\xc2\xad", b"x" * 1025, b"x" * 9999):
            ran = self.run_bare("password", "--stdin", octets=octets)
            self.assertEqual((ran.status, ran.out), (Exit.DATA, ""), octets)
            self.assertEqual(ran.err.count("\n"), 1)
