"""smtpgw stats: the counters of a running gateway."""

import json

from smtpgw.cli.exits import Exit
from smtpgw.cli.target import WallClock
from tests.cli.running import CommandTestCase


class StatsTests(CommandTestCase):
    """What the gateway has counted."""

    def test_text(self) -> None:
        """One counter a line, tables flattened."""
        self.patch(WallClock, "time", lambda _: 1090.0)
        self.answers["stats"] = {"started_at": 1000.0, "messages_received": 3, "rejects": {"rcpt": 2}, "lag": 0.25}
        self.assertEqual(
            self.run_command("stats").out.splitlines(),
            [
                "running since      1970-01-01 00:16:40Z (1m30s)",
                "messages received  3",
                "rejects: rcpt      2",
                "lag                0.25",
            ],
        )

    def test_stages(self) -> None:
        """The refusals of each stage stand below their sum, wherever the gateway counts them."""
        counters = {"rejects": 3, "host_troubles": 0, "rejects_auth": 2, "octets_received": 9, "rejects_rcpt": 1}
        self.answers["stats"] = counters
        names = [line.rpartition("  ")[0].rstrip() for line in self.run_command("stats").out.splitlines()]
        self.assertEqual(names, ["rejects", "rejects auth", "rejects rcpt", "host troubles", "octets received"])

    def test_paused(self) -> None:
        """It is said, not counted."""
        self.answers["stats"] = {"paused": True, "a": 1}
        self.assertEqual(self.run_command("stats").out, "delivery is paused\na  1\n")
        self.assertTrue(json.loads(self.run_command("stats", "--json").out)["paused"])
        self.answers["stats"] = {"paused": False, "a": 1}
        self.assertEqual(self.run_command("stats").out, "a  1\n")

    def test_json(self) -> None:
        """As the gateway gave it."""
        self.answers["stats"] = {"started_at": 1000.0, "a": 1}
        self.assertEqual(json.loads(self.run_command("stats", "--json").out), self.answers["stats"])

    def test_stopped(self) -> None:
        """There is nothing to count."""
        self.assertEqual(self.run_command("stats").status, Exit.UNAVAILABLE)
