"""The listening side of a gateway: endpoints, their factories, and the ports that came of them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory
from twisted.python.failure import Failure

from smtpgw.config.schema import ListenConfig
from smtpgw.delivery.hops import ANY_ADDRESS, parse_address

_BACKLOG = 1024
"""Twisted's own default, 50, is less than one burst."""


class CannotStart(Exception):
    """The gateway can't serve as it is configured; its text is one line for the operator."""


def bind(listen: ListenConfig, factory: IProtocolFactory, reactor: Any) -> IListeningPort:
    """
    Listen.

    :raises CannotStart: when the endpoint can't be bound.
    """
    outcome: list[IListeningPort | Failure] = []
    waiting: Deferred[IListeningPort] = serverFromString(reactor, _with_backlog(listen.endpoint)).listen(factory)
    waiting.addBoth(outcome.append)
    if not outcome:
        raise CannotStart(f"cannot listen on {listen.endpoint}: the endpoint does not bind at once")
    found = outcome[0]
    if isinstance(found, Failure):
        raise CannotStart(f"cannot listen on {listen.endpoint}: {_reason(found.value)}")
    return found


def _with_backlog(endpoint: str) -> str:
    kind = endpoint.partition(":")[0]
    return endpoint if kind not in ("tcp", "tcp6") or "backlog=" in endpoint else f"{endpoint}:backlog={_BACKLOG}"


def _reason(error: BaseException | None) -> str:
    if isinstance(error, CannotListenError) and isinstance(error.socketError, OSError):
        return error.socketError.strerror or str(error.socketError)
    return " ".join(str(error).split())


def own_addresses(
    ports: list[IListeningPort],
    hostname: str,
    look_up: Callable[[str], list[str]],
    leave_from: Callable[[], list[str]] | None = None,
) -> frozenset[tuple[str, int]]:
    """
    Where the gateway can be reached, as address and port, so that it is never its own next hop.

    A listener on all addresses has the whole of loopback (``ANY_ADDRESS`` stands for it), the addresses of the host's
    name, and those that the machine's own connections come from.

    :param leave_from: in the place of :func:`outgoing_addresses`.
    """
    found: set[tuple[str, int]] = set()
    machine: tuple[str, ...] = ()
    for port in ports:
        host = port.getHost()
        if not isinstance(host, IPv4Address | IPv6Address):
            continue
        address = parse_address(host.host)
        if address is None or address.is_unspecified:
            machine = machine or (*look_up(hostname), *(leave_from or outgoing_addresses)())
            found.update((text, host.port) for text in (ANY_ADDRESS, *machine))
        else:
            found.add((str(address), host.port))
    return frozenset(found)


def outgoing_addresses() -> list[str]:
    """The addresses that connections to elsewhere come from, at most one of each family. Nothing is sent for it."""
    found = []
    for family, anybody in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as datagrams:
                datagrams.connect((anybody, 9))
                found.append(str(datagrams.getsockname()[0]).partition("%")[0])
        except OSError:
            # Without a route, or the family.
            continue
    return found


def addresses_of(hostname: str) -> list[str]:
    """The addresses that this machine's resolver has for a name; none when it has none. Blocks; for the start."""
    try:
        answers = socket.getaddrinfo(hostname, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return sorted({str(answer[4][0]).partition("%")[0] for answer in answers})


def tcp_port(port: IListeningPort) -> int:
    """
    Its number.

    :raises TypeError: when it is no TCP port.
    """
    host = port.getHost()
    if not isinstance(host, IPv4Address | IPv6Address):
        raise TypeError(f"{host} has no port number")
    return host.port
