"""Tests of :mod:`smtpgw.cli.demo` and :mod:`smtpgw.cli.demo_view`."""

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from smtpgw.cli.demo import FAST, USUAL, Demo, Pace, expectations
from smtpgw.cli.demo_view import DemoView, Expected
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.notice import Attempted, Connected, HostTrouble, Queued
from smtpgw.model.outcome import Delayed, Delivered, Failed, Outcome, Relayed
from smtpgw.model.reply import Reply, reply

CLIENT = Client("127.0.0.1")
ALICE = Mailbox("alice", "sender.example")
OK = reply(250, "2.0.0", "Ok")
GREYLISTED = reply(451, "4.7.1", "Greylisted")
TLS = TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384")
NO_DELAYS = (0.0, 0.0, 0.0, 0.0)


def _entry(queue_id: int, local: str, domain: str, due_at: float = 0.0, attempts: int = 0, path: Any = ALICE) -> Entry:
    envelope = Envelope(path, (Recipient(Mailbox(local, domain)),))
    message = Message(queue_id, envelope, CLIENT, 0.0, b"", 10)
    return Entry(message, (Slot(SlotState.QUEUED, due_at, attempts),), 0.0)


class _ViewTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        expected = [
            Expected("bob@good.example", "good", "relayed", ("mx.good.example",), needs_tls=True),
            Expected("erin@strict.example", "refuses", "bounced", ("mx1.strict.example", "mx2.strict.example")),
            Expected("alice@sender.example", "local", "delivered"),
        ]
        self.view = DemoView(expected)
        self.bob, self.erin, self.alice = self.view.rows.values()

    def queue(self, queue_id: int = 1, local: str = "bob", domain: str = "good.example", **options: Any) -> list[str]:
        """A message was taken."""
        return self.view.apply(Queued(_entry(queue_id, local, domain, **options)), 100.0)

    def attempt(
        self, outcome: Outcome, queue_id: int = 1, local: str = "bob", domain: str = "good.example", **options: Any
    ) -> list[str]:
        """It was tried."""
        entry = _entry(queue_id, local, domain, **options)
        return self.view.apply(Attempted(entry, 0, outcome, "site", NO_DELAYS), 102.5)

    def picture(self, width: int = 100, height: int = 30) -> str:
        """As on a terminal, without colours."""
        output = io.StringIO()
        console = Console(file=output, width=width, height=height, force_terminal=True, color_system=None)
        console.print(self.view.render(103.0, "title", width, height))
        return output.getvalue()


class StateTests(_ViewTestCase):
    """What notices make of a row."""

    def test_life(self) -> None:
        """Handed in, queued, delayed with the time of the next try, relayed."""
        self.assertEqual(self.bob.state, "handing in")
        self.queue()
        self.assertEqual(self.bob.state, "queued")
        self.attempt(Delayed("4.7.1", "later", reply=GREYLISTED), due_at=110.0, attempts=1)
        self.assertEqual((self.bob.state, self.bob.attempts, self.bob.words), ("delayed", 1, "451 4.7.1 Greylisted"))
        self.assertIn("next in 7 s", self.picture())
        self.attempt(Relayed(OK, "mx.good.example", "127.0.0.2", TLS), attempts=2)
        self.assertEqual((self.bob.state, self.bob.attempts, self.bob.tls), ("relayed", 2, "TLSv1.3"))
        self.assertTrue(self.bob.is_over)
        self.assertTrue(self.bob.is_as_expected)
        self.assertIn("after 2.5 s", self.picture())

    def test_clear_text_where_tls_is_offered(self) -> None:
        """A message that went in clear text where it need not is not as expected."""
        self.queue()
        self.attempt(Relayed(OK, "mx.good.example", "127.0.0.2"))
        self.assertEqual(self.bob.tls, "none")
        self.assertFalse(self.bob.is_as_expected)

    def test_bounce(self) -> None:
        """A refused one bounces, and the notification, from the null path, gets a row of its own."""
        self.queue(2, "erin", "strict.example")
        self.attempt(Failed("5.1.1", "no", reply=reply(550, "5.1.1", "No")), 2, "erin", "strict.example")
        self.queue(3, "alice", "sender.example", path=None)
        self.attempt(Delivered("maildir"), 3, "alice", "sender.example", path=None)
        self.assertEqual((self.erin.state, self.alice.state, self.alice.words), ("bounced", "delivered", "maildir"))
        self.assertEqual(self.alice.reverse_path, "")

    def test_dead_host(self) -> None:
        """That a host of the destination is dead is said in its row alone."""
        self.queue(2, "erin", "strict.example")
        trouble = HostTrouble("site", "mx1.strict.example", "127.0.0.4", "connect", "refused", 0, None)
        self.assertEqual(len(self.view.apply(trouble, 101.0)), 1)
        self.assertEqual(self.erin.words, "mx1.strict.example: refused; next host")
        self.assertEqual((self.erin.attempts, self.bob.words), (0, ""))

    def test_other_messages(self) -> None:
        """What is not of the demo changes nothing; a second message to the same address neither."""
        self.queue()
        for queue_id, local in ((9, "bob"), (8, "stranger")):
            self.queue(queue_id, local)
            self.attempt(Failed("5.0.0", "no"), queue_id, local)
        self.assertEqual(self.view.apply(Connected(CLIENT), 1.0), [])
        self.assertEqual((self.bob.queue_id, self.bob.state), (1, "queued"))

    def test_over(self) -> None:
        """Over when every row has its outcome; as expected when each has its own."""
        self.queue()
        self.queue(2, "erin", "strict.example")
        self.queue(3, "alice", "sender.example", path=None)
        self.attempt(Relayed(OK, "mx", "127.0.0.2", TLS))
        self.attempt(Delivered("maildir"), 3, "alice", "sender.example")
        self.assertFalse(self.view.is_over)
        self.attempt(Relayed(OK, "mx", "127.0.0.2", TLS), 2, "erin", "strict.example")
        self.assertTrue(self.view.is_over)
        self.assertFalse(self.view.is_as_expected)
        self.assertIn("not as expected: erin@strict.example", self.picture())


class PictureTests(_ViewTestCase):
    """How it looks."""

    def test_fits(self) -> None:
        """The whole demo fits into 100 columns and 30 lines, with long replies in every row."""
        self.view = DemoView(expectations(USUAL))
        for number, recipient in enumerate(self.view.rows, 1):
            local, _, domain = recipient.partition("@")
            self.queue(number, local, domain)
            self.attempt(Delayed("4.0.0", "x", reply=reply(451, "4.7.1", "long words " * 30)), number, local, domain)
        lines = self.picture().splitlines()
        self.assertLessEqual(len(lines), 30)
        self.assertLessEqual(max(map(len, lines)), 100)
        for recipient in self.view.rows:
            self.assertTrue(any(recipient in line for line in lines), recipient)

    def test_small_terminal(self) -> None:
        """80 columns and 24 lines: one line for each message, the last reply cut."""
        self.view = DemoView(expectations(USUAL))
        for number, recipient in enumerate(self.view.rows, 1):
            local, _, domain = recipient.partition("@")
            self.queue(number, local, domain)
            self.attempt(Delayed("4.0.0", "x", reply=reply(451, "4.7.1", "long words " * 30)), number, local, domain)
        for width, height in ((80, 24), (95, 60), (200, 23)):
            lines = self.picture(width, height).splitlines()
            self.assertEqual(len(lines), len(self.view.rows) + 2)
            self.assertLessEqual(max(map(len, lines)), width)
            for recipient, line in zip(self.view.rows, lines[1:], strict=False):
                self.assertTrue(line.startswith(f"{recipient} "), line)
                self.assertIn(" delayed ", line)
                self.assertIn(" 1  451 4.7.1 long words", line)
        self.assertIn("…", self.picture(80, 24))
        self.assertIn("╭", self.picture(100, 24))

    def test_hostile_reply(self) -> None:
        """A reply can neither move the cursor nor use the markup of the terminal library."""
        self.queue()
        self.attempt(Delayed("4.0.0", "x", reply=Reply(451, "", ("\x1b[2J[bold red]\r\n\u202e[/]",))))
        picture = self.picture()
        self.assertNotIn("\x1b[2J", picture)
        self.assertNotIn("\u202e", picture)
        self.assertIn("[bold", picture)

    def test_lines(self) -> None:
        """Without a terminal each step is one line."""
        lines = [*self.queue(), *self.attempt(Relayed(OK, "mx", "127.0.0.2", TLS))]
        self.assertEqual(lines[0].split()[1:3], ["queued", "bob@good.example"])
        self.assertTrue(lines[1].endswith("mx: 250 2.0.0 Ok"))

    def test_json(self) -> None:
        """Everything in the table is in the JSON."""
        self.assertIsNone(self.bob.as_json()["id"])
        self.queue()
        self.attempt(Relayed(OK, "mx.good.example", "127.0.0.2", TLS))
        row = self.bob.as_json()
        self.assertEqual(
            (row["id"], row["state"], row["tls"], row["seconds"]), ("0000000000001", "relayed", "TLSv1.3", 2.5)
        )


class RunTests(TestCase):
    """The whole of it, on loopback."""

    timeout = 30

    async def test_fast(self) -> None:
        """Every message ends as it should, the bounce in a mailbox, and nothing stays open."""
        from twisted.internet import reactor

        pace = Pace(0.4, 0.02, (0.3, 0.5))
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        view = DemoView(expectations(pace))
        output = io.StringIO()
        await Demo(reactor, view, pace, folder, 20.0, Console(file=output)).run()
        self.assertEqual(
            {row.expected.recipient: row.state for row in view.rows.values() if not row.is_as_expected}, {}
        )
        bounce = next(path for path in (folder / "mail").rglob("new/*") if path.is_file()).read_bytes()
        self.assertIn(b"erin@strict.example", bounce)
        self.assertIn("relayed   dave@backup.example", output.getvalue())

    def test_broken_pipe(self) -> None:
        """Whoever reads one line and goes away ends it, quietly."""
        with subprocess.Popen(
            [sys.executable, "-c", "import sys; from smtpgw.cli.main import main; sys.exit(main())", "demo", "--fast"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        ) as running:
            assert running.stdout is not None
            assert running.stderr is not None
            self.assertIn(b"queued", running.stdout.readline())
            running.stdout.close()
            self.assertEqual((running.stderr.read(), running.wait(20)), (b"", 0))

    async def test_interrupted(self) -> None:
        """Cancelling stops everything: trial finds nothing left in the reactor."""
        from twisted.internet import reactor

        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        view = DemoView(expectations(FAST))
        running = Deferred.fromCoroutine(Demo(reactor, view, FAST, folder, 20.0, Console(file=io.StringIO())).run())
        reactor.callLater(0.2, running.cancel)
        running.addErrback(lambda failure: None)
        await running
        self.assertFalse(view.is_over)
