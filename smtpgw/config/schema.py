"""
The configuration as the rest of the gateway sees it: checked, in base units, nothing left to interpret.

Every default of the contract stands here; docs/manual/configuration.rst is compared with it by a test. Paths are
absolute, durations seconds, sizes octets, host and domain names lower-case A-labels.
"""

from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from msgspec import Struct

from smtpgw.config.lookups import EveryRecipient, Recipients
from smtpgw.model.network import Network
from smtpgw.model.route import TlsNeed, Via, ViaMx, ViaSink

_LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))
_MIB = 2**20

DEFAULT_PORT = 2525
DEFAULT_INTERFACE = "127.0.0.1"
DEFAULT_DELIVER = "maildir:smtpgw-mail/{domain}/{local}"
"""Relative to the folder of the configuration file, or the current one."""


class Role(Enum):
    """What a listener is for (``[[listen]] role``)."""

    MX = "mx"
    SUBMISSION = "submission"
    RELAY = "relay"


class ListenTls(Enum):
    """How a listener offers TLS (``[[listen]] tls``)."""

    OFF = "off"
    STARTTLS = "starttls"
    REQUIRED = "required"
    IMPLICIT = "implicit"


class Strictness(Enum):
    """What comes of a rule: nothing, a remark in log and trace, or a refusal."""

    OFF = "off"
    MARK = "mark"
    ENFORCE = "enforce"


class WhenDown(Enum):
    """What is answered while the source of a rule can't be asked: 451, or as if it had nothing against the client."""

    DELAY = "delay"
    ACCEPT = "accept"


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
    :ivar auth: AUTH is offered, after TLS only; by default on a submission listener alone.
    :ivar relay_networks: who may relay here; ``relay.networks`` where the listener says nothing.
    :ivar proxy_protocol: proxies whose PROXY header is read before the banner; a client there must send one.
    :ivar xclient: clients that may say with XCLIENT for whom they speak.
    """

    endpoint: str = f"tcp:{DEFAULT_PORT}:interface={DEFAULT_INTERFACE}"
    role: Role = Role.MX
    tls: ListenTls = ListenTls.OFF
    relay_networks: tuple[Network, ...] = _LOOPBACK
    proxy_protocol: tuple[Network, ...] = ()
    xclient: tuple[Network, ...] = ()
    auth: bool = False


class SniConfig(Struct, frozen=True):
    """``[[tls.sni]]``: another certificate for clients that ask for this name, which may begin with ``*.``."""

    name: str
    certificate: Path
    key: Path


class TlsConfig(Struct, frozen=True):
    """
    ``[tls]``. Files were readable, and keys and certificates fitted, when the configuration was read.

    :ivar key: the certificate's own file when no other was named; ``None`` exactly when ``certificate`` is.
    :ivar ca: of next hops; ``None`` for the system's.
    :ivar client_ca: who may certify clients; ``None``: clients are not asked for certificates.
    """

    certificate: Path | None = None
    key: Path | None = None
    minimum: TlsVersion = TlsVersion.TLS_1_2
    ca: Path | None = None
    client_ca: Path | None = None
    sni: tuple[SniConfig, ...] = ()


class LimitsConfig(Struct, frozen=True):
    """
    ``[limits]``.

    :ivar connections_per_minute: of one client (IPv4 address, IPv6 /64), likewise messages and recipients; 0: no limit.
    :ivar refused_recipients: of one connection, before 421 4.7.0; 0: no limit.
    """

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
    connections_per_minute: int = 0
    messages_per_minute: int = 0
    recipients_per_minute: int = 0
    refused_recipients: int = 50


class RelayConfig(Struct, frozen=True):
    """``[relay]``."""

    networks: tuple[Network, ...] = _LOOPBACK


class UserConfig(Struct, frozen=True):
    """
    ``[[user]]``.

    :ivar password: an argon2id hash (``$argon2id$...``), or a SCRAM-SHA-256 record, in its text form.
    :ivar senders: patterns of addresses it may send as: an address, ``*@domain``, ``*@*.domain`` or ``*``, domains as
        lower-case A-labels; its own name alone where the configuration says nothing.
    """

    name: str
    password: str
    senders: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the password: whoever has the hash can guess at leisure, and values get into logs."""
        return f"UserConfig(name={self.name!r}, senders={self.senders!r})"


class AuthConfig(Struct, frozen=True):
    """
    ``[auth]``.

    :ivar tokens: ``package.module:name`` of the user's own check of OAuth tokens; ``None``: OAuth is not offered.
    :ivar failures: wrong logins of an address or an account before it is shut out; 0: nobody is ever.
    :ivar lockout_seconds: for how long.
    """

    tokens: str | None = None
    failures: int = 10
    lockout_seconds: float = 900.0


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


class DnsListConfig(Struct, frozen=True):
    """
    An entry of ``policy.dnsbl`` or ``policy.dnswl`` (RFC 5782).

    :ivar codes: answers that count, as addresses (``127.0.0.2``); empty: any in 127.0.0.0/8.
    """

    zone: str
    codes: tuple[str, ...] = ()
    when_down: WhenDown = WhenDown.DELAY


class GreylistConfig(Struct, frozen=True):
    """
    ``policy.greylist``.

    :ivar delay_seconds: how old a triplet must be.
    :ivar window_seconds: how long the second attempt may take to come.
    :ivar lifetime_seconds: how long a triplet that passed is remembered, from its last use on.
    """

    delay_seconds: float = 300.0
    window_seconds: float = 4 * 3600.0
    lifetime_seconds: float = 36 * 86400.0


class MilterConfig(Struct, frozen=True):
    """
    An entry of ``policy.milters``.

    :ivar address: ``inet:host:port`` or ``unix:path``.
    :ivar timeout_seconds: for each of its answers; five times that for the one to the end of the message.
    """

    address: str
    when_down: WhenDown = WhenDown.DELAY
    timeout_seconds: float = 30.0


class PolicyConfig(Struct, frozen=True):
    """
    ``[policy]``. Clients in the relay networks and those that have logged in are asked for none of it but the milters.

    :ivar early_talker_seconds: wait before the banner; 0: none.
    :ivar helo: whether the client's name for itself makes sense.
    :ivar reverse_dns: whether its address has a name that leads back to it.
    :ivar greylist: ``None``: off.
    :ivar tarpit_seconds: before each reply that refuses, growing with their number; 0: none.
    :ivar when_down: of every source that has no word of its own.
    """

    early_talker_seconds: float = 0.0
    helo: Strictness = Strictness.OFF
    reverse_dns: Strictness = Strictness.OFF
    dnsbl: tuple[DnsListConfig, ...] = ()
    dnswl: tuple[DnsListConfig, ...] = ()
    greylist: GreylistConfig | None = None
    tarpit_seconds: float = 0.0
    milters: tuple[MilterConfig, ...] = ()
    when_down: WhenDown = WhenDown.DELAY


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
    users: tuple[UserConfig, ...] = ()
    auth: AuthConfig = AuthConfig()
    domains: tuple[DomainConfig, ...] = ()
    routes: tuple[RouteConfig, ...] = ()
    delivery: DeliveryConfig = DeliveryConfig()
    dns: DnsConfig = DnsConfig()
    policy: PolicyConfig = PolicyConfig()
    log: LogConfig = LogConfig()
