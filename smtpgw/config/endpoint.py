"""
Server endpoint descriptions (``tcp:25:interface=0.0.0.0``), checked without a reactor.

Twisted parses them for good when the listener is bound. Here we find what is wrong earlier, with a better text, and
before a process has become a daemon.
"""

from ipaddress import ip_address

from msgspec import Struct

from smtpgw.config.durations import show
from smtpgw.config.errors import nearest
from smtpgw.config.values import count, text

_KNOWN = ("tcp", "tcp6", "unix", "systemd", "haproxy")
_TCP_KEYS = ("port", "interface", "backlog")


class Endpoint(Struct, frozen=True):
    """
    A description, taken apart.

    :ivar kind: what stands before the first colon.
    :ivar place: equal for two endpoints that can't both be bound; ``None`` where that can't be told.
    """

    kind: str
    place: tuple[str, ...] | None


def parse_endpoint(value: object) -> Endpoint:
    """
    Check a description.

    :raises ValueError: when Twisted could not bind it, as far as that can be told here.
    """
    description = text(value)
    if ":" not in description:
        hint = f"; did you mean 'tcp:{description}'?" if description.isdecimal() else ""
        raise ValueError(f"{show(description)} is not an endpoint such as 'tcp:25:interface=0.0.0.0'{hint}")
    fields = _fields(description)
    kind = fields[0][1]
    arguments = [value for name, value in fields[1:] if not name]
    named = {name: value for name, value in fields[1:] if name}
    match kind:
        case "tcp" | "tcp6":
            return Endpoint(kind, _tcp_place(description, arguments, named, "" if kind == "tcp" else "::"))
        case "ssl":
            # Its files would be read by other rules than those of [tls], and its sessions would not count as TLS.
            raise ValueError(
                f"{show(description)}: instead of 'ssl:' write 'tcp:' with tls = \"implicit\", and the files in [tls]"
            )
        case "unix":
            path = arguments[0] if arguments else named.get("address", "")
            if not path:
                raise ValueError(f"{show(description)} has no path")
            _check_number(description, "mode", named, 8)
            _check_number(description, "backlog", named)
            return Endpoint(kind, ("unix", path))
        case "systemd":
            if "index" not in named and "name" not in named and len(arguments) < 2:
                raise ValueError(f"{show(description)} needs a name= or an index=")
        case _:
            if kind not in _installed():
                raise ValueError(f"{show(description)}: no endpoint '{kind}:' is installed{nearest(kind, _KNOWN)}")
    return Endpoint(kind, None)


def check_interface(interface: str) -> None:
    """:raises ValueError: when it is no address that could be listened on."""
    try:
        ip_address(interface)
    except ValueError:
        hint = "; did you mean '127.0.0.1'?" if interface == "localhost" else ""
        raise ValueError(f"the interface {show(interface)} is not an IP address{hint}") from None


def tcp_endpoint(port: int, interface: str) -> str:
    """The description of a TCP listener, escaped as Twisted wants it."""
    return f"tcp:{port}:interface={interface.replace(chr(92), chr(92) * 2).replace(':', chr(92) + ':')}"


def _fields(description: str) -> list[tuple[str, str]]:
    """Name (empty without ``=``) and value of what stands between unescaped colons."""
    fields: list[tuple[str, str]] = []
    name, current = "", ""
    characters = iter(description)
    for character in characters:
        if character == "\\":
            current += next(characters, "")
        elif character == ":":
            fields.append((name, current))
            name, current = "", ""
        elif character == "=" and not name:
            name, current = current, ""
        else:
            current += character
    fields.append((name, current))
    return fields


def _tcp_place(
    description: str, arguments: list[str], named: dict[str, str], everywhere: str
) -> tuple[str, ...] | None:
    port = _port(description, arguments, named)
    if len(arguments) > 2 or any(name not in _TCP_KEYS for name in named):
        unknown = next((name for name in named if name not in _TCP_KEYS), None)
        if unknown is None:
            raise ValueError(f"{show(description)}: an IPv6 address needs its colons escaped: interface=\\:\\:1")
        raise ValueError(f"{show(description)}: unknown argument '{unknown}'{nearest(unknown, _TCP_KEYS)}")
    interface = arguments[1] if len(arguments) == 2 else named.get("interface", everywhere)
    if interface:
        try:
            check_interface(interface)
        except ValueError as error:
            raise ValueError(f"{show(description)}: {error}") from None
    _check_number(description, "backlog", named)
    if port == 0:
        return None
    return ("tcp", str(port), "" if interface == "0.0.0.0" else interface)  # noqa: S104 - compared, not bound


def _port(description: str, arguments: list[str], named: dict[str, str]) -> int:
    written = arguments[0] if arguments else named.get("port", "")
    try:
        return count(int(written), 0, 65535)
    except ValueError:
        raise ValueError(f"{show(description)}: {show(written)} is not a port number") from None


def _check_number(description: str, name: str, named: dict[str, str], base: int = 10) -> None:
    if name not in named:
        return
    try:
        count(int(named[name], base), 0)
    except ValueError:
        raise ValueError(f"{show(description)}: {name} {show(named[name])} is not a number") from None


def _installed() -> frozenset[str]:
    """Endpoints that plugins add. Looked for only when a configuration names an unusual one: it takes a while."""
    from twisted.internet.interfaces import IStreamServerEndpointStringParser  # noqa: PLC0415 - slow, and rarely needed
    from twisted.plugin import getPlugins  # noqa: PLC0415 - likewise

    return frozenset(plugin.prefix for plugin in getPlugins(IStreamServerEndpointStringParser))
