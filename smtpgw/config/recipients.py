"""Who is a recipient, as ``recipients`` of a domain writes it where it is no list."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from smtpgw.config.durations import show
from smtpgw.config.errors import nearest
from smtpgw.config.lookups import EveryRecipient, FileRecipients, Recipients
from smtpgw.config.secrets import secret
from smtpgw.config.targets import add_import_folder
from smtpgw.config.values import host_and_port, text
from smtpgw.handlers.target import load_target
from smtpgw.lookups.callahead import CallAheadPlace
from smtpgw.lookups.http import read_http_url
from smtpgw.lookups.ldap import read_ldap_url
from smtpgw.lookups.masking import masked_url, one_line
from smtpgw.lookups.postgresql import read_postgresql_url
from smtpgw.lookups.python import PythonPlace
from smtpgw.lookups.sqlite import read_sqlite_url

_FORMS = ("*", "file:", "sqlite:", "postgresql:", "https:", "http:", "ldaps:", "ldap:", "smtp:", "python:")
_SMTP_PORT = 25
_TARGET = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*(?:\.[^\W\d]\w*)*\Z")


def recipients_in(
    folder: Path,
    environ: Mapping[str, str] | None = None,
    *,
    loads: bool = False,
) -> Callable[[object], Recipients]:
    """
    ``[[domain]] recipients`` where it is no list. Connects to nothing.

    A URL may have a password in it, so it may stand in a file or a variable as every secret: ``{file = "..."}``,
    ``{env = "..."}``. No error shows a password.

    :param folder: what a relative path is relative to.
    :param loads: try whether the function of ``python:`` can be loaded, which runs the user's code.
    """
    read_secret = secret(folder, environ or {})

    def read(value: object) -> Recipients:
        written = read_secret(value) if isinstance(value, dict) else text(value)
        kind, colon, rest = written.partition(":")
        match kind if colon else written:
            case "*" if not colon:
                return EveryRecipient()
            case "file" if rest:
                return FileRecipients(folder / Path(rest))
            case "sqlite" if colon:
                return read_sqlite_url(written, folder)
            case "postgresql" | "postgres" if colon:
                return read_postgresql_url(f"postgresql:{rest}")
            case "http" | "https" if colon:
                return read_http_url(written)
            case "ldap" | "ldaps" if colon:
                return read_ldap_url(written)
            case "smtp" if colon:
                return _call_ahead(rest)
            case "python" if colon:
                return _python(rest, loads=loads)
            case _:
                known = ", ".join(_FORMS)
                meant = nearest(f"{kind}:", _FORMS) if colon else ""
                raise ValueError(f"{show(masked_url(written))} is not a list, nor one of {known}{meant}")

    return read


def _python(target: str, *, loads: bool) -> PythonPlace:
    if not _TARGET.match(target):
        raise ValueError(f"{show(target)} is not a name in a module, such as 'python:package.module:name'")
    if loads:
        add_import_folder(Path.cwd())
        try:
            load_target(target)
        except ValueError as trouble:
            raise ValueError(one_line(str(trouble))) from trouble
    return PythonPlace(target)


def _call_ahead(rest: str) -> CallAheadPlace:
    if rest.startswith("//"):
        raise ValueError("'smtp:' is followed by a host and port such as 'smtp:mail.example.com:25', without slashes")
    host, number = host_and_port(rest, _SMTP_PORT, "mail.example.com:25") if rest else ("", 0)
    if not host:
        raise ValueError("'smtp:' needs a host and port such as 'smtp:mail.example.com:25'")
    return CallAheadPlace(host, number)
