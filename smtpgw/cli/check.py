"""``smtpgw check``: is this configuration right, and if not, what is wrong with it."""

import os
from pathlib import Path

import click
import msgspec

from smtpgw.cli.exits import CommandTrouble, Exit
from smtpgw.cli.output import counted, json_option, print_json
from smtpgw.config.errors import ConfigErrors
from smtpgw.config.load import load_config
from smtpgw.config.schema import Config
from smtpgw.config.targets import target_check


@click.command()
@click.argument("config", metavar="CONFIG")
@json_option
def check(config: str, as_json: bool) -> int:
    """
    Check a configuration: every mistake at once, each with its line.

    The environment's SMTPGW_SECTION__KEY variables count, as they do for the gateway. Code that it names is loaded; the
    current folder is searched, too, as for a gateway that is started there. Exit status 78 when something is
    wrong. What is no mistake but likely not meant is remarked.
    """
    if not Path(config).exists():
        raise CommandTrouble(f"{config}: no such file", Exit.NO_INPUT)
    try:
        found = load_config(config, os.environ, check_target=target_check(Path.cwd()))
    except ConfigErrors as wrong:
        if as_json:
            print_json({"ok": False, "errors": [msgspec.structs.asdict(error) for error in wrong.errors]})
        else:
            for error in wrong.errors:
                click.echo(str(error), err=True)
        return Exit.CONFIG
    remarks = _remarks(found)
    if as_json:
        print_json({"ok": True, "errors": [], "remarks": remarks})
    else:
        parts = [
            counted(len(found.listen), "listener"),
            counted(len(found.domains), "domain"),
            counted(len(found.routes), "route"),
        ]
        if found.users:
            parts.append(counted(len(found.users), "user"))
        click.echo(f"{config}: right. {found.hostname}: {', '.join(parts)}, spool {found.spool.store}")
        for remark in remarks:
            click.echo(f"{config}: {remark}", err=True)
    return Exit.OK


def _remarks(found: Config) -> list[str]:
    """What is no mistake, and likely not what was meant."""
    if (found.users or found.auth.tokens) and not any(listen.auth for listen in found.listen):
        return ['nobody can log in: no listener has role = "submission" or auth = true']
    return []
