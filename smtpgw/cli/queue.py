"""``smtpgw queue``: what waits, why, and what to do about it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click
import msgspec

from smtpgw.cli.control_client import NoGateway
from smtpgw.cli.exits import CommandTrouble, Exit
from smtpgw.cli.output import PAUSED, counted, json_option, print_json, print_pairs, print_table, time_text
from smtpgw.cli.selection import QUEUE_ID, Selection, selector
from smtpgw.cli.target import Target
from smtpgw.config.durations import duration_text, size_text
from smtpgw.log.format import escaped
from smtpgw.model.queue_id import parse_queue_id, queue_id_text

F = TypeVar("F", bound=Callable[..., Any])

_PAGE = 500
_CHANGE_SECONDS = 3600.0
"""A change of many messages is one answer, when all of it is done."""


@click.group()
def queue() -> None:
    """
    The queue: list, summary, show; retry, hold, release, drop.

    list, summary and show also work when the gateway is stopped.
    """


@queue.command("list")
@selector
@click.option("--limit", type=click.IntRange(min=0), default=100, show_default=True, help="Most messages; 0: all.")
@json_option
@click.pass_obj
def list_(target: Target, selection: Selection, limit: int, as_json: bool) -> None:
    """List messages, oldest first, with the recipients that are not done."""
    found, is_more = _pages(target, selection, limit)
    if as_json:
        print_json(found)
    elif found:
        now = target.clock.time()
        headings = ("ID", "AGE", "SIZE", "STATE", "FROM", "TO", "NEXT", "REASON")
        print_table(headings, [_listed(message, now) for message in found], right=frozenset({1, 2, 6}))
    else:
        click.echo("No message.")
    if is_more:
        click.echo("There are more; --limit N shows more of them, --limit 0 all.", err=True)
    if not as_json and _is_paused(target):
        click.echo(PAUSED)


@queue.command()
@json_option
@click.pass_obj
def summary(target: Target, as_json: bool) -> None:
    """Count what waits, by state and by the recipients' domain."""
    found = _either(target, lambda: target.call("queue.summary", {}), lambda reader: reader.summary())
    if as_json:
        print_json(found)
        return
    states = ", ".join(f"{count} {state}" for state, count in found["by_state"].items())
    click.echo(f"{counted(found['messages'], 'message')}, {counted(found['recipients'], 'recipient')}: {states}")
    if found["by_site"]:
        now = target.clock.time()
        rows = [
            (row["site"], row["recipients"], row.get("queued", ""), row.get("held", ""), _age(now, row.get("oldest")))
            for row in found["by_site"]
        ]
        click.echo()
        print_table(("SITE", "RECIPIENTS", "QUEUED", "HELD", "OLDEST"), rows, right=frozenset({1, 2, 3, 4}))
    if found.get("paused"):
        click.echo(PAUSED)


def _is_paused(target: Target) -> bool:
    """Whether the gateway delivers nothing for now; a stopped one does not count."""
    try:
        return bool(target.call("stats", {}).get("paused"))
    except (NoGateway, CommandTrouble):
        # What was asked for has been shown already.
        return False


@queue.command()
@click.argument("queue_id", type=QUEUE_ID, metavar="ID")
@click.option("--body", is_flag=True, help="The content as well, its first half mebibyte.")
@json_option
@click.pass_obj
def show(target: Target, queue_id: int, body: bool, as_json: bool) -> None:
    """Show all that is known of a message."""
    arguments = {"id": queue_id_text(queue_id), "body": body}

    def stopped(reader: Any) -> Any:
        if body:
            raise CommandTrouble("the content can be shown only while the gateway runs", Exit.UNAVAILABLE)
        return reader.show(queue_id)

    found = _either(target, lambda: target.call("queue.show", arguments), stopped)
    if found is None:
        raise CommandTrouble(f"there is no message {queue_id_text(queue_id)}", Exit.NO_INPUT)
    if as_json:
        print_json(found)
    else:
        _print_message(found, target.clock.time())


def _changes(verb: str, always_asks: bool) -> Callable[[F], F]:
    """A verb that changes what a selector means; its docstring is the help."""

    def decorate(function: F) -> F:
        @selector
        @click.option("--all", "everything", is_flag=True, help="All messages there are.")
        @click.option("--yes", is_flag=True, help="Do not ask.")
        @json_option
        @click.pass_obj
        def run(target: Target, selection: Selection, everything: bool, yes: bool, as_json: bool) -> None:
            if selection.is_everything and not everything:
                raise click.UsageError("say which messages, or --all")
            _change(target, verb, selection, ask=(always_asks or everything) and not yes, as_json=as_json)

        run.__doc__ = function.__doc__
        queue.command(verb)(run)
        return function

    return decorate


@_changes("retry", always_asks=False)
def _retry() -> None:
    """Try again now, without waiting for the schedule."""


@_changes("hold", always_asks=False)
def _hold() -> None:
    """Put aside: kept, and not tried, until released."""


@_changes("release", always_asks=False)
def _release() -> None:
    """Let go what was held; it is tried at once."""


@_changes("drop", always_asks=True)
def _drop() -> None:
    """Remove for good. Nobody is told, no notification is sent."""


def _change(target: Target, verb: str, selection: Selection, *, ask: bool, as_json: bool) -> None:
    arguments = {"selector": selection.arguments(), "dry_run": False}
    if ask:
        would = target.call(f"queue.{verb}", {**arguments, "dry_run": True}, wait_seconds=_CHANGE_SECONDS)
        if would["count"]:
            _ask(f"{verb} {_counts(would)}?")
    done = target.call(f"queue.{verb}", arguments, wait_seconds=_CHANGE_SECONDS)
    if as_json:
        print_json(done)
    else:
        click.echo(f"{verb}: {_counts(done)}")
    if selection.ids and not done["count"]:
        raise CommandTrouble("none of these messages is in the queue", Exit.NO_INPUT)


def _ask(question: str) -> None:
    if not sys.stdin.isatty():
        raise CommandTrouble(f"{question} Nobody can be asked; --yes says yes", Exit.USAGE)
    click.confirm(question, abort=True, err=True)


def _counts(counts: dict[str, Any]) -> str:
    text = counted(counts["count"], "recipient")
    return f"{text} of {counted(counts['messages'], 'message')}" if "messages" in counts else text


T = TypeVar("T")


def _either(target: Target, running: Callable[[], T], stopped: Callable[[Any], T]) -> T:
    """Ask the gateway if it runs, else read its spool."""
    try:
        return running()
    except NoGateway as none:
        with _reader(target, none) as reader:
            return stopped(reader)


@contextmanager
def _reader(target: Target, none: NoGateway) -> Iterator[Any]:
    """
    A reader of a stopped gateway's spool.

    :param none: why there is nobody to ask.
    """
    from smtpgw.spool.errors import SpoolLocked, SpoolUnusable  # noqa: PLC0415 - only when no gateway runs
    from smtpgw.spool.query import open_reader  # noqa: PLC0415 - likewise

    try:
        with open_reader(target.folder, target.clock) as reader:
            yield reader
    except SpoolLocked as error:
        raise CommandTrouble(f"{none.text}, but {error}", Exit.TEMPORARY) from None
    except SpoolUnusable as error:
        raise CommandTrouble(f"{none.text}, and {error}", Exit.UNAVAILABLE) from None


def _pages(target: Target, selection: Selection, limit: int) -> tuple[list[dict[str, Any]], bool]:
    """Messages up to a limit, and whether there are more."""
    try:
        said = selection.arguments()
        return _collect(
            lambda after, count: target.call("queue.list", {"selector": said, "after": after, "limit": count}), limit
        )
    except NoGateway as none:
        from smtpgw.spool.query import Selector  # noqa: PLC0415 - only when no gateway runs

        chosen = Selector(**msgspec.structs.asdict(selection))
        with _reader(target, none) as reader:
            return _collect(
                lambda after, count: reader.list(chosen, None if after is None else parse_queue_id(after), count), limit
            )


def _collect(page: Callable[[str | None, int], list[dict[str, Any]]], limit: int) -> tuple[list[dict[str, Any]], bool]:
    found: list[dict[str, Any]] = []
    after = None
    while True:
        # One more than wanted, to know whether there are more.
        wanted = min(_PAGE, limit + 1 - len(found)) if limit else _PAGE
        more = page(after, wanted)
        found += more
        if len(more) < wanted or (limit and len(found) > limit):
            return (found[:limit], len(found) > limit) if limit else (found, False)
        after = str(more[-1]["id"])


def _listed(message: dict[str, Any], now: float) -> tuple[object, ...]:
    recipients = message["recipients"]
    states = {"active" if recipient.get("active") else recipient["state"] for recipient in recipients}
    first = recipients[0] if recipients else {}
    others = message.get("matching", len(recipients)) - 1
    due = [recipient["due_at"] for recipient in recipients if recipient["state"] == "queued" and recipient["due_at"]]
    reason = next((recipient["reason"] for recipient in recipients if recipient["reason"]), "")
    size = message.get("size_octets")
    return (
        message["id"],
        _age(now, message["received_at"]),
        "" if size is None else size_text(size),
        states.pop() if len(states) == 1 else "mixed",
        message["from"] or "<>",
        first.get("to", "") + (f" (+{others})" if others > 0 else ""),
        duration_text(min(due) - now) if due else "",
        reason,
    )


def _print_message(message: dict[str, Any], now: float) -> None:
    client = message["client"]
    tls = client.get("tls")
    came_from = [client["address"], client["helo"] and f"as {client['helo']}", f"with {client['protocol']}"]
    pairs: list[tuple[str, object]] = [
        ("id", message["id"]),
        ("from", message["from"] or "<>"),
        ("received", f"{time_text(message['received_at'])} ({_age(now, message['received_at'])} ago)"),
        ("came from", " ".join(word for word in came_from if word) + (f", {tls['version']}" if tls else "")),
        ("size", size_text(message["size_octets"])),
    ]
    if client.get("identity"):
        by = f" ({client['mechanism']})" if client.get("mechanism") else ""
        pairs.insert(4, ("login", client["identity"] + by))
    if asked := list(_asked_for(message)):
        pairs.append(("asked for", ", ".join(asked)))
    if message["expires_at"] is not None:
        pairs.append(
            ("expires", f"{time_text(message['expires_at'])} (in {duration_text(message['expires_at'] - now)})")
        )
    print_pairs(pairs)
    click.echo()
    headings = ["#", "TO", "STATE", "ATTEMPTS", "NEXT", "REASON"]
    rows = [_recipient(recipient, now) for recipient in message["recipients"]]
    wishes = [_asked_of(recipient) for recipient in message["recipients"]]
    if any(wishes):
        headings.append("ASKED FOR")
        rows = [(*row, wish) for row, wish in zip(rows, wishes, strict=True)]
    print_table(headings, rows, right=frozenset({0, 3, 4}))
    content = message.get("content")
    if content is not None:
        click.echo()
        for line in content.replace("\r\n", "\n").split("\n"):
            click.echo(_shown_line(line))


def _asked_for(message: dict[str, Any]) -> Iterator[str]:
    """What its sender has asked for, as in MAIL."""
    for word, key in (("ENVID", "envelope_id"), ("RET", "returned")):
        if message.get(key):
            yield f"{word}={message[key]}"
    if message.get("requires_tls"):
        yield "REQUIRETLS"
    if deliver_by := message.get("deliver_by"):
        yield f"BY={deliver_by['value']} ({time_text(deliver_by['at'])})"
    if message.get("release_at"):
        yield f"HOLDUNTIL={time_text(message['release_at'])}"


def _asked_of(recipient: dict[str, Any]) -> str:
    """Likewise, as in RCPT."""
    words = (("NOTIFY", "notify"), ("ORCPT", "original"))
    return " ".join(f"{word}={recipient[key]}" for word, key in words if recipient.get(key))


def _shown_line(line: str) -> str:
    """A line of somebody's message: only what a terminal could act on is escaped."""
    return line if line.isprintable() else "\t".join(map(escaped, line.split("\t")))


def _recipient(recipient: dict[str, Any], now: float) -> tuple[object, ...]:
    waits = recipient["state"] == "queued" and recipient["due_at"]
    return (
        recipient["slot"],
        recipient["to"],
        "active" if recipient.get("active") else recipient["state"],
        recipient["attempts"],
        duration_text(recipient["due_at"] - now) if waits else "",
        recipient["reason"] or "",
    )


def _age(now: float, since: float | None) -> str:
    return "" if since is None else duration_text(now - since)
