"""The sources of recipients by what the configuration says of them, each with the bounds around it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import HostnameEndpoint
from twisted.logger import Logger

from smtpgw.boundaries.deadline import Tasks
from smtpgw.config.lookups import AskedPlace
from smtpgw.handlers.target import load_target
from smtpgw.lookups.callahead import CallAheadPlace, NextHost
from smtpgw.lookups.guarded import CALL_AHEAD, Bounds, Guarded
from smtpgw.lookups.http import HttpPlace, HttpService
from smtpgw.lookups.lane import Lane
from smtpgw.lookups.ldap import LdapDirectory, LdapPlace
from smtpgw.lookups.postgresql import PostgresqlPlace, PostgresqlTable
from smtpgw.lookups.python import PythonFunction, PythonPlace
from smtpgw.lookups.question import Source
from smtpgw.lookups.sqlite import SqlitePlace, SqliteTable
from smtpgw.model.domains import RecipientLookup
from smtpgw.net.callahead import CallAhead
from smtpgw.net.http_client import HttpClient
from smtpgw.net.threads import ReactorThreads

_log = Logger(namespace="smtpgw.lookups")

_THREADS = 4
"""Of one source. Each has its own, so that one that hangs keeps nobody else waiting."""

_CONNECT_SECONDS = 10.0


class LookupSources:
    """All that are asked while clients wait. Domains of the same place share one."""

    def __init__(
        self, reactor: Any, tasks: Tasks, *, hostname: str, authorities: Path | None = None, threads: int = _THREADS
    ) -> None:
        """
        :param hostname: ours, for call-ahead.
        :param authorities: of TLS, a PEM file; ``None``: the system's.
        """
        self._reactor = reactor
        self._tasks = tasks
        self._hostname = hostname
        self._authorities = authorities
        self._most_threads = threads
        self._lookups: dict[AskedPlace, RecipientLookup] = {}
        self._pools: list[ReactorThreads] = []
        self._closers: list[Callable[[], None]] = []
        self._http: HttpClient | None = None
        self._started = False

    def look_up(self, place: AskedPlace) -> RecipientLookup:
        """
        What asks a place. Connects to nothing; a database in a file is looked at, if it is there.

        :raises ValueError: when it can't be used.
        :raises OSError: when the file of the authorities can't be read.
        """
        lookup = self._lookups.get(place)
        if lookup is None:
            lookup = self._lookups[place] = self._make(place)
        return lookup

    def start(self) -> None:
        """Begin to answer."""
        self._started = True
        for pool in self._pools:
            pool.start()

    async def stop(self) -> None:
        """Close what is open. Waits for threads at work, which the time limits of their questions bound."""
        for close in self._closers:
            close()
        if self._http is not None:
            await self._http.close()
        if self._started:
            self._started = False
            for pool in self._pools:
                pool.stop()

    def _make(self, place: AskedPlace) -> RecipientLookup:
        match place:
            case SqlitePlace():
                table = SqliteTable(place, self._lane())
                trouble = table.check()
                if trouble:
                    _log.warn("recipients can't be asked for now: {trouble}", trouble=trouble)
                return self._guarded(table, "sqlite")
            case PostgresqlPlace():
                rows = PostgresqlTable(place, self._lane())
                self._closers.append(rows.close)
                return self._guarded(rows, "postgresql", secrets=place.secrets)
            case LdapPlace():
                directory = LdapDirectory(place, self._lane(), self._authorities)
                self._closers.append(directory.close)
                return self._guarded(directory, f"ldap {place.host}", secrets=place.secrets)
            case HttpPlace():
                if self._http is None:
                    self._http = HttpClient(self._reactor, self._authorities)
                return self._guarded(HttpService(place, self._http.get), place.base, secrets=place.secrets)
            case PythonPlace(target=target):
                function = PythonFunction(load_target(target), self._lane(), (CancelledError,))
                return self._guarded(function, f"python:{target}")
            case CallAheadPlace(host=host, port=port):
                endpoint = HostnameEndpoint(self._reactor, host, port, _CONNECT_SECONDS)
                probes = CallAhead(endpoint, self._reactor, self._hostname)
                self._closers.append(probes.close)
                return self._guarded(NextHost(probes), f"smtp:{host}:{port}", CALL_AHEAD)

    def _guarded(
        self,
        source: Source,
        name: str,
        bounds: Bounds = Bounds(),  # noqa: B008 - a frozen value
        secrets: tuple[str, ...] = (),
    ) -> Guarded:
        return Guarded(source, self._tasks, self._reactor.seconds, bounds, name=name, secrets=secrets)

    def _lane(self) -> Lane:
        pool = ReactorThreads(self._reactor, self._most_threads)
        self._pools.append(pool)
        if self._started:
            pool.start()
        return Lane(pool)
