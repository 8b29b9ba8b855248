"""What the receiving half asks of the world while clients wait: names, databases, and what greylisting remembers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from smtpgw.boundaries.triplets import Triplets
from smtpgw.boundaries.world import Clock
from smtpgw.config.schema import Config
from smtpgw.net.deadline import ReactorTasks
from smtpgw.net.resolver import DnsResolver
from smtpgw.net.threads import ReactorThreads
from smtpgw.service.lookups_sources import LookupSources
from smtpgw.service.policy_checks import needs_triplets
from smtpgw.spool.triplets import open_triplets

_QUESTIONS = 1000
"""For names, under way at a time."""


class Asking:
    """
    Everything that is asked has its own means here, so that a flood of clients keeps no outgoing mail waiting.

    :ivar resolver: asks the name server.
    :ivar sources: of recipients.
    :ivar triplets: ``None`` until it is open, and where nothing needs them.
    """

    def __init__(self, config: Config, reactor: Any, clock: Clock, log: Callable[[str], None]) -> None:
        """:param log: takes lines for the operator."""
        self._config = config
        self._reactor = reactor
        self._clock = clock
        self._log = log
        self.tasks = ReactorTasks(reactor)
        self.resolver = DnsResolver(reactor, config.dns.servers, clock=clock, max_running=_QUESTIONS)
        self.sources = LookupSources(reactor, self.tasks, hostname=config.hostname, authorities=config.tls.ca)
        self.triplets: Triplets | None = None
        self._threads: ReactorThreads | None = None

    def open(self) -> None:
        """
        Begin to answer. Blocks briefly. The folder of the spool is ours already.

        :raises SpoolUnusable: what was remembered can't be used, and can't be put aside either.
        """
        self.sources.start()
        if needs_triplets(self._config.policy):
            self._threads = threads = ReactorThreads(self._reactor, 1)
            threads.start()
            self.triplets = open_triplets(
                self._config.spool.store,
                threads=threads,
                tasks=self.tasks,
                clock=self._clock,
                log=lambda line: self._reactor.callFromThread(self._log, line),
            )

    async def close(self) -> None:
        """Keep what is worth it; whoever still waits for an answer gets none."""
        if self.triplets is not None:
            await self.triplets.close()
        self.tasks.close()
        self.resolver.close()
        await self.sources.stop()
        if self._threads is not None:
            self._threads.stop()
