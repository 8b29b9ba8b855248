"""
The command ``smtpgw``.

Verbs are imported when they are called for: most of them need neither Twisted nor a database, and a command that a
script calls a thousand times should start fast.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from smtpgw.cli.exits import CommandTrouble, Exit
from smtpgw.cli.target import Target
from smtpgw.config.errors import ConfigErrors
from smtpgw.version import VERSION

_VERBS = {
    "check": "smtpgw.cli.check:check",
    "demo": "smtpgw.cli.demo:demo",
    "password": "smtpgw.cli.password:password",
    "queue": "smtpgw.cli.queue:queue",
    "send": "smtpgw.cli.send:send",
    "stats": "smtpgw.cli.stats:stats",
}


class _LateGroup(click.Group):
    """A group whose verbs are imported when they are called, or when help lists them."""

    def __init__(self, *arguments: Any, verbs: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._verbs = verbs

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The verbs."""
        return sorted({*super().list_commands(ctx), *self._verbs})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb of that name."""
        place = self._verbs.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        verb = getattr(import_module(module), name)
        return verb if isinstance(verb, click.Command) else None


@click.command(
    cls=_LateGroup,
    verbs=_VERBS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--spool", metavar="DIR", help="The gateway with this spool folder.")
@click.option("--config", metavar="FILE", help="The gateway with this configuration.")
@click.version_option(VERSION, prog_name="smtpgw", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context, spool: str | None, config: str | None) -> None:
    """
    Look at a gateway and work with its queue.

    Without --spool or --config it is the one whose spool is the folder smtpgw-spool in the current folder.
    """
    if spool is not None and config is not None:
        raise click.UsageError("--spool and --config both say which gateway; give one of them")
    context.obj = Target(spool, config, os.environ)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command.

    :param arguments: those of the process, if not given.
    :returns: the exit status.
    """
    try:
        status = cli.main(
            args=None if arguments is None else list(arguments), prog_name="smtpgw", standalone_mode=False
        )
        sys.stdout.flush()
    except click.UsageError as error:
        error.show()
        return Exit.USAGE
    except click.ClickException as error:
        error.show()
        return Exit.DATA
    except click.Abort:
        click.echo("Not done.", err=True)
        return Exit.INTERRUPTED
    except ConfigErrors as errors:
        click.echo(str(errors), err=True)
        return Exit.CONFIG
    except CommandTrouble as trouble:
        click.echo(f"smtpgw: {trouble.text}", err=True)
        return trouble.status
    except BrokenPipeError:
        # Whoever read our output has enough. What is left must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    return status if isinstance(status, int) else Exit.OK
