"""
An Internet on loopback, in one process: a name server, and mail hosts with personalities, all on one port.

::

    internet = Internet(reactor)
    internet.add_domain("good.example", {"mx.good.example": GOOD})
    internet.add_domain("backup.example", {"mx1.backup.example": DEAD, "mx2.backup.example": GOOD})
    await internet.start()
    ...                                     # a gateway with [dns] servers and [delivery] port as below
    internet.receivers["mx.good.example"].messages
    await internet.stop()

The hosts have the addresses 127.0.0.2, 127.0.0.3 and so on, which Linux has without further ado; elsewhere they must be
configured on the loopback interface first. The gateway needs ``forbidden_networks = []``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.error import CannotListenError

from smtpgw.model.dns import MxRecord, RecordType
from smtpgw.testing.certificates import Authority
from smtpgw.testing.names import FakeNameServer
from smtpgw.testing.personality import Personality
from smtpgw.testing.receivers import Receiver

_PORT_TRIES = 20
_FIRST_ADDRESS = 2
_LAST_ADDRESS = 254


class Dead:
    """A host whose address exists, and where nobody listens."""


DEAD = Dead()

Host = Personality | Dead


class Internet:
    """
    Names and hosts.

    :ivar names: the name server.
    :ivar receivers: the hosts that live, by name.
    :ivar addresses: of all hosts, by name.
    :ivar authority: vouches for the certificates of all hosts.
    :ivar port: of all hosts, after ``start``.
    """

    def __init__(self, reactor: Any) -> None:
        self.names = FakeNameServer(reactor)
        self.receivers: dict[str, Receiver] = {}
        self.addresses: dict[str, str] = {}
        self.authority = Authority()
        self.port = 0
        self._reactor = reactor

    @property
    def dns_server(self) -> str:
        """As in ``[dns] servers``."""
        host, port = self.names.address
        return f"{host}:{port}"

    def add_domain(self, domain: str, hosts: Mapping[str, Host]) -> None:
        """
        A domain and its mail hosts, in the order of preference. Hosts that are known already keep their personality.

        An empty mapping is a domain that takes no mail (RFC 7505).
        """
        records = [MxRecord(10 * place, name) for place, name in enumerate(hosts, 1)]
        self.names.zone[domain, RecordType.MX] = records or [MxRecord(0, "")]
        for name, host in hosts.items():
            if name not in self.addresses:
                self.add_host(name, host)

    def add_host(self, name: str, host: Host) -> None:
        """
        A host that may be the mail host of several domains.

        :raises ValueError: when there are no addresses left.
        """
        last = _FIRST_ADDRESS + len(self.addresses)
        if last > _LAST_ADDRESS:
            raise ValueError("too many hosts")
        self.addresses[name] = f"127.0.0.{last}"
        self.names.zone[name, RecordType.A] = [self.addresses[name]]
        if isinstance(host, Personality):
            self.receivers[name] = Receiver(self._reactor, name, host, self.authority.issue(name))

    async def start(self) -> None:
        """Listen. Hosts added afterwards don't."""
        self.names.start()
        for last in reversed(range(_PORT_TRIES)):
            listening: list[Receiver] = []
            port = 0
            try:
                for name, receiver in self.receivers.items():
                    receiver.listen(self.addresses[name], port)
                    listening.append(receiver)
                    port = receiver.port
            except CannotListenError:
                for receiver in listening:
                    await receiver.close_listener()
                if not last:
                    raise
                continue
            self.port = port
            return

    async def stop(self) -> None:
        """Close everything."""
        for receiver in self.receivers.values():
            await receiver.stop()
        await self.names.stop()
