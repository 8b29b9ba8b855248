"""
What the command prints: JSON for machines, tables for people.

Addresses, reasons and headers come from anybody on the Internet. For people they are escaped, so that a terminal gets
no commands; JSON leaves that to JSON and to :func:`print_json`.
"""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from shutil import get_terminal_size
from typing import Any

import click
import msgspec

from smtpgw.log.format import escaped, json_escaped

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

PAUSED = "delivery is paused"

_GAP = "  "
_LEAST_COLUMNS_EACH = 9
"""Of a terminal, for each column of a table: with fewer, words are broken into letters."""


def print_json(value: object) -> None:
    """One JSON value, indented, with nothing in it that a terminal would act on."""
    text = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    click.echo("\n".join(map(json_escaped, text.split("\n"))))


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], right: frozenset[int] = frozenset()) -> None:
    """
    A table: with lines and colours on a terminal, else columns of plain text.

    ``NO_COLOR`` takes away the colours alone. Where a terminal is too narrow for columns, each row becomes a block of
    lines.

    :param rows: cells become text, escaped.
    :param right: columns that hold numbers.
    """
    cells = [[escaped(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *cells, strict=True)]
    if sys.stdout.isatty():
        columns = get_terminal_size().columns
        if columns < min(sum(widths) + len(_GAP) * (len(widths) - 1), _LEAST_COLUMNS_EACH * len(widths)):
            _print_blocks(headings, cells)
            return
        if os.environ.get("TERM") != "dumb":
            _print_rich(headings, cells, right, columns)
            return
    for row in (headings, *cells):
        padded = [
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        click.echo(_GAP.join(padded).rstrip())


def print_pairs(pairs: Sequence[tuple[str, object]]) -> None:
    """Names and values below each other."""
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        click.echo(f"{name:<{width}}{_GAP}{escaped(str(value))}")


def time_text(unix_time: float) -> str:
    """For people, UTC."""
    return datetime.fromtimestamp(unix_time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def counted(number: int, thing: str) -> str:
    """``1 recipient``, ``2 recipients``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _print_blocks(headings: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    width = max(map(len, headings))
    for index, row in enumerate(cells):
        if index:
            click.echo()
        for heading, cell in zip(headings, row, strict=True):
            if cell:
                click.echo(f"{heading:<{width}}{_GAP}{cell}")


def _print_rich(headings: Sequence[str], cells: Sequence[Sequence[str]], right: frozenset[int], columns: int) -> None:
    from rich import box  # noqa: PLC0415 - slow to import, and only for terminals
    from rich.console import Console  # noqa: PLC0415 - likewise
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for index, heading in enumerate(headings):
        options: dict[str, Any] = {"justify": "right"} if index in right else {"overflow": "fold"}
        table.add_column(heading, no_wrap=index == 0, **options)
    for row in cells:
        # As Text: what stands in brackets would be taken for markup otherwise.
        table.add_row(*map(Text, row))
    Console(color_system=None if os.environ.get("NO_COLOR") else "auto", width=columns).print(table)
