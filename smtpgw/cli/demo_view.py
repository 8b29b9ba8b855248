"""What the demo shows: each message's state, from the gateway's notices, and its picture. No reactor, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct
from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from smtpgw.delivery.escape import printable
from smtpgw.model.address import path_text
from smtpgw.model.notice import Attempted, HostTrouble, Notice, Queued
from smtpgw.model.outcome import Delayed, Delivered, Failed, Relayed
from smtpgw.model.queue_id import queue_id_text

_LONGEST_WORDS = 120

_LONGEST_CELL = 54
"""Two lines of the last column in 100 columns."""


_LEAST_COLUMNS = 96
"""Of a terminal, for the table."""


class Expected(Struct, frozen=True):
    """
    What a recipient of the demo stands for.

    :ivar label: what its destination is like, in a few words.
    :ivar ends: ``relayed``, ``delivered`` or ``bounced``.
    :ivar hosts: names of its mail hosts.
    :ivar needs_tls: its mail host offers STARTTLS, so that TLS must have been used.
    """

    recipient: str
    label: str
    ends: str
    hosts: tuple[str, ...] = ()
    needs_tls: bool = False


class Row:
    """
    One message to one recipient.

    :ivar state: handing in, queued, delayed, relayed, delivered, bounced.
    :ivar words: the last reply, or what happened last.
    """

    def __init__(self, expected: Expected) -> None:
        self.expected = expected
        self.queue_id = 0
        self.reverse_path = ""
        self.state = "handing in"
        self.attempts = 0
        self.tls = ""
        self.host = ""
        self.words = ""
        self.queued_at = 0.0
        self.ended_at: float | None = None
        self.due_at = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it has its outcome."""
        return self.ended_at is not None

    @property
    def is_as_expected(self) -> bool:
        """Whether that is the one that the demo is to show."""
        return self.state == self.expected.ends and (self.tls.startswith("TLS") or not self.expected.needs_tls)

    @property
    def last(self) -> str:
        """The words, and who has spoken them last."""
        return f"{self.host}: {self.words}" if self.state == "relayed" else self.words

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "id": queue_id_text(self.queue_id) if self.queue_id else None,
            "reverse_path": self.reverse_path,
            "recipient": self.expected.recipient,
            "destination": self.expected.label,
            "state": self.state,
            "expected": self.expected.ends,
            "attempts": self.attempts,
            "host": self.host,
            "tls": self.tls or None,
            "reply": self.words,
            "seconds": round(self.ended_at - self.queued_at, 3) if self.ended_at is not None else None,
        }


class DemoView:
    """The rows, in the order in which they are expected."""

    def __init__(self, expected: Sequence[Expected]) -> None:
        """:param expected: recipients, each once."""
        self.rows = {one.recipient: Row(one) for one in expected}

    @property
    def is_over(self) -> bool:
        """Whether every row has its outcome."""
        return all(row.is_over for row in self.rows.values())

    @property
    def is_as_expected(self) -> bool:
        """Whether every outcome is the one that the demo is to show."""
        return all(row.is_over and row.is_as_expected for row in self.rows.values())

    def apply(self, notice: Notice, now: float) -> list[str]:
        """
        Take a notice.

        :returns: the lines to print where there is no terminal.
        """
        match notice:
            case Queued(entry=entry):
                return self._queued(notice, now)
            case Attempted(entry=entry, slot=slot):
                row = self._row(str(entry.message.envelope.recipients[slot].mailbox), entry.message.queue_id)
                return [] if row is None else [self._attempted(row, notice, now)]
            case HostTrouble():
                return self._troubled(notice)
            case _:
                return []

    def _row(self, recipient: str, queue_id: int) -> Row | None:
        row = self.rows.get(recipient)
        return row if row is not None and row.queue_id == queue_id else None

    def _queued(self, notice: Queued, now: float) -> list[str]:
        lines = []
        message = notice.entry.message
        for recipient in message.envelope.recipients:
            row = self.rows.get(str(recipient.mailbox))
            if row is None or row.queue_id:
                continue
            row.queue_id = message.queue_id
            row.reverse_path = path_text(message.envelope.reverse_path)
            row.state = "queued"
            row.queued_at = now
            lines.append(self._line(row))
        return lines

    def _attempted(self, row: Row, notice: Attempted, now: float) -> str:
        outcome = notice.outcome
        slot = notice.entry.slots[notice.slot]
        row.attempts = max(slot.attempts, row.attempts + 1)
        match outcome:
            case Relayed():
                row.state, row.host, row.words = "relayed", outcome.host, str(outcome.reply)
                row.tls = outcome.tls.version if outcome.tls else "none"
            case Delivered():
                row.state, row.words = "delivered", outcome.text
            case Delayed() | Failed():
                row.state = "delayed" if isinstance(outcome, Delayed) else "bounced"
                row.host = outcome.host or row.host
                row.words = str(outcome.reply) if outcome.reply else outcome.reason
        row.words = printable(row.words, _LONGEST_WORDS)
        row.due_at = slot.due_at
        if row.state != "delayed":
            row.ended_at = now
        return self._line(row)

    def _troubled(self, notice: HostTrouble) -> list[str]:
        lines = []
        for row in self.rows.values():
            if row.is_over or (notice.host or notice.site) not in (*row.expected.hosts, row.expected.recipient):
                continue
            then = "next host" if notice.next_probe_at is None else "waiting"
            row.host = notice.host
            row.words = printable(f"{notice.host}: {notice.reason}; {then}", _LONGEST_WORDS)
            lines.append(self._line(row))
        return lines

    @staticmethod
    def _line(row: Row) -> str:
        ident = queue_id_text(row.queue_id) if row.queue_id else "-" * 13
        return f"{ident} {row.state:<9} {row.expected.recipient} ({row.expected.label}) {row.last}".rstrip()

    # --- The picture ---

    def render(self, now: float, title: str, width: int = 100, height: int = 30) -> RenderableType:
        """The picture as it stands: a table, or one line for each message where that does not fit."""
        # Two lines for each row and one between; one is the cursor's.
        if width < _LEAST_COLUMNS or height < 3 * len(self.rows) + 6:
            return self._compact(now, title)
        table = Table(box=box.ROUNDED, expand=True, title=title, title_style="bold", show_lines=True, padding=(0, 1))
        table.add_column("message", width=13, no_wrap=True, overflow="ellipsis")
        table.add_column("to", width=24, no_wrap=True, overflow="ellipsis")
        table.add_column("state", width=13, no_wrap=True, overflow="ellipsis")
        table.add_column("TLS", width=7, no_wrap=True)
        table.add_column("last reply", ratio=1, overflow="fold")
        for row in self.rows.values():
            table.add_row(*self._cells(row, now))
        return Group(table, self._summary(now))

    def _compact(self, now: float, title: str) -> RenderableType:
        widest = max(map(len, self.rows), default=0)
        lines = [Text(title, style="bold", no_wrap=True, overflow="ellipsis")]
        for row in self.rows.values():
            line = Text(f"{row.expected.recipient:<{widest}} ", no_wrap=True, overflow="ellipsis")
            line.append(f"{row.state:<10} ", style=_STYLES[row.state])
            line.append(f"{row.tls:<7} ", style="green" if row.tls.startswith("TLS") else "yellow")
            line.append(f"{row.attempts or '':<2} {row.last}")
            lines.append(line)
        summary = self._summary(now)
        summary.no_wrap, summary.overflow = True, "ellipsis"
        return Group(*lines, summary)

    @staticmethod
    def _cells(row: Row, now: float) -> tuple[Text, ...]:
        message = Text(queue_id_text(row.queue_id) if row.queue_id else "", style="dim")
        if row.queue_id:
            message.append(f"\nfrom {row.reverse_path.partition('@')[0] or '<>'}")
        recipient = Text(row.expected.recipient)
        recipient.append(f"\n{row.expected.label}", style="dim")
        state = Text(row.state, style=_STYLES[row.state])
        if row.state == "delayed":
            state.append(f"\nnext in {max(0.0, row.due_at - now):.0f} s", style="dim")
        elif row.ended_at is not None:
            state.append(f"\nafter {row.ended_at - row.queued_at:.1f} s", style="dim")
        tls = Text(row.tls, style="green" if row.tls.startswith("TLS") else "yellow")
        if row.attempts:
            tls.append(f"\n{row.attempts} {'try' if row.attempts == 1 else 'tries'}", style="dim")
        words = row.last if len(row.last) <= _LONGEST_CELL else row.last[: _LONGEST_CELL - 1] + "…"
        return message, recipient, state, tls, Text(words)

    def _summary(self, now: float) -> Text:
        rows = self.rows.values()
        over = sum(row.is_over for row in rows)
        if over < len(self.rows):
            return Text(f" {over} of {len(self.rows)} have their outcome", style="dim")
        unexpected = [row for row in rows if not row.is_as_expected]
        if not unexpected:
            return Text(f" all {over} ended as they should; nothing was lost", style="bold green")
        names = ", ".join(row.expected.recipient for row in unexpected)
        return Text(f" not as expected: {names}", style="bold red")


_STYLES = {
    "handing in": "dim",
    "queued": "cyan",
    "delayed": "yellow",
    "relayed": "bold green",
    "delivered": "bold green",
    "bounced": "bold red",
}
