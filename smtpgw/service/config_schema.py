"""
The configuration as the rest of the gateway sees it: checked, in base units, nothing left to interpret.

Every default of the contract stands here; docs/manual/configuration.rst is compared with it by a test. Paths are
absolute, durations seconds, sizes octets, host and domain names lower-case A-labels.
"""

from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from msgspec import Struct

from smtpgw.model.route import TlsNeed, Via, ViaMx, ViaSink
from smtpgw.service.lookups_config import EveryRecipient, Recipients

Network = IPv4Network | IPv6Network

_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_MIB = 2**20

DEFAULT_PORT = 2525
DEFAULT_INTERFACE = "127.0.0.1"
DEFAULT_DELIVER = "maildir:smtpgw-mail/{domain}/{local}"
"""Relative to the folder of the configuration file, or the current one."""


class Role(Enum):
    """What a listener is for (``[[listen]] role``)."""

    MX = "mx"
    RELAY = "relay"


class ListenTls(Enum):
    """How a listener offers TLS (``[[listen]] tls``)."""

    OFF = "off"
    STARTTLS = "starttls"
    REQUIRED = "required"
    IMPLICIT = "implicit"


class TlsVersion(Enum):
    """The oldest version of TLS that is spoken (``[tls] minimum``)."""

    TLS_1_2 = "1.2"
    TLS_1_3 = "1.3"


class BareNewlines(Enum):
    """What is done to content with a bare CR or LF (``[limits] bare_newlines``)."""

    REJECT = "reject"
    NORMALIZE = "normalize"


class LogFormat(Enum):
    """How a line of the log is written (``[log] format``)."""

    AUTO = "auto"
    HUMAN = "human"
    JSON = "json"


class LogLevel(Enum):
    """The least important lines that are written (``[log] level``)."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


class SpoolConfig(Struct, frozen=True):
    """``[spool]``. :ivar store: the folder."""

    store: Path = Path("smtpgw-spool")
    min_free_octets: int = 256 * _MIB
    max_messages: int = 1_000_000


class ListenConfig(Struct, frozen=True):
    """
    ``[[listen]]``.

    :ivar endpoint: a Twisted server endpoint description, its form checked; nothing is bound yet.
    :ivar relay_networks: who may relay here; ``relay.networks`` where the listener says nothing.
    """

    endpoint: str = f"tcp:{DEFAULT_PORT}:interface={DEFAULT_INTERFACE}"
    role: Role = Role.MX
    tls: ListenTls = ListenTls.OFF
    relay_networks: tuple[Network, ...] = _LOOPBACK


class TlsConfig(Struct, frozen=True):
    """
    ``[tls]``. Files were readable, and key and certificate fitted, when the configuration was read.

    :ivar key: the certificate's own file when no other was named; ``None`` exactly when ``certificate`` is.
    :ivar ca: ``None`` for the system's.
    """

    certificate: Path | None = None
    key: Path | None = None
    minimum: TlsVersion = TlsVersion.TLS_1_2
    ca: Path | None = None


class LimitsConfig(Struct, frozen=True):
    """``[limits]``."""

    message_size_octets: int = 25 * _MIB
    recipients: int = 1000
    connections: int = 5000
    connections_per_client: int = 50
    messages_per_connection: int = 1000
    errors: int = 20
    idle_timeout_seconds: float = 300.0
    session_timeout_seconds: float = 3600.0
    hops: int = 100
    bare_newlines: BareNewlines = BareNewlines.REJECT
    header_size_octets: int = 256 * 1024


class RelayConfig(Struct, frozen=True):
    """``[relay]``."""

    networks: tuple[Network, ...] = _LOOPBACK


class DomainConfig(Struct, frozen=True):
    """
    ``[[domain]]``.

    :ivar name: a domain, or ``*.`` and a domain: everything below it, not itself.
    :ivar subaddress: what separates the tag in a local part; empty: nothing does.
    :ivar deliver: a :class:`~smtpgw.model.route.ViaSink` or :class:`~smtpgw.model.route.ViaHost`.
    """

    name: str
    recipients: Recipients = EveryRecipient()
    subaddress: str = "+"
    deliver: Via = ViaSink(DEFAULT_DELIVER)


class RouteConfig(Struct, frozen=True):
    """
    ``[[route]]``.

    :ivar to: pattern of the recipient's domain: ``*``, a domain, or ``*.`` and a domain.
    :ivar reverse: likewise of the reverse path's domain (the key is ``from``).
    :ivar connections: most at a time to one site; ``delivery.connections_per_site`` where the route says nothing.
    """

    to: str = "*"
    reverse: str = "*"
    via: Via = ViaMx()
    tls: TlsNeed = TlsNeed.OPPORTUNISTIC
    connections: int = 20
    source: str | None = None


class DeliveryConfig(Struct, frozen=True):
    """
    ``[delivery]``.

    :ivar retry_seconds: waiting times between attempts; the last one repeats.
    :ivar warn_seconds: age at which the sender is told of the delay; 0: never.
    """

    port: int = 25
    paused: bool = False
    retry_seconds: tuple[float, ...] = (300.0, 600.0, 1200.0, 2400.0, 3600.0, 7200.0, 14400.0)
    expire_seconds: float = 5 * 86400.0
    warn_seconds: float = 4 * 3600.0
    connections_per_site: int = 20
    messages_per_connection: int = 100
    connect_timeout_seconds: float = 30.0
    command_timeout_seconds: float = 300.0
    data_timeout_seconds: float = 120.0
    final_timeout_seconds: float = 600.0
    forbidden_networks: tuple[Network, ...] = (*_LOOPBACK, IPv4Network("0.0.0.0/8"))


class DnsConfig(Struct, frozen=True):
    """``[dns]``. :ivar servers: address and port; ``None`` for those of resolv.conf."""

    servers: tuple[tuple[str, int], ...] | None = None


class LogConfig(Struct, frozen=True):
    """``[log]``."""

    format: LogFormat = LogFormat.AUTO
    level: LogLevel = LogLevel.INFO


class Config(Struct, frozen=True):
    """
    The whole configuration.

    :ivar hostname: our name in the greeting, in EHLO and in trace headers.
    :ivar listen: at least one.
    """

    hostname: str
    spool: SpoolConfig = SpoolConfig()
    listen: tuple[ListenConfig, ...] = (ListenConfig(),)
    tls: TlsConfig = TlsConfig()
    limits: LimitsConfig = LimitsConfig()
    relay: RelayConfig = RelayConfig()
    domains: tuple[DomainConfig, ...] = ()
    routes: tuple[RouteConfig, ...] = ()
    delivery: DeliveryConfig = DeliveryConfig()
    dns: DnsConfig = DnsConfig()
    log: LogConfig = LogConfig()
