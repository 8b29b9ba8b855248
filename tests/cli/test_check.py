"""smtpgw check: is this configuration right."""

import json
import os
import sys
from pathlib import Path

from smtpgw.cli.exits import Exit
from tests.cli.running import CommandTestCase
from tests.service.certificates import write_pair


class CheckTests(CommandTestCase):
    """Every mistake at once."""

    def check(self, text: str, *options: str) -> "tuple[int, str, str]":
        path = self.folder / "c.toml"
        path.write_text(text)
        ran = self.run_bare("check", str(path), *options)
        return ran.status, ran.out.replace(str(path), "FILE"), ran.err.replace(str(path), "FILE")

    def test_right(self) -> None:
        """One line that says what it describes."""
        text = 'hostname = "mx.example"\n[[domain]]\nname = "a.example"\n[spool]\nstore = "/q"\n'
        self.assertEqual(
            self.check(text), (0, "FILE: right. mx.example: 1 listener, 1 domain, 0 routes, spool /q\n", "")
        )
        self.assertEqual(json.loads(self.check(text, "--json")[1]), {"ok": True, "errors": [], "remarks": []})

    def test_users(self) -> None:
        """Users are counted, and a password that is none is not shown."""
        user = '[[user]]\nname = "a@a.example"\npassword = "%s"\n'
        hashed = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
        status, out, _ = self.check(user % hashed)
        self.assertEqual((status, out.count(", 1 user, spool ")), (0, 1))
        status, out, err = self.check(user % "hunter2")
        self.assertEqual((status, out), (Exit.CONFIG, ""))
        self.assertIn("FILE:3: user[0].password: ", err)
        self.assertNotIn("hunter2", err)
        self.assertNotIn("hunter2", self.check(user % "hunter2", "--json")[1])

    def test_nobody_can_log_in(self) -> None:
        """Users without a listener for them are no mistake, but worth a word."""
        hashed = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g"
        user = f'[[user]]\nname = "a@a.example"\npassword = "{hashed}"\n'
        remark = 'nobody can log in: no listener has role = "submission" or auth = true'
        status, _, err = self.check(user)
        self.assertEqual((status, err), (0, f"FILE: {remark}\n"))
        self.assertEqual(json.loads(self.check(user, "--json")[1])["remarks"], [remark])
        write_pair(self.folder)
        pair = '[tls]\ncertificate = "both.pem"\n'
        listen = '[[listen]]\nendpoint = "tcp:1"\nauth = true\n'
        self.assertEqual(self.check(pair + listen + user)[2], "")

    def test_token_check(self) -> None:
        """The function that checks tokens is loaded like one that takes mail."""
        status, _, err = self.check('[auth]\ntokens = "python:missing_of_check:f"\n')
        self.assertEqual((status, err), (Exit.CONFIG, "FILE:2: auth.tokens: there is no module 'missing_of_check'\n"))

    def test_wrong(self) -> None:
        """Status 78, and each mistake on its line."""
        text = "[log]\nlevel = 1\nlewel = 2\n"
        lines = (
            "FILE:2: log.level: 1 is not one of debug, info, warn, error\n"
            "FILE:3: log.lewel: unknown key; did you mean 'level'?\n"
        )
        self.assertEqual(self.check(text), (Exit.CONFIG, "", lines))
        status, out, err = self.check(text, "--json")
        self.assertEqual((status, err), (Exit.CONFIG, ""))
        errors = json.loads(out)["errors"]
        self.assertEqual(
            errors[1], {"file": "FILE", "line": 3, "key": "log.lewel", "text": "unknown key; did you mean 'level'?"}
        )

    def test_handlers(self) -> None:
        """Code that the configuration names is loaded, from the current folder, too, and what it raises is one line."""
        text = '[[domain]]\nname = "a.example"\ndeliver = "python:%s:f"\n'
        self.patch(sys, "path", list(sys.path))
        self.addCleanup(os.chdir, Path.cwd())
        os.chdir(self.folder)
        (self.folder / "handlers_of_check.py").write_text("async def f(message): pass\n")
        (self.folder / "broken_of_check.py").write_text("raise ValueError('two\\nlines')\n")
        (self.folder / "exiting_of_check.py").write_text("raise SystemExit(3)\n")
        self.assertEqual(self.check(text % "handlers_of_check")[0], 0)
        for module, words in (
            ("missing_of_check", "there is no module 'missing_of_check'"),
            ("broken_of_check", "importing 'broken_of_check' failed: ValueError: two lines"),
            ("exiting_of_check", "importing 'exiting_of_check' failed: SystemExit: 3"),
        ):
            status, _, err = self.check(text % module)
            self.assertEqual((status, err), (Exit.CONFIG, f"FILE:3: domain[0].deliver: {words}\n"))

    def test_environment(self) -> None:
        """What the gateway would read there counts."""
        self.patch(os, "environ", {"SMTPGW_LOG__LEVEL": "loud"})
        self.assertIn("environment: SMTPGW_LOG__LEVEL: 'loud' is not one of", self.check("")[2])

    def test_missing(self) -> None:
        """Status 66."""
        ran = self.run_bare("check", "/nowhere/c.toml")
        self.assertEqual((ran.status, ran.err), (Exit.NO_INPUT, "smtpgw: /nowhere/c.toml: no such file\n"))
