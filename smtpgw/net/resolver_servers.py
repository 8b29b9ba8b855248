"""Which name servers to ask: those of the configuration, or those of the system."""

import ipaddress
import os

import dns.resolver

Server = tuple[str, int]
"""IP address and port."""

_DEFAULT_PORT = 53


def system_servers(path: str | os.PathLike[str] = "/etc/resolv.conf") -> tuple[Server, ...]:
    """
    The servers of resolv.conf; without any, the one on this machine, as the C library does. Reads a file.

    Most resolvers read no more than three; so do we.
    """
    try:
        found = dns.resolver.Resolver(filename=os.fspath(path)).nameservers
    except (dns.resolver.NoResolverConfiguration, OSError, ValueError, UnicodeError):
        found = []
    servers = tuple((str(server), _DEFAULT_PORT) for server in found if _is_address(str(server)))
    return servers[:3] or (("127.0.0.1", _DEFAULT_PORT),)


def is_loopback(address: str) -> bool:
    """Whether answers from there can't have been changed on their way (RFC 7672 section 2.1.1)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_loopback


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
