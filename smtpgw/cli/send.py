"""``smtpgw send``: hand in a message, the way programs are used to with sendmail."""

import getpass
import sys
from collections.abc import Callable
from email.utils import make_msgid
from pathlib import Path
from typing import Any, TypeVar

import click

from smtpgw.cli.control_client import NoGateway
from smtpgw.cli.exits import CommandTrouble, Exit
from smtpgw.cli.output import json_option, print_json
from smtpgw.cli.submission import NotAMessage, Submission
from smtpgw.cli.target import Target
from smtpgw.config.load import machine_name
from smtpgw.log.format import escaped

F = TypeVar("F", bound=Callable[..., Any])

_MOST_OCTETS = 96 * 2**20
"""Of a message; the gateway's own limit is usually lower, and tells so."""

_ANSWER_SECONDS = 300.0


def _ignored(function: F) -> F:
    """Options of sendmail that programs pass out of habit, and that mean nothing here."""
    for letter in "vnmGU":
        function = click.option(
            f"-{letter}", f"ignored_flag_{letter.lower()}", is_flag=True, hidden=True, expose_value=False
        )(function)
    for letter in "eNRVBLAO":
        function = click.option(
            f"-{letter}", f"ignored_{letter.lower()}", multiple=True, hidden=True, expose_value=False
        )(function)
    return function


def _only_delivery(_: click.Context, __: click.Parameter, modes: tuple[str, ...]) -> None:
    for mode in modes:
        if mode != "m":
            raise click.UsageError(f"-b{mode} is not available: a message can be handed in, as with -bm")


@click.command()
@click.argument("to", nargs=-1, metavar="[ADDRESS]...")
@click.option("-f", "-r", "--from", "reverse_path", metavar="ADDRESS", help="Reverse path; empty or <>: the null one.")
@click.option("-F", "--name", "full_name", metavar="NAME", default="", help="Your name, if From has to be added.")
@click.option("-t", "--read-recipients", is_flag=True, help="Take recipients from To, Cc and Bcc; Bcc is removed.")
@click.option("-i", "--ignore-dots", is_flag=True, help="A line of only a dot does not end the message.")
@click.option("-o", "sendmail_options", multiple=True, hidden=True)
@click.option("-b", multiple=True, hidden=True, expose_value=False, callback=_only_delivery)
@_ignored
@click.option("--file", "path", metavar="FILE", help="The message [default: standard input].")
@json_option
@click.pass_obj
def send(  # noqa: PLR0913 - click passes each option by itself
    target: Target,
    to: tuple[str, ...],
    reverse_path: str | None,
    full_name: str,
    read_recipients: bool,
    ignore_dots: bool,
    sendmail_options: tuple[str, ...],
    path: str | None,
    as_json: bool,
) -> int:
    """
    Hand in a message from a file or standard input.

    Date, From and Message-ID are added if they are missing. When this ends with status 0, the message is on disk and
    the gateway answers for it. Status 75: try again later, also when no gateway runs. Status 65: some recipients, or
    all, were refused for good. -oi is -i; sendmail's -bm, -v, -N, -R, -o, -O and some more are taken and ignored.
    """
    # Only on standard input does the dot mean the end: programs and people who type know no better one.
    dot_ends = path is None and not ignore_dots and "i" not in sendmail_options
    try:
        submission = Submission(_read(path), dot_ends=dot_ends, takes_recipients=read_recipients)
    except NotAMessage as error:
        raise CommandTrouble(str(error), Exit.DATA) from None
    recipients = [*to, *submission.recipients]
    if not recipients:
        hint = "the header names none" if read_recipients else "name one, or use -t to take those of the header"
        raise click.UsageError(f"no recipient: {hint}")
    author = _own_address() if reverse_path is None else reverse_path
    sent = _hand_in(target, author, full_name, recipients, submission)
    if as_json:
        print_json(sent)
    else:
        click.echo(f"queued as {sent['id']}")
        for refused in sent["refused"]:
            click.echo(f"smtpgw: refused: {escaped(refused['to'])}: {escaped(refused['reply'])}", err=True)
    return Exit.DATA if sent["refused"] else Exit.OK


def _read(path: str | None) -> bytes:
    try:
        if path is None:
            octets = sys.stdin.buffer.read(_MOST_OCTETS + 1)
        else:
            with Path(path).open("rb") as stream:
                octets = stream.read(_MOST_OCTETS + 1)
    except OSError as error:
        raise CommandTrouble(f"{path or 'standard input'}: {error.strerror}", Exit.NO_INPUT) from None
    if len(octets) > _MOST_OCTETS:
        raise CommandTrouble(f"the message is larger than {_MOST_OCTETS} octets", Exit.DATA)
    return octets


def _hand_in(
    target: Target, reverse_path: str, full_name: str, recipients: list[str], submission: Submission
) -> dict[str, Any]:
    null = reverse_path in {"", "<>"}
    author = _own_address() if null else reverse_path
    domain = author.rpartition("@")[2] or "localhost"
    try:
        content = submission.complete(author, full_name, target.clock.time(), lambda: make_msgid(domain=domain))
    except NotAMessage as error:
        raise CommandTrouble(str(error), Exit.USAGE) from None
    arguments = {"from": "" if null else reverse_path, "to": recipients}
    try:
        sent: dict[str, Any] = target.call("send", arguments, content, wait_seconds=_ANSWER_SECONDS)
    except NoGateway as none:
        # Whoever hands mail in keeps it and comes again: sendmail's EX_TEMPFAIL.
        raise CommandTrouble(none.text, Exit.TEMPORARY) from None
    return sent


def _own_address() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        # No entry for this user id, as in many containers.
        user = "root"
    return f"{user}@{machine_name()}"
