"""smtpgw send: hand in a message as programs do with sendmail."""

import getpass
import json
from email import message_from_bytes
from typing import Any

from smtpgw.cli import send as send_module
from smtpgw.cli.exits import CommandTrouble, Exit
from tests.cli.running import CommandTestCase

_MESSAGE = b"Subject: x\nTo: bob@b.example\nBcc: carol@c.example\n\nbody\n.\nmore\n"


class SendTests(CommandTestCase):
    """What reaches the gateway, and what is told of it."""

    def setUp(self) -> None:
        super().setUp()
        self.answers["send"] = {"id": "0S9MWTMF80000", "reply": "250 2.0.0 Ok: queued as 0S9MWTMF80000", "refused": []}
        self.patch(send_module, "machine_name", lambda: "host.example")
        self.patch(getpass, "getuser", lambda: "app")

    def sent(self) -> tuple[dict[str, Any], bytes]:
        ((verb, arguments, content),) = self.calls
        self.assertEqual(verb, "send")
        assert content is not None
        return arguments, content

    def test_plain(self) -> None:
        """From the user who calls, to the addresses on the command line."""
        ran = self.run_command("send", "x@x.example", "y@y.example", octets=_MESSAGE)
        self.assertEqual((ran.status, ran.out, ran.err), (0, "queued as 0S9MWTMF80000\n", ""))
        arguments, content = self.sent()
        self.assertEqual(arguments, {"from": "app@host.example", "to": ["x@x.example", "y@y.example"]})
        parsed = message_from_bytes(content)
        self.assertEqual((parsed["From"], parsed["Bcc"]), ("app@host.example", "carol@c.example"))
        self.assertTrue(parsed["Message-ID"].endswith("@host.example>"))
        self.assertTrue(content.endswith(b"\r\n\r\nbody\r\n"))

    def test_as_sendmail(self) -> None:
        """-t -i -f, as most programs call it."""
        self.run_command("send", "-t", "-i", "-f", "list@a.example", "-F", "The List", octets=_MESSAGE)
        arguments, content = self.sent()
        self.assertEqual(arguments, {"from": "list@a.example", "to": ["bob@b.example", "carol@c.example"]})
        parsed = message_from_bytes(content)
        self.assertEqual((parsed["From"], parsed["Bcc"]), ('"The List" <list@a.example>', None))
        self.assertTrue(content.endswith(b"body\r\n.\r\nmore\r\n"))

    def test_habits_of_sendmail(self) -> None:
        """Options that mean nothing here change nothing; -oi is -i, -r is -f."""
        self.run_command(
            *(
                "send",
                "-bm",
                "-oi",
                "-oem",
                "-odi",
                "-v",
                "-N",
                "never",
                "-R",
                "hdrs",
                "-O",
                "A=b",
                "-r",
                "l@a.example",
            ),
            "x@x.example",
            octets=_MESSAGE,
        )
        arguments, content = self.sent()
        self.assertEqual(arguments, {"from": "l@a.example", "to": ["x@x.example"]})
        self.assertTrue(content.endswith(b"body\r\n.\r\nmore\r\n"))

    def test_other_modes(self) -> None:
        """A mode that would do something else is refused, not taken for handing in."""
        ran = self.run_command("send", "-bs", "x@x.example", octets=_MESSAGE)
        self.assertEqual((ran.status, self.calls), (Exit.USAGE, []))
        self.assertIn("-bs is not available", ran.err)

    def test_null_path(self) -> None:
        """Both ways to write it; From then names the user."""
        for path in ("", "<>"):
            self.calls.clear()
            self.run_command("send", "-f", path, "x@x.example", octets=_MESSAGE)
            arguments, content = self.sent()
            self.assertEqual(arguments["from"], "")
            self.assertEqual(message_from_bytes(content)["From"], "app@host.example")

    def test_user_without_name(self) -> None:
        """A container's user id that no password file knows."""

        def nobody() -> str:
            raise KeyError

        self.patch(getpass, "getuser", nobody)
        self.run_command("send", "x@x.example", octets=_MESSAGE)
        self.assertEqual(self.sent()[0]["from"], "root@host.example")

    def test_file(self) -> None:
        """A file has no dot at its end."""
        path = self.folder / "m"
        path.write_bytes(_MESSAGE)
        self.run_command("send", "--file", str(path), "x@x.example")
        self.assertTrue(self.sent()[1].endswith(b"body\r\n.\r\nmore\r\n"))
        ran = self.run_command("send", "--file", str(self.folder / "no"), "x@x.example")
        self.assertEqual(ran.status, Exit.NO_INPUT)

    def test_json(self) -> None:
        """The gateway's answer."""
        ran = self.run_command("send", "x@x.example", "--json", octets=_MESSAGE)
        self.assertEqual(json.loads(ran.out), self.answers["send"])

    def test_some_refused(self) -> None:
        """The message is sent, and who is left out is told; nothing hostile in it."""
        self.answers["send"]["refused"] = [{"to": "x@x.example", "reply": "550 5.1.1 No\x1b[2J"}]
        ran = self.run_command("send", "x@x.example", "y@y.example", octets=_MESSAGE)
        self.assertEqual(ran.status, Exit.DATA)
        self.assertIn("queued as", ran.out)
        self.assertEqual(ran.err, "smtpgw: refused: x@x.example: 550 5.1.1 No\\x1b[2J\n")

    def test_no_recipient(self) -> None:
        """Nothing is sent to nobody."""
        self.assertEqual(self.run_command("send", octets=_MESSAGE).status, Exit.USAGE)
        ran = self.run_command("send", "-t", octets=b"Subject: x\n\nbody\n")
        self.assertIn("no recipient: the header names none", ran.err)
        self.assertEqual(self.calls, [])

    def test_wrong_header(self) -> None:
        """Status 65: coming again does not help."""
        ran = self.run_command("send", "-t", octets=b"To: bob\n\n")
        self.assertEqual(ran.status, Exit.DATA)
        self.assertIn("'bob', which is no address", ran.err)

    def test_too_large(self) -> None:
        """Refused before it is sent."""
        self.patch(send_module, "_MOST_OCTETS", 10)
        self.assertEqual(self.run_command("send", "x@x.example", octets=b"x" * 11).status, Exit.DATA)
        self.assertEqual(self.calls, [])

    def test_no_gateway(self) -> None:
        """Status 75: whoever hands it in keeps it and comes again."""
        self.answers.clear()
        ran = self.run_command("send", "x@x.example", octets=_MESSAGE)
        self.assertEqual((ran.status, ran.out), (Exit.TEMPORARY, ""))
        self.assertIn("no gateway runs", ran.err)

    def test_refused(self) -> None:
        """The gateway's no, with its status."""

        def refuse(_: object) -> object:
            raise CommandTrouble("550 5.1.1 unknown", Exit.DATA)

        self.answers["send"] = refuse
        ran = self.run_command("send", "x@x.example", octets=_MESSAGE)
        self.assertEqual((ran.status, ran.err), (Exit.DATA, "smtpgw: 550 5.1.1 unknown\n"))
