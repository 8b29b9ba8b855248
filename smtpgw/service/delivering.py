"""The delivering half of a gateway, composed: scheduler, names, next hops, sinks, and what becomes of each attempt."""

from __future__ import annotations

from random import Random
from typing import Any

from msgspec import Struct
from twisted.internet.task import deferLater

from smtpgw.boundaries.spool import Spool
from smtpgw.boundaries.world import Clock, Publish
from smtpgw.config.schema import Config
from smtpgw.delivery.agenda import Agenda
from smtpgw.delivery.lifecycle import LifeRules
from smtpgw.delivery.links import AgendaRules
from smtpgw.delivery.resolution import HopRules
from smtpgw.delivery.retry import RetrySchedule
from smtpgw.model.domains import LocalDomains
from smtpgw.model.queue_id import QueueIds
from smtpgw.net.dialer import TcpDialer
from smtpgw.net.resolver import DnsResolver
from smtpgw.net.threads import ReactorThreads
from smtpgw.net.tls import RelayTls
from smtpgw.service import catalogue
from smtpgw.service.catalogue import SinkCatalogue
from smtpgw.service.conclusion import Conclusion
from smtpgw.service.dispatch import Dispatch
from smtpgw.service.live import LiveEntries
from smtpgw.service.settling import Settling
from smtpgw.smtp.conversation_terms import RelaySettings

_FRESH_OCTETS = 64 * 2**20
"""Memory for messages that have not been tried yet, so that they needn't be read back."""

_FINISH_SECONDS = 10.0
"""How long a stop waits for transactions that are under way; those that take longer are repeated after the start."""

_LOOK_SECONDS = 0.05

_LOOKUPS = 1000
"""Questions for names under way at a time: more than the scheduler has domains, as addresses are asked for, too."""


class Delivering:
    """
    The half that brings mail to where it belongs.

    :ivar resolver: asks the name server; for the receiving half, too.
    """

    def __init__(self, reactor: Any, dispatch: Dispatch, conclusion: Conclusion, resolver: DnsResolver) -> None:
        self._reactor = reactor
        self.dispatch = dispatch
        self.conclusion = conclusion
        self.resolver = resolver

    async def stop(self) -> None:
        """Begin nothing more, wait some seconds for what is under way, then let go of it."""
        self.dispatch.pause()
        tries = int(_FINISH_SECONDS / _LOOK_SECONDS)
        while self.dispatch.under_way and tries:
            tries -= 1
            await deferLater(self._reactor, _LOOK_SECONDS)
        self.dispatch.stop()
        self.conclusion.flush()
        tries = int(_FINISH_SECONDS / _LOOK_SECONDS)
        while self.conclusion.is_reading and tries:
            tries -= 1
            await deferLater(self._reactor, _LOOK_SECONDS)
        self.resolver.close()


class World(Struct, frozen=True):
    """What all parts of a gateway share."""

    reactor: Any
    clock: Clock
    random: Random
    threads: ReactorThreads
    publish: Publish


def compose_delivering(
    config: Config,
    world: World,
    spool: Spool,
    ids: QueueIds,
    domains: LocalDomains,
    relay_tls: RelayTls,
    sinks: SinkCatalogue,
    own_addresses: frozenset[tuple[str, int]],
) -> Delivering:
    """
    Make it.

    :param own_addresses: where the gateway itself can be reached: never a next hop.
    """
    reactor, clock, random = world.reactor, world.clock, world.random
    delivery = config.delivery
    schedule = RetrySchedule(delivery.retry_seconds)
    agenda = Agenda(AgendaRules(schedule, jobs_per_link=delivery.messages_per_connection), random)
    if delivery.paused:
        agenda.pause()
    conclusion = Conclusion(
        rules=LifeRules(schedule, delivery.expire_seconds, delivery.warn_seconds or None),
        settling=Settling(spool, reactor),
        ids=ids,
        clock=clock,
        random=random,
        threads=world.threads,
        reactor=reactor,
        hostname=config.hostname,
        publish=world.publish,
    )
    relay = RelaySettings(
        helo_name=config.hostname,
        connect_timeout_seconds=delivery.connect_timeout_seconds,
        command_timeout_seconds=delivery.command_timeout_seconds,
        data_timeout_seconds=delivery.data_timeout_seconds,
        final_timeout_seconds=delivery.final_timeout_seconds,
    )
    resolver = DnsResolver(reactor, config.dns.servers, clock=clock, max_running=_LOOKUPS)
    dispatch = Dispatch(
        reactor=reactor,
        clock=clock,
        random=random,
        agenda=agenda,
        live=LiveEntries(spool, _FRESH_OCTETS),
        router=catalogue.router(config, domains),
        resolver=resolver,
        dialer=TcpDialer(reactor, relay, relay_tls, world.threads),
        sinks=sinks.sink,
        conclusion=conclusion,
        hop_rules=HopRules(
            own_names=frozenset((config.hostname.lower(),)),
            own_addresses=own_addresses,
            forbidden_networks=delivery.forbidden_networks,
        ),
        publish=world.publish,
    )
    conclusion.enqueue = dispatch.enqueue
    return Delivering(reactor, dispatch, conclusion, resolver)
