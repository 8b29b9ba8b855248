"""What a listener is told, and what is made from it once for all its connections."""

from functools import lru_cache
from typing import Literal

from msgspec import Struct

from smtpgw.smtp.extension import Extension
from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from smtpgw.smtp.session_rules import ExtensionTables, SessionRules


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
        extensions=settings.extensions,
    )


@lru_cache(maxsize=64)
def stock_extensions(extensions: tuple[Extension, ...]) -> tuple[Extension, ...]:
    """Those that a stock delivery can serve: its addresses are ASCII."""
    return tuple(extension for extension in extensions if extension.keyword != "SMTPUTF8")


@lru_cache(maxsize=64)
def extension_tables(extensions: tuple[Extension, ...]) -> ExtensionTables:
    """One for each set of extensions."""
    return ExtensionTables(extensions)
