"""
A gateway: everything composed, started and stopped in order.

Here the world's failures at the start are caught: whatever keeps the gateway from serving becomes one line and an exit,
before anything is served.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger

from smtpgw.boundaries.world import Publish
from smtpgw.config.schema import Config
from smtpgw.model.domains import LocalDomains
from smtpgw.model.notice import Notice
from smtpgw.model.queue_id import QueueIds
from smtpgw.model.route import ViaSink
from smtpgw.net.threads import ReactorThreads
from smtpgw.net.tls import RelayTls, TlsTrouble
from smtpgw.service import catalogue, listeners
from smtpgw.service.asking import Asking
from smtpgw.service.catalogue import SinkCatalogue
from smtpgw.service.control import ControlServer
from smtpgw.service.delivering import Delivering, World, compose_delivering
from smtpgw.service.filters import Filters
from smtpgw.service.listeners import CannotStart
from smtpgw.service.operator import Operator
from smtpgw.service.policy_checks import Policy
from smtpgw.service.receiving import Receiving
from smtpgw.service.reception import Counter, ListenerReception
from smtpgw.service.recovery import Recovery
from smtpgw.service.tally import Tally
from smtpgw.service.trace import TraceHeader
from smtpgw.spool.errors import SpoolUnusable
from smtpgw.spool.settings import SpoolSettings
from smtpgw.spool.sqlite import SqliteSpool, open_sqlite_spool

_log = Logger(namespace="smtpgw")


class ReactorClock:
    """Unix time, by the reactor: a test's clock moves both."""

    def __init__(self, reactor: IReactorTime) -> None:
        self.time: Callable[[], float] = reactor.seconds
        """:returns: Unix time."""


class Gateway:
    """
    One gateway.

    :ivar hostname: its name.
    """

    def __init__(
        self,
        config: Config,
        *,
        reactor: Any,
        publish: Sequence[Publish] = (),
        delivery: Any = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """
        :param publish: told of every notice.
        :param delivery: a user's own ``IMessageDelivery`` or ``IMessageDeliveryFactory`` in the place of ours.
        :param log: takes lines of the spool for the operator.
        """
        self.hostname = config.hostname
        self._config = config
        self._reactor = reactor
        self._clock = ReactorClock(reactor)
        self._tally = Tally()
        self._publishers: tuple[Publish, ...] = (self._tally.notice, *publish)
        self._delivery = delivery
        self._log = log or (lambda line: _log.warn("{line}", line=line))
        self._random = random.SystemRandom()
        self._threads = ReactorThreads(reactor)
        self._receiving: Receiving | None = None
        self._asking: Asking | None = None
        self._ports: list[IListeningPort] = []
        self._spool: SqliteSpool | None = None
        self._delivering: Delivering | None = None
        self._control: ControlServer | None = None

    # --- Start ---

    def bind(self) -> None:
        """
        Bind every listener. Nothing is served before ``start``.

        :raises CannotStart: when one can't be bound, or a certificate or the users can't be used.
        """
        config = self._config
        self._receiving = receiving = Receiving(config, self._reactor, self._clock, self._publish)
        try:
            for listen, factory in zip(config.listen, receiving.factories, strict=True):
                self._ports.append(listeners.bind(listen, factory, self._reactor))
        except BaseException:
            self._unbind()
            raise

    def start(self) -> None:
        """
        Open the spool and begin to serve; binds first if that has not been done. Blocks for as long as the spool takes.

        :raises CannotStart: when something that is needed can't be had; nothing is left open then.
        """
        config = self._config
        if not self._ports:
            self.bind()
        self._asking = asking = Asking(config, self._reactor, self._clock, self._log)
        try:
            domains = catalogue.local_domains(config, self._clock.time, asking.sources.look_up)
            relay_tls = RelayTls(str(config.tls.ca) if config.tls.ca else None)
            sinks = self._load_sinks(domains)
            self._spool = spool = self._open_spool()
        except (TlsTrouble, SpoolUnusable, OSError, ValueError) as trouble:
            self._unbind()
            raise CannotStart(str(trouble)) from trouble
        except CannotStart:
            self._unbind()
            raise
        try:
            asking.open()
            self._compose(spool, domains, relay_tls, sinks)
        except BaseException as trouble:
            self._unbind()
            spool.close(lambda: None)
            if isinstance(trouble, SpoolUnusable):
                raise CannotStart(str(trouble)) from trouble
            raise

    def _open_spool(self) -> SqliteSpool:
        spool = self._config.spool
        return open_sqlite_spool(
            spool.store,
            settings=SpoolSettings(min_free_octets=spool.min_free_octets, max_messages=spool.max_messages),
            call_in_reactor=self._reactor.callFromThread,
            clock=self._clock,
            log=self._log,
        )

    def _load_sinks(self, domains: LocalDomains) -> SinkCatalogue:
        """All that the configuration names, so that a handler that isn't there is told before anything is opened."""
        config = self._config
        separators = {f"domain {domain.name}": domain.subaddress for domain in config.domains}
        sinks = SinkCatalogue(self._threads, config.hostname, separators)
        for domain in domains.domains:
            if isinstance(domain.deliver.via, ViaSink):
                try:
                    sinks.sink(domain.deliver)
                except ValueError as trouble:
                    raise CannotStart(f"{domain.deliver.name}: {trouble}") from trouble
        return sinks

    def _compose(self, spool: SqliteSpool, domains: LocalDomains, relay_tls: RelayTls, sinks: SinkCatalogue) -> None:
        config, clock = self._config, self._clock
        self._threads.start()
        last = spool.last_queue_id()
        ids = QueueIds(last=last)
        self._delivering = delivering = compose_delivering(
            config,
            World(self._reactor, clock, self._random, self._threads, self._publish),
            spool,
            ids,
            domains,
            relay_tls,
            sinks,
            listeners.own_addresses(self._ports, config.hostname, listeners.addresses_of),
        )
        counter = Counter(
            spool=spool,
            ids=ids,
            clock=clock,
            trace=TraceHeader(config.hostname),
            publish=self._publish,
            enqueue=delivering.dispatch.enqueue,
            expire_seconds=config.delivery.expire_seconds,
            header_limit=config.limits.header_size_octets,
        )
        assert self._receiving is not None
        assert self._asking is not None
        policy = Policy(
            config,
            resolver=self._asking.resolver,
            tasks=self._asking.tasks,
            clock=clock,
            triplets=self._asking.triplets,
        )
        filters = Filters(config, self._reactor)
        self._receiving.open(counter, domains, policy, filters, self._delivery)
        operator = Operator(
            spool=spool,
            dispatch=delivering.dispatch,
            conclusion=delivering.conclusion,
            counter=counter,
            reception=ListenerReception(
                counter,
                (),
                catalogue.own_checks(domains),
                catalogue.content_checks(config),
                filters=filters.content_filters,
            ),
            threads=self._threads,
            tally=self._tally,
        )
        self._control = ControlServer(operator.verbs(), config.limits.message_size_octets)
        self._control.listen(self._reactor, config.spool.store)
        Recovery(spool, delivering.dispatch, self._reactor, self._threads).begin(last)

    def port(self, index: int) -> int:
        """The TCP port of a listener, in the order of the configuration."""
        return listeners.tcp_port(self._ports[index])

    def _publish(self, notice: Notice) -> None:
        for listener in self._publishers:
            listener(notice)

    # --- Stop ---

    async def stop(self) -> None:
        """
        Stop in order: take no more mail, finish what is under way, close the spool.

        Everything that was acknowledged is in the spool; a transaction that takes too long is repeated after the start.
        """
        self._unbind()
        if self._receiving is not None:
            await self._receiving.drain()
        if self._asking is not None:
            await self._asking.close()
        delivering, spool = self._delivering, self._spool
        if delivering is not None:
            await delivering.stop()
        if self._control is not None:
            await self._control.stop()
        if spool is not None:
            closed: Deferred[None] = Deferred()
            spool.close(lambda: closed.callback(None))
            await closed
        self._threads.stop()

    def _unbind(self) -> None:
        ports, self._ports = self._ports, []
        for port in ports:
            port.stopListening()
