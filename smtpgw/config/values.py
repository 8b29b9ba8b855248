"""Single values of a configuration: each function checks one, and raises ValueError with a text for the user."""

import re
from collections.abc import Callable
from enum import Enum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TypeVar

import idna

from smtpgw.config.durations import parse_duration, parse_size, show
from smtpgw.config.errors import not_one_of
from smtpgw.config.table import NOT_AVAILABLE
from smtpgw.model.network import Network

E = TypeVar("E", bound=Enum)

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_LONGEST_DOMAIN = 253
_LONGEST_PATH = 4095
_MOST = 10**9
_LONGEST_WAIT_SECONDS = 60.0
"""A wait may grow to five times as much, and then clients give up (RFC 5321 section 4.5.3.2)."""

_SUBADDRESS = frozenset("!#$%&'*+-/=?^_`{|}~.")


def flag(value: object) -> bool:
    """True or false, not a word for it."""
    if value is True or value is False:
        return value
    raise ValueError(f"{show(value)} is not true or false")


def text(value: object) -> str:
    """A text on one line, not empty."""
    if isinstance(value, str) and value.isprintable() and value.strip():
        return value
    raise ValueError(f"{show(value)} is not a text on one line that says something")


def count(value: object, lowest: int = 1, highest: int = _MOST) -> int:
    """A whole number."""
    if not (isinstance(value, int) and value is not True and value is not False):
        raise ValueError(f"{show(value)} is not a whole number")
    if not lowest <= value <= highest:
        raise ValueError(f"{show(value)} is not between {lowest} and {highest}")
    return value


def count_or_zero(value: object) -> int:
    """A whole number; 0 has a meaning."""
    return count(value, 0)


def port(value: object) -> int:
    """A TCP port to connect to."""
    return count(value, 1, 65535)


def duration(value: object) -> float:
    """Seconds, more than none."""
    seconds = parse_duration(value)
    if not seconds:
        raise ValueError("must be more than 0")
    return seconds


def duration_or_zero(value: object) -> float:
    """Seconds; 0 has a meaning."""
    return parse_duration(value)


def wait_of_client(value: object) -> float:
    """Seconds that a client is kept waiting, or 0: more than a minute would only cost us its connection."""
    return parse_duration(value, _LONGEST_WAIT_SECONDS)


def size(value: object) -> int:
    """Octets, more than none."""
    octets = parse_size(value)
    if not octets:
        raise ValueError("must be more than 0")
    return octets


def size_or_zero(value: object) -> int:
    """Octets; 0 has a meaning."""
    return parse_size(value)


def member(kind: type[E], later: tuple[str, ...] = ()) -> Callable[[object], E]:
    """
    A word out of an enumeration.

    :param later: words of the contract that are not built yet.
    """
    names = [str(item.value) for item in kind if item.value not in later]

    def read(value: object) -> E:
        if isinstance(value, str):
            if value in names:
                return kind(value)
            if value in later:
                raise ValueError(f"{show(value)} is {NOT_AVAILABLE}; there are {', '.join(names)}")
        raise ValueError(not_one_of(value, names))

    return read


def host_name(value: object) -> str:
    """A host name of one label or more, as lower-case A-labels."""
    return _a_labels(text(value), "a host name")


def domain_name(value: object) -> str:
    """A domain, or ``*.`` and a domain."""
    name = text(value)
    if name.startswith("*."):
        return "*." + _a_labels(name[2:], "a domain name such as 'example.com' or '*.example.com'")
    return _a_labels(name, "a domain name such as 'example.com' or '*.example.com'")


def domain_pattern(value: object) -> str:
    """Like :func:`domain_name`, or ``*`` for every domain."""
    return "*" if value == "*" else domain_name(value)


def network(value: object) -> Network:
    """``10.0.0.0/8``, or one address."""
    try:
        return ip_network(text(value))
    except ValueError:
        pass
    try:
        meant = ip_network(text(value), strict=False)
    except ValueError:
        raise ValueError(f"{show(value)} is not a network such as '10.0.0.0/8' or '2001:db8::/32'") from None
    raise ValueError(f"{show(value)} names an address inside the network; did you mean '{meant}'?")


def address(value: object) -> str:
    """An IPv4 or IPv6 address, in its usual form."""
    try:
        found = ip_address(text(value))
    except ValueError:
        raise ValueError(f"{show(value)} is not an IP address") from None
    if getattr(found, "scope_id", None):
        raise ValueError(f"{show(value)} has a zone, which is not understood")
    return str(found)


def address_and_port(value: object, default_port: int) -> tuple[str, int]:
    """``127.0.0.53:53``, ``127.0.0.53``, ``[::1]:53`` or ``[::1]``."""
    host, port_number = host_and_port(value, default_port, "127.0.0.53:53")
    try:
        return address(host), port_number
    except ValueError:
        raise ValueError(f"{show(value)} is not an address and port such as '127.0.0.53:53'") from None


def host_and_port(value: object, default_port: int, example: str) -> tuple[str, int]:
    """
    A host name or IP address, and a port; an IPv6 address with a port stands in brackets.

    :returns: name as A-labels, or address without brackets.
    """
    written = text(value)
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:]+))(?::(\d{1,5}))?", written, re.ASCII)
    if match is None:
        # Never taken as an address, even where it is one: in 2001:db8::1:25 nobody can tell the port from the rest.
        hint = "; an IPv6 address is written [2001:db8::1]:25" if written.count(":") > 1 else ""
        raise ValueError(f"{show(value)} is not a host and port such as '{example}'{hint}")
    host = str(match[1] or match[2])
    number = default_port if match[3] is None else int(match[3])
    if not 1 <= number <= 65535:
        raise ValueError(f"{show(value)}: the port is not between 1 and 65535")
    if _is_address(host):
        return address(host), number
    if match[1]:
        raise ValueError(f"{show(value)}: only an IPv6 address stands in brackets")
    return host_name(host), number


def subaddress(value: object) -> str:
    """What separates a tag from the local part; empty for nothing."""
    if value == "":
        return ""
    if not isinstance(value, str) or len(value) > 1 or value not in _SUBADDRESS:
        raise ValueError(f"{show(value)} is not one character such as '+' or '-', or empty")
    return value


def path_in(folder: Path) -> Callable[[object], Path]:
    """A path, relative to a folder."""

    def read(value: object) -> Path:
        written = text(value)
        if len(written.encode()) > _LONGEST_PATH:
            raise ValueError(f"{show(written)} is longer than a path can be")
        try:
            return folder / Path(written).expanduser()
        except RuntimeError:
            raise ValueError(f"{show(value)}: there is no such home folder") from None

    return read


def machine_host_name(short: str, full: Callable[[], str]) -> str:
    """
    The name this machine goes by: its full name if that is a proper one, else the bare one, else ``localhost``.

    :param short: as the kernel has it.
    :param full: asks for the full name, which may ask a name server; called only if the short one is not full already.
    """
    for proper, name in ((True, lambda: short), (True, full), (False, lambda: short)):
        try:
            found = host_name(name())
        except ValueError:
            continue
        if not proper or ("." in found and not found.endswith((".arpa", ".localdomain"))):
            return found
    return "localhost"


def _is_address(written: str) -> bool:
    try:
        ip_address(written)
    except ValueError:
        return False
    return True


def _a_labels(name: str, what: str) -> str:
    labels = name.lower()
    if not labels.isascii():
        try:
            labels = idna.encode(labels, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise ValueError(f"{show(name)} is not {what}") from None
    parts = labels.split(".")
    if len(labels) > _LONGEST_DOMAIN or not all(map(_LABEL.match, parts)):
        raise ValueError(f"{show(name)} is not {what}")
    if parts[-1].isdecimal():
        raise ValueError(f"{show(name)} is an address or a number, not {what}")
    return labels
