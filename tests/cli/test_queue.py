"""smtpgw queue: what waits, why, and what to do about it."""

import json
import os
from pathlib import Path
from typing import Any

from smtpgw.cli.exits import Exit
from smtpgw.cli.target import WallClock
from smtpgw.model.queue_id import parse_queue_id, queue_id_text
from smtpgw.spool.folder import FolderLock
from tests.cli.running import CommandTestCase

ID = "0S9MWTMF80000"
NOW = 100_000.0


def message(queue_id: str = ID, **changes: Any) -> dict[str, Any]:
    recipient = {
        "slot": 0,
        "to": "bob@b.example",
        "site": "b.example",
        "state": "queued",
        "attempts": 1,
        "due_at": NOW + 90,
        "reason": "451 4.7.1 greylisted",
    }
    found = {
        "id": queue_id,
        "from": "alice@a.example",
        "received_at": NOW - 3700,
        "expires_at": NOW + 86400,
        "warned": False,
        "size_octets": 1536,
        "matching": 1,
        "recipients": [recipient],
    }
    return {**found, **changes}


class QueueTestCase(CommandTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.patch(WallClock, "time", lambda _: NOW)


class PausedTests(QueueTestCase):
    """While delivery is paused."""

    def test_said(self) -> None:
        """Both list and summary say so on a line of their own, JSON does not; a running delivery is not mentioned."""
        summary = {"messages": 0, "recipients": 0, "by_state": {}, "by_site": []}
        for paused, line in ((True, "delivery is paused\n"), (False, "")):
            self.answers.update(
                {"queue.list": [], "stats": {"paused": paused}, "queue.summary": {**summary, "paused": paused}}
            )
            self.assertEqual(self.run_command("queue", "list").out, f"No message.\n{line}")
            self.assertTrue(self.run_command("queue", "summary").out.endswith(f"\n{line}"))
            self.assertEqual(self.run_command("queue", "list", "--json").out, "[]\n")


class ListTests(QueueTestCase):
    """smtpgw queue list"""

    def test_table(self) -> None:
        """Aligned columns of plain text, with the first recipient and how many more."""
        other = message(
            "0S9MWTMW40000",
            **{
                "from": "",
                "matching": 3,
                "recipients": [
                    {**message()["recipients"][0], "state": "held", "due_at": 0.0, "reason": ""},
                    message()["recipients"][0],
                ],
            },
        )
        self.answers["queue.list"] = [message(), other]
        lines = self.run_command("queue", "list").out.splitlines()
        self.assertEqual(lines[0].split(), ["ID", "AGE", "SIZE", "STATE", "FROM", "TO", "NEXT", "REASON"])
        self.assertEqual(
            lines[1].split(),
            [
                ID,
                "1h1m",
                "1.5",
                "KiB",
                "queued",
                "alice@a.example",
                "bob@b.example",
                "1m30s",
                "451",
                "4.7.1",
                "greylisted",
            ],
        )
        self.assertEqual(lines[2].split()[4:8], ["mixed", "<>", "bob@b.example", "(+2)"])
        self.assertEqual(lines[0].index("FROM"), lines[1].index("alice"))

    def test_hostile(self) -> None:
        """What a peer said does nothing to the terminal."""
        recipient = {**message()["recipients"][0], "reason": "\x1b[2Jx\u202ey\nqueue empty"}
        self.answers["queue.list"] = [{**message(recipients=[recipient]), "from": "\x9b31m@x"}]
        for arguments in ((), ("--json",)):
            out = self.run_command("queue", "list", *arguments).out
            self.assertTrue(all(line.isprintable() for line in out.split("\n")), out)
        self.assertIn(r"\x1b[2Jx\u202ey\nqueue empty", self.run_command("queue", "list").out)

    def test_json(self) -> None:
        """All of it, as the gateway gave it."""
        self.answers["queue.list"] = [message()]
        self.assertEqual(json.loads(self.run_command("queue", "list", "--json").out), [message()])

    def test_empty(self) -> None:
        """Nothing is said to be nothing."""
        self.answers["queue.list"] = []
        self.assertEqual(self.run_command("queue", "list").out, "No message.\n")
        self.assertEqual(self.run_command("queue", "list", "--json").out, "[]\n")

    def test_selector(self) -> None:
        """Every condition reaches the gateway; what was not said does not."""
        self.answers["queue.list"] = []
        self.run_command("queue", "list")
        self.run_command(
            *("queue", "list", ID.lower(), "--from", "<>", "--to", "*@b.example", "--site", "b.example"),
            *("--state", "held", "--older", "4h", "--reason", "grey"),
        )
        self.assertEqual(
            [arguments["selector"] for _, arguments, _ in self.calls],
            [
                {},
                {
                    "ids": [ID],
                    "reverse_path": "<>",
                    "recipient": "*@b.example",
                    "site": "b.example",
                    "state": "held",
                    "older_than_seconds": 14400.0,
                    "reason": "grey",
                },
            ],
        )

    def serve(self, count: int) -> list[str]:
        ids = [queue_id_text(number << 22) for number in range(1, count + 1)]

        def page(arguments: dict[str, Any]) -> list[dict[str, Any]]:
            begin = 0 if arguments["after"] is None else ids.index(arguments["after"]) + 1
            return [message(queue_id) for queue_id in ids[begin : begin + min(arguments["limit"], 1000)]]

        self.answers["queue.list"] = page
        return ids

    def test_pages(self) -> None:
        """A long queue comes in pages, complete and in order."""
        ids = self.serve(1700)
        ran = self.run_command("queue", "list", "--limit", "0", "--json")
        self.assertEqual([found["id"] for found in json.loads(ran.out)], ids)
        self.assertEqual(ran.err, "")
        ran = self.run_command("queue", "list", "--limit", "1200", "--json")
        self.assertEqual([found["id"] for found in json.loads(ran.out)], ids[:1200])

    def test_limit(self) -> None:
        """What is left out is told, on standard error."""
        self.serve(101)
        ran = self.run_command("queue", "list")
        self.assertEqual(len(ran.out.splitlines()), 101)
        self.assertEqual(ran.err, "There are more; --limit N shows more of them, --limit 0 all.\n")
        self.serve(100)
        self.assertEqual(self.run_command("queue", "list").err, "")


class SummaryTests(QueueTestCase):
    """smtpgw queue summary"""

    counts = {
        "messages": 2,
        "recipients": 3,
        "by_state": {"queued": 2, "held": 1},
        "by_site": [{"site": "b.example", "recipients": 3, "queued": 2, "held": 1, "oldest": NOW - 60}],
    }

    def test_text(self) -> None:
        """A sentence and a table."""
        self.answers["queue.summary"] = self.counts
        lines = self.run_command("queue", "summary").out.splitlines()
        self.assertEqual(lines[0], "2 messages, 3 recipients: 2 queued, 1 held")
        self.assertEqual(
            [line.split() for line in lines[2:]],
            [
                ["SITE", "RECIPIENTS", "QUEUED", "HELD", "OLDEST"],
                ["b.example", "3", "2", "1", "1m"],
            ],
        )

    def test_json(self) -> None:
        """The shape of the contract."""
        self.answers["queue.summary"] = self.counts
        self.assertEqual(json.loads(self.run_command("queue", "summary", "--json").out), self.counts)


class ShowTests(QueueTestCase):
    """smtpgw queue show"""

    def shown(self, **changes: Any) -> dict[str, Any]:
        client = {"address": "192.0.2.7", "helo": "c.example", "protocol": "ESMTPS", "tls": {"version": "TLSv1.3"}}
        return message(client=client, trace="", **changes)

    def test_text(self) -> None:
        """Where it came from, and each recipient."""
        self.answers["queue.show"] = self.shown()
        ran = self.run_command("queue", "show", ID)
        self.assertEqual(self.calls, [("queue.show", {"id": ID, "body": False}, None)])
        self.assertIn("came from  192.0.2.7 as c.example with ESMTPS, TLSv1.3\n", ran.out)
        self.assertIn("received   1970-01-02 02:45:00Z (1h1m ago)\n", ran.out)
        self.assertIn("expires    1970-01-03 03:46:40Z (in 1d)\n", ran.out)
        self.assertEqual(
            ran.out.splitlines()[-1].split(),
            ["0", "bob@b.example", "queued", "1", "1m30s", "451", "4.7.1", "greylisted"],
        )

    def test_asked_for(self) -> None:
        """Who has logged in, and what was asked for, as in MAIL and RCPT; of others there is no word."""
        [recipient] = message()["recipients"]
        shown = self.shown(
            envelope_id="E1",
            returned="HDRS",
            requires_tls=True,
            deliver_by={"value": "600;R", "at": NOW},
            release_at=NOW + 60,
            recipients=[{**recipient, "notify": "FAILURE,DELAY", "original": "rfc822;bob@x"}, recipient],
        )
        shown["client"] |= {"identity": "app\x1b", "mechanism": "PLAIN"}
        self.answers["queue.show"] = shown
        out = self.run_command("queue", "show", ID).out
        self.assertIn("\nlogin      app\\x1b (PLAIN)\n", out)
        when = "BY=600;R (1970-01-02 03:46:40Z), HOLDUNTIL=1970-01-02 03:47:40Z"
        self.assertIn(f"\nasked for  ENVID=E1, RET=HDRS, REQUIRETLS, {when}\n", out)
        first, second = out.splitlines()[-2:]
        self.assertTrue(first.endswith("  NOTIFY=FAILURE,DELAY ORCPT=rfc822;bob@x"), first)
        self.assertTrue(second.endswith("greylisted"), second)
        self.answers["queue.show"] = self.shown()
        out = self.run_command("queue", "show", ID).out
        self.assertNotIn("asked for", out.lower())
        self.assertNotIn("login", out)

    def test_body(self) -> None:
        """Line by line; tabs stay, commands to the terminal do not."""
        self.answers["queue.show"] = self.shown(content="Subject: x\r\n\tfolded\r\n\r\n\x1b[2J\u202ea\\b\r\n")
        ran = self.run_command("queue", "show", ID, "--body")
        self.assertEqual(self.calls[0][1]["body"], True)
        self.assertTrue(ran.out.endswith("\nSubject: x\n\tfolded\n\n\\x1b[2J\\u202ea\\\\b\n\n"), ran.out)

    def test_missing(self) -> None:
        """Status 66."""
        self.answers["queue.show"] = lambda _: None
        ran = self.run_command("queue", "show", ID)
        self.assertEqual((ran.status, ran.out, ran.err), (Exit.NO_INPUT, "", f"smtpgw: there is no message {ID}\n"))


class ChangeTests(QueueTestCase):
    """smtpgw queue retry, hold, release, drop"""

    def setUp(self) -> None:
        super().setUp()
        for verb in ("retry", "hold", "release", "drop"):
            self.answers[f"queue.{verb}"] = {"count": 3, "messages": 2}

    def asked(self) -> list[tuple[str, object]]:
        return [(verb, arguments["dry_run"]) for verb, arguments, _ in self.calls]

    def test_needs_a_selector(self) -> None:
        """A verb without anything else does not mean everything."""
        for verb in ("retry", "hold", "release", "drop"):
            ran = self.run_command("queue", verb, "--yes")
            self.assertEqual(ran.status, Exit.USAGE)
            self.assertIn("say which messages, or --all", ran.err)
        self.assertEqual(self.calls, [])

    def test_harmless(self) -> None:
        """What can be undone and is selected is done at once."""
        for verb in ("retry", "hold", "release"):
            self.calls.clear()
            ran = self.run_command("queue", verb, "--site", "b.example")
            self.assertEqual((ran.status, ran.out), (0, f"{verb}: 3 recipients of 2 messages\n"))
            self.assertEqual(
                self.calls, [(f"queue.{verb}", {"selector": {"site": "b.example"}, "dry_run": False}, None)]
            )

    def test_drop_asks(self) -> None:
        """It says how many, and does it after a yes only."""
        ran = self.run_command("queue", "drop", ID, octets=b"y\n", is_terminal=True)
        self.assertIn("drop 3 recipients of 2 messages?", ran.err)
        self.assertEqual((ran.status, self.asked()), (0, [("queue.drop", True), ("queue.drop", False)]))
        self.calls.clear()
        ran = self.run_command("queue", "drop", ID, octets=b"n\n", is_terminal=True)
        self.assertEqual((ran.status, self.asked()), (Exit.INTERRUPTED, [("queue.drop", True)]))

    def test_all_asks(self) -> None:
        """--all is never done in passing."""
        for verb in ("retry", "hold", "release", "drop"):
            self.calls.clear()
            ran = self.run_command("queue", verb, "--all", octets=b"\n", is_terminal=True)
            self.assertEqual((ran.status, self.asked()), (Exit.INTERRUPTED, [(f"queue.{verb}", True)]))

    def test_nobody_to_ask(self) -> None:
        """In a script, nothing is done without --yes."""
        ran = self.run_command("queue", "drop", ID)
        self.assertEqual((ran.status, self.asked()), (Exit.USAGE, [("queue.drop", True)]))
        self.assertIn("--yes", ran.err)
        self.calls.clear()
        ran = self.run_command("queue", "drop", ID, "--yes", "--json")
        self.assertEqual((json.loads(ran.out), self.asked()), ({"count": 3, "messages": 2}, [("queue.drop", False)]))

    def test_nothing_found(self) -> None:
        """No question about nothing; an id that is not there is an error, an empty condition is none."""
        self.answers["queue.drop"] = {"count": 0, "messages": 0}
        ran = self.run_command("queue", "drop", ID, is_terminal=True)
        self.assertEqual((ran.status, ran.out), (Exit.NO_INPUT, "drop: 0 recipients of 0 messages\n"))
        self.assertEqual(self.run_command("queue", "drop", "--state", "held").status, 0)

    def test_stopped(self) -> None:
        """Nothing can be changed in a gateway that does not run."""
        self.answers.clear()
        self.assertEqual(self.run_command("queue", "hold", ID).status, Exit.UNAVAILABLE)


class StoppedTests(QueueTestCase):
    """The verbs that only read work on the spool of a stopped gateway."""

    def test_no_spool(self) -> None:
        """Neither a gateway nor a spool: status 69."""
        for verb in (("list",), ("summary",), ("show", ID)):
            ran = self.run_command("queue", *verb)
            self.assertEqual((ran.status, ran.out), (Exit.UNAVAILABLE, ""))
            self.assertIn("there is no spool in", ran.err)

    def test_starting(self) -> None:
        """A gateway that has the spool but does not answer yet: status 75."""
        (self.folder / "spool.db").touch()
        lock = FolderLock(self.folder, shared=False)
        self.addCleanup(lock.release)
        ran = self.run_command("queue", "summary")
        self.assertEqual(ran.status, Exit.TEMPORARY)
        self.assertIn(str(os.getpid()), ran.err)

    def test_reader(self) -> None:
        """List, count and show what is in it; the selector arrives as the spool wants it."""
        asked: list[object] = []

        class Reader:
            def list(self, selector: object, after: int | None, limit: int) -> list[dict[str, Any]]:
                asked.append((selector, after, limit))
                return [message()]

            def summary(self) -> dict[str, Any]:
                return SummaryTests.counts

            def show(self, queue_id: int) -> dict[str, Any] | None:
                return (
                    {**message(), "client": {"address": "", "helo": "", "protocol": "LOCAL", "tls": None}}
                    if queue_id == parse_queue_id(ID)
                    else None
                )

        class Opened:
            def __init__(self, folder: Path, clock: object) -> None:
                asked.append(folder)

            def __enter__(self) -> Reader:
                return Reader()

            def __exit__(self, *_: object) -> None:
                asked.append("closed")

        from smtpgw.spool import query

        self.patch(query, "open_reader", Opened)
        self.assertEqual(json.loads(self.run_command("queue", "list", ID, "--older", "1m", "--json").out), [message()])
        selector = query.Selector(ids=(parse_queue_id(ID),), older_than_seconds=60.0)
        self.assertEqual(asked, [self.folder, (selector, None, 101), "closed"])
        self.assertEqual(json.loads(self.run_command("queue", "summary", "--json").out), SummaryTests.counts)
        self.assertIn("bob@b.example", self.run_command("queue", "show", ID).out)
        self.assertEqual(self.run_command("queue", "show", "0000000000001").status, Exit.NO_INPUT)
        self.assertEqual(self.run_command("queue", "show", ID, "--body").status, Exit.UNAVAILABLE)
