"""What a listener is told, and what is made from it once for all its connections."""

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from smtpgw.model.network import Network
from smtpgw.smtp.extension import Extension
from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from smtpgw.smtp.session_rules import ExtensionTables, SessionRules

_STOCK = frozenset(
    ("SIZE", "8BITMIME", "PIPELINING", "STARTTLS", "AUTH", "ENHANCEDSTATUSCODES", "CHUNKING", "LIMITS", "XCLIENT")
)
"""
Extensions that ask nothing of whoever takes the message. One that is not named here is not offered on behalf of a
stock delivery: it would be a promise that nobody keeps.
"""


class ServerSettings(Struct, frozen=True, kw_only=True):
    """
    Of one listener. The defaults are those of ``[limits]``.

    :ivar hostname: in the banner and the reply to EHLO.
    :ivar banner: what stands behind the host name in the 220.
    :ivar message_size: octets; 0 is no limit.
    :ivar connections: in all; 0 is no limit, here and below.
    :ivar connections_per_client: for each IPv4 address and each IPv6 /64.
    :ivar errors: bad commands before 421 4.7.0.
    :ivar idle_timeout_seconds: longest wait for a whole command, or for more content.
    :ivar session_timeout_seconds: of a whole connection, our own delays not counted.
    :ivar handshake_timeout_seconds: of TLS.
    :ivar closing_seconds: what a peer has to take the last replies before the connection is aborted.
    :ivar tls: ``required``: nothing before STARTTLS; ``implicit``: TLS from the first octet on.
    :ivar extensions: what EHLO offers, when it can be.
    :ivar auth: AUTH is offered, once TLS stands, if the factory has an authenticator.
    :ivar requires_auth: nothing but the greeting before AUTH.
    :ivar refused_recipients: of one connection, before 421 4.7.0.
    :ivar content_octets_per_second: content that comes slower, over the idle timeout, is as good as silence. A message
        that would need longer than a session may last is not saved by it; it is there for those that drip.
    :ivar proxy_networks: whoever connects from there is a proxy, and has to say for whom it speaks.
    :ivar proxy_timeout_seconds: what it has for that.
    :ivar xclient_networks: who may say with XCLIENT for whom they speak.
    :ivar trusted_networks: whose clients are never kept waiting on purpose.
    :ivar early_talker_seconds: before the banner; who does not wait is turned away. 0: no wait.
    :ivar tarpit_seconds: before a reply that refuses, growing up to five times with their number; 0: none. Not for
        those who have logged in.
    :ivar deliver_by: DELIVERBY is offered.
    :ivar future_release_seconds: FUTURERELEASE is offered, for so long; 0: it is not.
    :ivar now: Unix time; FUTURERELEASE is not offered without it.
    """

    hostname: str
    banner: str = "ESMTP smtpgw"
    message_size: int = 25 * 1024 * 1024
    recipients: int = 1000
    connections: int = 5000
    connections_per_client: int = 50
    messages_per_connection: int = 1000
    errors: int = 20
    idle_timeout_seconds: float = 300.0
    session_timeout_seconds: float = 3600.0
    handshake_timeout_seconds: float = 30.0
    closing_seconds: float = 8.0
    bare_newlines: Literal["reject", "normalize"] = "reject"
    tls: Literal["off", "starttls", "required", "implicit"] = "starttls"
    extensions: tuple[Extension, ...] = EXTENSIONS
    auth: bool = False
    requires_auth: bool = False
    refused_recipients: int = 50
    content_octets_per_second: float = 10.0
    proxy_networks: tuple[Network, ...] = ()
    proxy_timeout_seconds: float = 8.0
    xclient_networks: tuple[Network, ...] = ()
    trusted_networks: tuple[Network, ...] = ()
    early_talker_seconds: float = 0.0
    tarpit_seconds: float = 0.0
    deliver_by: bool = False
    future_release_seconds: int = 0
    now: Callable[[], float] | None = None


@lru_cache(maxsize=64)
def session_rules(settings: ServerSettings) -> SessionRules:
    """The part of it that sessions hold."""
    return SessionRules(
        hostname=settings.hostname,
        banner=f"{settings.hostname} {settings.banner}",
        message_size=settings.message_size,
        recipients=settings.recipients,
        messages=settings.messages_per_connection,
        errors=settings.errors,
        normalizes=settings.bare_newlines == "normalize",
        requires_tls=settings.tls == "required",
        requires_auth=settings.requires_auth,
        refused_recipients=settings.refused_recipients,
        deliver_by=settings.deliver_by,
        future_release_seconds=settings.future_release_seconds,
        now=settings.now,
        extensions=settings.extensions,
    )


@lru_cache(maxsize=64)
def stock_extensions(extensions: tuple[Extension, ...]) -> tuple[Extension, ...]:
    """Those that a stock delivery can serve: its addresses are ASCII, its lines end, and it hears of no parameter."""
    return tuple(extension for extension in extensions if extension.keyword in _STOCK)


@lru_cache(maxsize=64)
def extension_tables(extensions: tuple[Extension, ...]) -> ExtensionTables:
    """One for each set of extensions."""
    return ExtensionTables(extensions)
