"""
A gateway: everything composed, started and stopped in order.

Here the world's failures at the start are caught: whatever keeps the gateway from serving becomes one line and an exit,
before anything is served.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IListeningPort, IReactorTime
from twisted.logger import Logger

from smtpgw.boundaries.world import Publish
from smtpgw.model.domains import LocalDomains
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.notice import Notice
from smtpgw.model.queue_id import QueueIds
from smtpgw.model.reply import reply
from smtpgw.model.route import ViaSink
from smtpgw.model.verdict import Refuse, Verdict
from smtpgw.net.connection_count import ConnectionCount
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from smtpgw.net.threads import ReactorThreads
from smtpgw.net.tls import RelayTls, ServerTls, TlsTrouble, server_context
from smtpgw.service import catalogue, listeners
from smtpgw.service.catalogue import SinkCatalogue
from smtpgw.service.config_schema import Config, ListenConfig, ListenTls
from smtpgw.service.control import ControlServer
from smtpgw.service.delivering import Delivering, World, compose_delivering
from smtpgw.service.listeners import CannotStart
from smtpgw.service.operator import Operator
from smtpgw.service.reception import Counter, ListenerReception
from smtpgw.service.recovery import Recovery
from smtpgw.service.tally import Tally
from smtpgw.service.trace import TraceHeader
from smtpgw.spool.errors import SpoolUnusable
from smtpgw.spool.settings import SpoolSettings
from smtpgw.spool.sqlite import SqliteSpool, open_sqlite_spool

_log = Logger(namespace="smtpgw")

_LEAVE_SECONDS = 5.0
"""How long clients have to leave after they were told 421, when the gateway stops."""


class _Closed:
    """The reception of a listener that is bound before the spool is open. Nobody is served until then."""

    def mail(self, client: Client, mail: MailFrom) -> Verdict:
        """Not yet."""
        return _NOT_YET

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict:
        """Not yet."""
        return _NOT_YET

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Refuse:
        """Not yet."""
        return _NOT_YET


_NOT_YET = Refuse(reply(451, "4.3.0", "Not ready yet, try again later"), "start")
_CLOSED = _Closed()


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
        self._factories: list[GatewayFactory] = []
        self._ports: list[IListeningPort] = []
        self._spool: SqliteSpool | None = None
        self._delivering: Delivering | None = None
        self._control: ControlServer | None = None
        self._connections = ConnectionCount()
        self._session_prefix = f"{int(self._clock.time()):x}-"
        self._session_numbers = count(1)

    # --- Start ---

    def bind(self) -> None:
        """
        Bind every listener. Nothing is served before ``start``.

        :raises CannotStart: when one can't be bound, or the certificate can't be used.
        """
        config = self._config
        try:
            tls = self._server_tls()
            for listen in config.listen:
                factory = self._factory(listen, tls)
                self._ports.append(listeners.bind(listen, factory, self._reactor))
                self._factories.append(factory)
        except BaseException:
            self._unbind()
            raise

    def _server_tls(self) -> ServerTls | None:
        tls = self._config.tls
        if tls.certificate is None:
            return None
        try:
            return server_context(str(tls.certificate), str(tls.key or tls.certificate), tls.minimum.value)
        except TlsTrouble as trouble:
            raise CannotStart(str(trouble)) from trouble

    def _factory(self, listen: ListenConfig, tls: ServerTls | None) -> GatewayFactory:
        limits = self._config.limits
        settings = ServerSettings(
            hostname=self._config.hostname,
            message_size=limits.message_size_octets,
            recipients=limits.recipients,
            connections=limits.connections,
            connections_per_client=limits.connections_per_client,
            messages_per_connection=limits.messages_per_connection,
            errors=limits.errors,
            idle_timeout_seconds=limits.idle_timeout_seconds,
            session_timeout_seconds=limits.session_timeout_seconds,
            bare_newlines=limits.bare_newlines.value,
            tls=listen.tls.value,
        )
        return GatewayFactory(
            _CLOSED,
            settings,
            self._reactor,
            tls_context=tls if listen.tls is not ListenTls.OFF else None,
            publish=self._publish,
            listener=listen.endpoint,
            count=self._connections,
            new_session_id=lambda: f"{self._session_prefix}{next(self._session_numbers):x}",
        )

    def start(self) -> None:
        """
        Open the spool and begin to serve; binds first if that has not been done. Blocks for as long as the spool takes.

        :raises CannotStart: when something that is needed can't be had; nothing is left open then.
        """
        config = self._config
        if not self._ports:
            self.bind()
        try:
            domains = catalogue.local_domains(config, self._clock.time)
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
            self._compose(spool, domains, relay_tls, sinks)
        except BaseException:
            self._unbind()
            spool.close(lambda: None)
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
        content_checks = catalogue.content_checks(config)
        default = domains.find("")
        postmaster_domain = default.name if default is not None else ""
        for listen, factory in zip(config.listen, self._factories, strict=True):
            factory.reception = self._delivery or ListenerReception(
                counter, (), catalogue.rcpt_checks(config, listen, domains), content_checks, postmaster_domain
            )
        operator = Operator(
            spool=spool,
            dispatch=delivering.dispatch,
            conclusion=delivering.conclusion,
            counter=counter,
            reception=ListenerReception(counter, (), catalogue.own_checks(domains), content_checks),
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
        await gatherResults([factory.drain(_LEAVE_SECONDS) for factory in self._factories])
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
