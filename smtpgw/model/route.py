"""Where mail for a recipient goes, and the hosts that lead there."""

from enum import Enum

from msgspec import Struct

from smtpgw.model.reply import Reply


class TlsNeed(Enum):
    """How much TLS a next hop must have (``[[route]] tls``)."""

    OFF = "off"
    OPPORTUNISTIC = "opportunistic"
    REQUIRED = "required"
    VERIFY = "verify"


class ViaMx(Struct, frozen=True, tag="mx"):
    """To the MX hosts of the recipient's domain (RFC 5321 section 5.1)."""

    port: int = 25


class ViaHost(Struct, frozen=True, tag="smtp"):
    """
    To one named host, or an address; its MX records are not asked for.

    :ivar host: domain name (A-labels) or IP address without brackets.
    """

    host: str
    port: int


class ViaSink(Struct, frozen=True, tag="sink"):
    """
    Into a sink of ours.

    :ivar url: as in the configuration, placeholders still in it: ``maildir:PATH``, ``python:module:name``,
        ``discard:``.
    """

    url: str


class ViaFail(Struct, frozen=True, tag="fail"):
    """Refused for good."""

    reply: Reply


Via = ViaMx | ViaHost | ViaSink | ViaFail


class Route(Struct, frozen=True):
    """
    Where mail goes and how.

    :ivar name: what chose it, for the log and ``explain``: ``route[0]``, ``domain example.com``, ``default``.
    :ivar connections: most connections at a time to one site.
    :ivar source: local address of outgoing connections, ``None`` for the system's choice.
    """

    name: str
    via: Via
    tls: TlsNeed = TlsNeed.OPPORTUNISTIC
    connections: int = 20
    source: str | None = None


class Hop(Struct, frozen=True):
    """
    One address to try.

    :ivar host: the name the address was found under, for TLS and the log.
    :ivar address: IPv4 or IPv6 address.
    """

    host: str
    address: str
    port: int
