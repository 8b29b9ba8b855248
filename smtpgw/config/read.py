"""Section by section from raw values to the configuration. All of it is read, whatever is wrong: all is told."""

from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

from smtpgw.config import values as values
from smtpgw.config.durations import duration_text, show
from smtpgw.config.lookups import FileRecipients, ListedRecipients, Recipients, local_part, read_recipients
from smtpgw.config.places import deliver_in, via
from smtpgw.config.read_accounts import read_auth, read_users
from smtpgw.config.read_listen import ListenTerms, read_listeners, read_tls
from smtpgw.config.read_policy import read_policy
from smtpgw.config.recipients import recipients_in
from smtpgw.config.schema import (
    DEFAULT_DELIVER,
    BareNewlines,
    Config,
    DeliveryConfig,
    DnsConfig,
    DomainConfig,
    LimitsConfig,
    LogConfig,
    LogFormat,
    LogLevel,
    RelayConfig,
    RouteConfig,
    SpoolConfig,
)
from smtpgw.config.table import NOT_AVAILABLE, Table
from smtpgw.model.route import TlsNeed, Via, ViaMx

TOP_KEYS = frozenset(
    {
        "hostname",
        "workers",
        "spool",
        "listen",
        "tls",
        "limits",
        "relay",
        "user",
        "auth",
        "domain",
        "route",
        "delivery",
        "dns",
        "policy",
        "log",
    }
)
_LATER = ("dkim", "http")


def unchecked(_: str) -> None:
    """Leaves it to the start whether a target can be loaded."""


class Surroundings(Struct, frozen=True):
    """
    What the reading needs besides the values.

    :ivar folder: absolute; relative paths start there.
    :ivar machine_name: the host name if the configuration has none; called at most once.
    :ivar check_target: tries whether the target of ``python:`` can be loaded; raises ValueError.
    :ivar environ: where ``{env = "..."}`` looks.
    """

    folder: Path
    machine_name: Callable[[], str]
    check_target: Callable[[str], None] = unchecked
    environ: Mapping[str, str] = {}


def read_config(root: Table, around: Surroundings) -> Config:
    """What the document says; mistakes are left in ``root.errors``, and then the result is of no use."""
    with root:
        root.later(*_LATER)
        hostname = root.one("hostname", values.host_name, "")
        root.one("workers", _one_worker, 1)
        spool = read_spool(root.table("spool"), around.folder)
        auth_table = root.table("auth")
        tls = read_tls(root.table("tls"), around.folder)
        relay = _read_relay(root.table("relay"))
        delivery = _read_delivery(root.table("delivery"))
        # Asked of the tables: what is there and wrong is told once, and not that it is missing, too.
        anybody = ("user" in root and not root.is_empty("user")) or "tokens" in auth_table
        return Config(
            hostname=hostname or around.machine_name(),
            spool=spool,
            listen=read_listeners(root, ListenTerms(tls, relay, anybody)),
            tls=tls,
            limits=_read_limits(root.table("limits")),
            relay=relay,
            users=read_users(root, around.folder, around.environ),
            auth=read_auth(auth_table, around.check_target),
            domains=_read_domains(root, around),
            routes=tuple(_read_route(table, delivery) for table in root.tables("route")),
            delivery=delivery,
            dns=_read_dns(root.table("dns")),
            policy=read_policy(root.table("policy"), around.folder),
            log=_read_log(root.table("log")),
        )


def read_spool(table: Table, folder: Path) -> SpoolConfig:
    """``[spool]``."""
    default = SpoolConfig()
    with table:
        return SpoolConfig(
            store=table.one("store", _store_in(folder), folder / default.store),
            min_free_octets=table.one("min_free", values.size_or_zero, default.min_free_octets),
            max_messages=table.one("max_messages", values.count, default.max_messages),
        )


def _one_worker(value: object) -> int:
    if values.count_or_zero(value) != 1:
        raise ValueError(f"{show(value)} is {NOT_AVAILABLE}; there is 1")
    return 1


def _store_in(folder: Path) -> Callable[[object], Path]:
    path = values.path_in(folder)

    def read(value: object) -> Path:
        written = values.text(value)
        if "://" in written:
            raise ValueError(f"a store shared by many nodes is {NOT_AVAILABLE}; name a folder")
        store = path(value)
        try:
            is_other = store.exists() and not store.is_dir()
        except OSError as error:
            raise ValueError(f"{store} can't be used: {error.strerror}") from None
        if is_other:
            raise ValueError(f"{store} is not a folder")
        return store

    return read


def _read_relay(table: Table) -> RelayConfig:
    with table:
        return RelayConfig(networks=table.many("networks", values.network, RelayConfig().networks))


def _read_limits(table: Table) -> LimitsConfig:
    default = LimitsConfig()
    with table:
        return LimitsConfig(
            message_size_octets=table.one("message_size", values.size, default.message_size_octets),
            recipients=table.one("recipients", values.count, default.recipients),
            connections=table.one("connections", values.count, default.connections),
            connections_per_client=table.one("connections_per_client", values.count, default.connections_per_client),
            messages_per_connection=table.one("messages_per_connection", values.count, default.messages_per_connection),
            errors=table.one("errors", values.count, default.errors),
            idle_timeout_seconds=table.one("idle_timeout", values.duration, default.idle_timeout_seconds),
            session_timeout_seconds=table.one("session_timeout", values.duration, default.session_timeout_seconds),
            hops=table.one("hops", values.count, default.hops),
            bare_newlines=table.one("bare_newlines", values.member(BareNewlines), default.bare_newlines),
            header_size_octets=table.one("header_size", values.size, default.header_size_octets),
            connections_per_minute=table.one(
                "connections_per_minute", values.count_or_zero, default.connections_per_minute
            ),
            messages_per_minute=table.one("messages_per_minute", values.count_or_zero, default.messages_per_minute),
            recipients_per_minute=table.one(
                "recipients_per_minute", values.count_or_zero, default.recipients_per_minute
            ),
            refused_recipients=table.one("refused_recipients", values.count_or_zero, default.refused_recipients),
        )


def _read_domains(root: Table, around: Surroundings) -> tuple[DomainConfig, ...]:
    seen: set[str] = set()
    domains = []
    for table in root.tables("domain"):
        domain = _read_domain(table, around)
        if domain.name in seen:
            table.error("name", f"{show(domain.name)} stands in another [[domain]], too")
        if domain.name:
            seen.add(domain.name)
        domains.append(domain)
    return tuple(domains)


def _read_domain(table: Table, around: Surroundings) -> DomainConfig:
    with table:
        table.later("aliases")
        name = table.needed("name", values.domain_name, "")
        default = DomainConfig(name)
        deliver = deliver_in(around.folder, around.check_target)
        recipients = _read_recipients(table, around, default.recipients)
        if isinstance(recipients, FileRecipients):
            try:
                read_recipients(recipients.path, name)
            except OSError as error:
                table.error("recipients", f"{recipients.path} can't be read: {error.strerror}")
            except ValueError as error:
                table.error("recipients", str(error))
        return DomainConfig(
            name=name,
            recipients=recipients,
            subaddress=table.one("subaddress", values.subaddress, default.subaddress),
            deliver=table.one("deliver", deliver, deliver(DEFAULT_DELIVER)),
        )


def _read_recipients(table: Table, around: Surroundings, default: Recipients) -> Recipients:
    if table.is_array("recipients"):
        return ListedRecipients(table.many("recipients", local_part, ()))
    loads = around.check_target is not unchecked
    return table.one("recipients", recipients_in(around.folder, around.environ, loads=loads), default)


def _read_route(table: Table, delivery: DeliveryConfig) -> RouteConfig:
    default = RouteConfig()
    mx: Via = ViaMx(delivery.port)
    with table:
        table.later("login", "messages_per_minute")
        return RouteConfig(
            to=table.one("to", values.domain_pattern, default.to),
            reverse=table.one("from", values.domain_pattern, default.reverse),
            via=table.one("via", via(delivery.port), mx),
            tls=table.one("tls", values.member(TlsNeed, later=("auto", "dane")), default.tls),
            connections=table.one("connections", values.count, delivery.connections_per_site),
            source=table.one("source", values.address, None),
        )


def _read_delivery(table: Table) -> DeliveryConfig:
    default = DeliveryConfig()
    with table:
        retry = table.many("retry", values.duration, default.retry_seconds, empty="needs a delay; the last one repeats")
        expire = table.one("expire", values.duration, default.expire_seconds)
        warn = table.one("warn", values.duration_or_zero, default.warn_seconds)
        if "warn" in table and warn > expire:
            # The default of warn may well be later: who has shortened expire alone need not know of it.
            table.error("warn", f"nobody would ever be warned: mail expires after {duration_text(expire)}; 0 for never")
        return DeliveryConfig(
            port=table.one("port", values.port, default.port),
            paused=table.one("paused", values.flag, default.paused),
            retry_seconds=retry,
            expire_seconds=expire,
            warn_seconds=warn,
            connections_per_site=table.one("connections_per_site", values.count, default.connections_per_site),
            messages_per_connection=table.one("messages_per_connection", values.count, default.messages_per_connection),
            connect_timeout_seconds=table.one("connect_timeout", values.duration, default.connect_timeout_seconds),
            command_timeout_seconds=table.one("command_timeout", values.duration, default.command_timeout_seconds),
            data_timeout_seconds=table.one("data_timeout", values.duration, default.data_timeout_seconds),
            final_timeout_seconds=table.one("final_timeout", values.duration, default.final_timeout_seconds),
            forbidden_networks=table.many("forbidden_networks", values.network, default.forbidden_networks),
        )


def _read_dns(table: Table) -> DnsConfig:
    with table:
        servers = table.many("servers", _server, (), empty="names no server; leave it out for those of resolv.conf")
        return DnsConfig(servers or None)


def _server(value: object) -> tuple[str, int]:
    return values.address_and_port(value, 53)


def _read_log(table: Table) -> LogConfig:
    default = LogConfig()
    with table:
        return LogConfig(
            format=table.one("format", values.member(LogFormat), default.format),
            level=table.one("level", values.member(LogLevel), default.level),
        )
