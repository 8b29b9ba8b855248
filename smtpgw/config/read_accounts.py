"""``[[user]]`` and ``[auth]``: who may log in, and as whom they send."""

from collections.abc import Callable, Mapping
from pathlib import Path

from smtpgw.config import values as values
from smtpgw.config.durations import duration_text, show
from smtpgw.config.places import python_target
from smtpgw.config.schema import AuthConfig, UserConfig
from smtpgw.config.secrets import secret
from smtpgw.config.table import Table

_LONGEST_NAME_OCTETS = 255
_SHORTEST_LOCKOUT_SECONDS = 60.0
"""Failures leak away in the time of the lockout, and wait for seconds each: in less, there are never enough of them."""

_EXAMPLES = "'app@example.com', '*@example.com', '*@*.example.com' or '*'"


def read_users(root: Table, folder: Path, environ: Mapping[str, str]) -> tuple[UserConfig, ...]:
    """``[[user]]``. Each has senders, at least its own name."""
    seen: set[str] = set()
    users = []
    for table in root.tables("user"):
        user = _read_user(table, folder, environ)
        key = _key(user.name)
        if key in seen:
            table.error("name", f"{show(user.name)} stands in another [[user]], too; case makes no difference")
        if key:
            seen.add(key)
        users.append(user)
    return tuple(users)


def read_auth(table: Table, check_target: Callable[[str], None]) -> AuthConfig:
    """``[auth]``. :param check_target: of ``tokens``; raises ValueError."""
    default = AuthConfig()
    with table:
        return AuthConfig(
            tokens=table.one("tokens", python_target(check_target), None),
            failures=table.one("failures", values.count_or_zero, default.failures),
            lockout_seconds=table.one("lockout", _lockout, default.lockout_seconds),
        )


def _lockout(value: object) -> float:
    seconds = values.duration(value)
    if seconds < _SHORTEST_LOCKOUT_SECONDS:
        shortest = duration_text(_SHORTEST_LOCKOUT_SECONDS)
        text = f"{show(value)} is less than {shortest}: wrong logins would be forgotten before there are enough of them"
        raise ValueError(f"{text}; 'failures = 0' shuts nobody out")
    return seconds


def _read_user(table: Table, folder: Path, environ: Mapping[str, str]) -> UserConfig:
    with table:
        name = table.needed("name", _name, "")
        password = table.needed("password", _password(folder, environ), "")
        own = _own_address(name)
        default = (own,) if own else ()
        empty = "names no address; leave it out for the user's own name" if own else "names no address to send as"
        senders = table.many("senders", sender_pattern, default, empty=empty)
        if name and not own and "senders" not in table:
            table.error("senders", f"is missing: {show(name)} is no address that could be sent as")
        return UserConfig(name, password, senders)


def sender_pattern(value: object) -> str:
    """``app@example.com``, ``*@example.com``, ``*@*.example.com`` or ``*``; domains become lower-case A-labels."""
    written = values.text(value)
    if written == "*":
        return written
    local, at, domain = written.rpartition("@")
    if not at or not local or not domain:
        raise ValueError(f"{show(written)} is not an address or a pattern such as {_EXAMPLES}")
    if local != "*" and ("*" in local or domain.startswith("*.")):
        raise ValueError(f"{show(written)}: a star stands for a whole local part; patterns are such as {_EXAMPLES}")
    if " " in local or len(local.encode()) > 64:
        raise ValueError(f"{show(written)} is not an address or a pattern such as {_EXAMPLES}")
    return f"{local}@{values.domain_name(domain)}"


def _name(value: object) -> str:
    name = values.text(value)
    if name != name.strip() or len(name.encode()) > _LONGEST_NAME_OCTETS:
        raise ValueError(f"{show(name)} has spaces around it, or is longer than {_LONGEST_NAME_OCTETS} octets")
    if not _key(name):
        raise ValueError(f"{show(name)} has characters that no client could send as a name")
    return name


def _key(name: str) -> str:
    """What a user is found by at a login; empty for what is no name."""
    from smtpgw.accounts.accounts import account_key  # noqa: PLC0415 - few need it, and it is slow

    try:
        return account_key(name)
    except ValueError:
        return ""


def _own_address(name: str) -> str:
    try:
        found = sender_pattern(name)
    except ValueError:
        return ""
    return "" if found.startswith("*") else found


def _password(folder: Path, environ: Mapping[str, str]) -> Callable[[object], str]:
    read_secret = secret(folder, environ)

    def read(value: object) -> str:
        from smtpgw.accounts.passwords import check_password_record  # noqa: PLC0415 - few need it, and it is slow

        password = read_secret(value)
        # What this raises does not repeat the record, which may be the password itself.
        check_password_record(password)
        return password

    return read
