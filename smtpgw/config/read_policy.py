"""``[policy]``: what a client is asked before its content, and the filters of content."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from smtpgw.config import values as values
from smtpgw.config.durations import duration_text, show
from smtpgw.config.errors import nearest
from smtpgw.config.schema import (
    DnsListConfig,
    GreylistConfig,
    MilterConfig,
    PolicyConfig,
    Strictness,
    WhenDown,
)
from smtpgw.config.table import Table

_CODES = IPv4Network("127.0.0.0/8")
_REFUSED_QUERY = IPv4Network("127.255.255.0/24")
"""What operators of lists answer to whom they don't want to serve."""

_LONGEST_ZONE = 253 - 64
"""The name of an IPv6 address in a zone has 64 octets before it (RFC 5782 section 2.4)."""

_LONGEST_SOCKET_PATH = 107
_MILTER_PORT = re.compile(r".*:\d+\Z", re.DOTALL)
_MILTERS = ("inet:", "unix:")


def read_policy(table: Table, folder: Path) -> PolicyConfig:
    """``[policy]``. :param folder: what a relative path is relative to."""
    default = PolicyConfig()
    with table:
        table.later("spf", "dkim", "dmarc", "arc")
        when_down = table.one("when_down", values.member(WhenDown), default.when_down)
        return PolicyConfig(
            early_talker_seconds=table.one("early_talker", values.wait_of_client, default.early_talker_seconds),
            helo=table.one("helo", values.member(Strictness), default.helo),
            reverse_dns=table.one("reverse_dns", values.member(Strictness), default.reverse_dns),
            dnsbl=_read_lists(table, "dnsbl", when_down),
            dnswl=_read_lists(table, "dnswl", when_down),
            greylist=_read_greylist(table),
            tarpit_seconds=table.one("tarpit", values.wait_of_client, default.tarpit_seconds),
            milters=_read_milters(table, folder, when_down),
            when_down=when_down,
        )


def _read_lists(table: Table, key: str, when_down: WhenDown) -> tuple[DnsListConfig, ...]:
    def short(value: object) -> DnsListConfig:
        name, equals, code = values.text(value).partition("=")
        return DnsListConfig(_zone(name), (_code(code),) if equals else (), when_down)

    def long(inner: Table) -> DnsListConfig | None:
        with inner:
            return DnsListConfig(
                zone=inner.needed("zone", _zone, ""),
                codes=inner.many("codes", _code, (), empty="names no answer; leave it out for all of them"),
                when_down=inner.one("when_down", values.member(WhenDown), when_down),
            )

    return table.each(key, short, long, ())


def _zone(value: object) -> str:
    zone = values.host_name(value)
    if "." not in zone:
        raise ValueError(f"{show(zone)} is not the zone of a list, such as 'zen.example.org'")
    if len(zone) > _LONGEST_ZONE:
        raise ValueError(f"{show(zone)} is longer than {_LONGEST_ZONE} octets")
    return zone


def _code(value: object) -> str:
    try:
        code = IPv4Address(values.text(value))
    except ValueError:
        raise ValueError(f"{show(value)} is not an answer of a list, such as '127.0.0.2'") from None
    if code not in _CODES:
        raise ValueError(f"{show(value)} is not in {_CODES}, where the answers of lists are")
    if code in _REFUSED_QUERY:
        raise ValueError(f"{show(value)} says that the list does not serve us, and nothing of the client")
    return str(code)


def _read_greylist(table: Table) -> GreylistConfig | None:
    if not table.is_table("greylist"):
        return GreylistConfig() if table.one("greylist", _on_or_table, False) else None
    default = GreylistConfig()
    with table.table("greylist") as inner:
        delay = inner.one("delay", values.duration, default.delay_seconds)
        window = inner.one("window", values.duration, default.window_seconds)
        lifetime = inner.one("lifetime", values.duration, default.lifetime_seconds)
        if window < 2 * delay:
            key = "window" if "window" in inner else "delay"
            text = f"the window, {duration_text(window)}, is less than twice the delay, {duration_text(delay)}"
            inner.error(key, f"hardly anybody would come in time: {text}")
        return GreylistConfig(delay, window, lifetime)


def _on_or_table(value: object) -> bool:
    if value is True or value is False:
        return value
    raise ValueError(f"{show(value)} is not true, false or a table such as {{delay = '5m'}}")


def _read_milters(table: Table, folder: Path, when_down: WhenDown) -> tuple[MilterConfig, ...]:
    default_timeout = MilterConfig("").timeout_seconds
    address = _milter_in(folder)

    def short(value: object) -> MilterConfig:
        return MilterConfig(address(value), when_down)

    def long(inner: Table) -> MilterConfig | None:
        with inner:
            return MilterConfig(
                address=inner.needed("address", address, ""),
                when_down=inner.one("when_down", values.member(WhenDown), when_down),
                timeout_seconds=inner.one("timeout", values.duration, default_timeout),
            )

    return table.each("milters", short, long, ())


def _milter_in(folder: Path) -> Callable[[object], str]:
    path = values.path_in(folder)

    def read(value: object) -> str:
        written = values.text(value)
        kind, colon, rest = written.partition(":")
        match kind if colon else "":
            case "inet":
                return _inet(written, rest)
            case "unix":
                if not rest:
                    raise ValueError("'unix:' needs the path of a socket")
                found = str(path(rest))
                if len(found.encode()) > _LONGEST_SOCKET_PATH:
                    raise ValueError(f"{show(found)} is longer than the path of a socket can be")
                return f"unix:{found}"
            case _:
                hint = nearest(f"{kind}:", _MILTERS)
                text = f"{show(written)} is not a milter such as 'inet:127.0.0.1:11332' or 'unix:/run/milter.sock'"
                raise ValueError(text + hint)

    return read


def _inet(written: str, rest: str) -> str:
    if "@" in rest or not _MILTER_PORT.match(rest):
        # The order of others is port@host.
        raise ValueError(f"{show(written)}: 'inet:' is followed by a host and port such as 'inet:127.0.0.1:11332'")
    host, number = values.host_and_port(rest, 0, "127.0.0.1:11332")
    return f"inet:[{host}]:{number}" if ":" in host else f"inet:{host}:{number}"
