"""``smtpgw password``: what to write into ``[[user]] password``."""

import os
import sys

import click

from smtpgw.accounts.passwords import make_hash, make_scram_record
from smtpgw.cli.exits import CommandTrouble, Exit
from smtpgw.cli.output import json_option, print_json
from smtpgw.smtp.sasl.mechanism import MAX_PASSWORD_OCTETS
from smtpgw.smtp.sasl.saslprep import prepared


@click.command()
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from the first line of standard input.")
@click.option("--scram", is_flag=True, help="Print a SCRAM-SHA-256 record instead of an argon2id hash.")
@json_option
def password(from_stdin: bool, scram: bool, as_json: bool) -> int:
    """
    Ask for a password and print what the configuration keeps of it.

    An argon2id hash is the harder one to guess for whoever gets hold of it. With a SCRAM-SHA-256 record clients that
    can do that need not send the password at all.
    """
    text = _piped() if from_stdin else _typed()
    if not text:
        raise CommandTrouble("an empty password is none", Exit.DATA)
    if len(text.encode("utf-8", "surrogateescape")) > MAX_PASSWORD_OCTETS:
        raise CommandTrouble(f"a password has at most {MAX_PASSWORD_OCTETS} octets", Exit.DATA)
    try:
        secret = prepared(text)
    except ValueError:
        secret = ""
    if not secret:
        raise CommandTrouble("the password has characters that no password may have (RFC 4013)", Exit.DATA)
    record = make_scram_record(secret, os.urandom) if scram else make_hash(secret)
    if as_json:
        print_json({"password": record})
    else:
        click.echo(record)
    return Exit.OK


def _piped() -> str:
    """The first line; what stands behind it is likely a mistake, and must not become part of a password silently."""
    octets = sys.stdin.buffer.read(2 * MAX_PASSWORD_OCTETS)
    line, _, rest = octets.partition(b"\n")
    if rest.strip():
        raise CommandTrouble("a password is one line", Exit.DATA)
    try:
        return line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError:
        raise CommandTrouble("the password is not UTF-8", Exit.DATA) from None


def _typed() -> str:
    if not sys.stdin.isatty():
        raise CommandTrouble("standard input is no terminal; --stdin reads a password from it", Exit.USAGE)
    first: str = click.prompt("Password", hide_input=True, err=True)
    if click.prompt("Again", hide_input=True, err=True) != first:
        raise CommandTrouble("the two are not the same", Exit.DATA)
    return first
