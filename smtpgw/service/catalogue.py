"""The sinks by the URLs of the configuration; the checks of a listener."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.python.failure import Failure

from smtpgw.boundaries.checks import ContentCheck, RcptCheck
from smtpgw.boundaries.sinks import Sink
from smtpgw.boundaries.spool import Body
from smtpgw.boundaries.world import Threads
from smtpgw.checks.loop import Loop
from smtpgw.checks.recipients import Recipients
from smtpgw.checks.relay_access import RelayAccess
from smtpgw.config.lookups import AskedPlace, EveryRecipient, FileRecipients, ListedRecipients
from smtpgw.config.schema import Config, DomainConfig, ListenConfig, Role
from smtpgw.delivery.routing import Router, RouteRule
from smtpgw.lookups.file import RecipientFile
from smtpgw.model.domains import LocalDomain, LocalDomains, RecipientLookup
from smtpgw.model.envelope import Recipient
from smtpgw.model.message import Message
from smtpgw.model.outcome import Failed, Outcome
from smtpgw.model.queue_id import queue_id_text
from smtpgw.model.reply import Reply
from smtpgw.model.route import Route, ViaFail, ViaMx, ViaSink
from smtpgw.sinks.callback import CallbackSink, load_callable
from smtpgw.sinks.discard import DiscardSink
from smtpgw.sinks.maildir import MaildirSink

_log = Logger(namespace="smtpgw.sinks")

_CANCELLED = (asyncio.CancelledError, CancelledError)


class RefusingSink:
    """Where ``via = "fail:"`` leads: every recipient fails, with the words of the configuration."""

    def __init__(self, answer: Reply) -> None:
        self._outcome = Failed(answer.status, str(answer), reply=answer)

    async def deliver(self, message: Message, recipients: tuple[Recipient, ...], body: Body) -> tuple[Outcome, ...]:
        """Fails."""
        return (self._outcome,) * len(recipients)


class SinkCatalogue:
    """Makes the sink of a route once."""

    def __init__(self, threads: Threads, hostname: str, separators: dict[str, str]) -> None:
        """:param separators: of subaddresses, by the name of a domain's route."""
        self._threads = threads
        self._hostname = hostname
        self._separators = separators
        self._sinks: dict[str, Sink] = {}

    def sink(self, route: Route) -> Sink:
        """:raises ValueError: when there is no such sink, or its handler can't be loaded."""
        sink = self._sinks.get(route.name)
        if sink is None:
            sink = self._sinks[route.name] = self._make(route)
        return sink

    def _make(self, route: Route) -> Sink:
        via = route.via
        if isinstance(via, ViaFail):
            return RefusingSink(via.reply)
        if not isinstance(via, ViaSink):
            raise TypeError(f"route {route.name} does not lead into a sink")
        scheme, _, rest = via.url.partition(":")
        match scheme:
            case "maildir":
                separator = self._separators.get(route.name, "")
                return MaildirSink(rest, self._threads, hostname=self._hostname, subaddress=separator)
            case "python":
                return CallbackSink(load_callable(rest), self._threads, _handler_failed, _CANCELLED)
            case "discard":
                return DiscardSink()
            case _:
                raise ValueError(f"no sink takes {via.url}")


def _handler_failed(message: Message, error: BaseException) -> None:
    queue_id = queue_id_text(message.queue_id)
    _log.failure("the handler failed on message {qid}", Failure(error), qid=queue_id)


LookUp = Callable[[AskedPlace], RecipientLookup]
"""Of :class:`smtpgw.service.lookups_sources.LookupSources`."""


def nowhere(_: AskedPlace) -> RecipientLookup:
    """Of who can ask nobody. :raises ValueError: always."""
    raise ValueError("recipients are in a place that can't be asked here")


def local_domains(config: Config, now: Callable[[], float], look_up: LookUp = nowhere) -> LocalDomains:
    """
    The domains of ours, their recipients read.

    :raises OSError: when a file of recipients can't be read.
    :raises ValueError: for what is in it, or when a source can't be used.
    """
    return LocalDomains(
        [
            LocalDomain(
                name=domain.name,
                deliver=Route(
                    f"domain {domain.name}", domain.deliver, connections=config.delivery.connections_per_site
                ),
                recipients=_recipients(domain, now, look_up),
                subaddress=domain.subaddress,
            )
            for domain in config.domains
        ]
    )


def _recipients(
    domain: DomainConfig, now: Callable[[], float], look_up: LookUp
) -> frozenset[str] | RecipientLookup | None:
    match domain.recipients:
        case EveryRecipient():
            return None
        case ListedRecipients(local_parts=local_parts):
            return frozenset(local.lower() for local in local_parts)
        case FileRecipients(path=path):
            return _logged(RecipientFile(path, domain.name, now))
        case place:
            return look_up(place)


def _logged(file: RecipientFile) -> RecipientLookup:
    """The lookup of a file whose trouble the operator hears of, once for each trouble."""
    told = ""

    def contains(local: str, _: str) -> bool:
        nonlocal told
        known = file.contains(local)
        if file.trouble != told:
            told = file.trouble
            if told:
                _log.error("recipients as last read stay in force: {trouble}", trouble=told)
        return known

    return contains


def router(config: Config, domains: LocalDomains) -> Router:
    """Local domains, then the routes in their order, then the MX hosts."""
    rules = [
        RouteRule(
            Route(f"route[{index}]", route.via, route.tls, route.connections, route.source), route.to, route.reverse
        )
        for index, route in enumerate(config.routes)
    ]
    default = Route("default", ViaMx(config.delivery.port), connections=config.delivery.connections_per_site)
    return Router(domains, rules, default)


def rcpt_checks(config: Config, listen: ListenConfig, domains: LocalDomains) -> list[RcptCheck]:
    """Who may send where, then who is a recipient. A relay listener has no domains of its own."""
    own = LocalDomains() if listen.role is Role.RELAY else domains
    return [RelayAccess(own, listen.relay_networks), Recipients(domains)]


def own_checks(domains: LocalDomains) -> list[RcptCheck]:
    """For what is handed in on this host, by the command: anywhere, but to recipients that exist."""
    return [RelayAccess(domains, ()), Recipients(domains)]


def content_checks(config: Config) -> list[ContentCheck]:
    """No loops."""
    return [Loop(config.limits.hops)]
