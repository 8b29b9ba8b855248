"""
Where passwords are compared: in few threads of their own, and with a bounded number of them waiting.

Each comparison may take 64 MiB and 50 milliseconds, so whoever can start any number of them can stop a machine.
"""

from collections import Counter
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from smtpgw.accounts.passwords import matches_record
from smtpgw.boundaries.world import Threads

THREADS = 2
"""How many threads the pool is meant to have: with argon2's usual 64 MiB, 128 MiB at a time."""

_MAX_WAITING = 64
_MAX_PER_CLIENT = 16

Matches = Callable[[str, str], bool]


class PoolFull(Exception):
    """Too many passwords wait already."""


class _Job:
    """One comparison, and everybody who waits for it."""

    __slots__ = ("client", "is_abandoned", "matches", "password", "record", "waiters")

    def __init__(self, matches: Matches, record: str, password: str, client: str | int) -> None:
        self.matches = matches
        self.record = record
        self.password = password
        self.client = client
        self.waiters: list[Deferred[bool]] = []
        self.is_abandoned = False

    def run(self) -> bool:
        """In a thread."""
        return not self.is_abandoned and self.matches(self.record, self.password)


class PasswordPool:
    """
    Compares passwords.

    The same guess that comes several times while it is looked at is looked at once. One whose clients have all gone by
    the time it would begin is not looked at.
    """

    def __init__(
        self,
        threads: Threads,
        matches: Matches = matches_record,
        most: int = THREADS + _MAX_WAITING,
        most_per_client: int = _MAX_PER_CLIENT,
    ) -> None:
        """
        :param threads: :data:`THREADS` of them, used for nothing else.
        :param matches: blocks.
        :param most: that run or wait.
        """
        self._threads = threads
        self._matches = matches
        self._most = most
        self._most_per_client = most_per_client
        self._jobs: dict[tuple[bytes, str], _Job] = {}
        self._unfinished = 0
        self._per_client: Counter[str | int] = Counter()

    def is_checking(self, digest: bytes, record: str) -> bool:
        """The same guess is being looked at."""
        return (digest, record) in self._jobs

    def check(self, digest: bytes, record: str, password: str, client: str | int) -> Deferred[bool]:
        """
        Whether the password fits the record. Cancelling stops the waiting; the work goes on while somebody waits.

        :param digest: of name and password.
        :raises PoolFull: at once.
        """
        key = (digest, record)
        known = self._jobs.get(key)
        if known is None and (self._unfinished >= self._most or self._per_client[client] >= self._most_per_client):
            raise PoolFull
        job = _Job(self._matches, record, password, client) if known is None else known

        def leave(waiter: Deferred[bool]) -> None:
            job.waiters.remove(waiter)
            if not job.waiters:
                job.is_abandoned = True
                self._drop(key, job)

        waiter: Deferred[bool] = Deferred(leave)
        job.waiters.append(waiter)
        if known is None:
            self._jobs[key] = job
            self._start(key, job)
        return waiter

    def _start(self, key: tuple[bytes, str], job: _Job) -> None:
        self._unfinished += 1
        self._per_client[job.client] += 1

        def finished(result: bool | Failure) -> None:
            # An abandoned job holds its place until its thread has seen that: the pool's own queue is as long as this.
            self._unfinished -= 1
            self._per_client[job.client] -= 1
            if not self._per_client[job.client]:
                del self._per_client[job.client]
            self._drop(key, job)
            waiters, job.waiters = job.waiters, []
            for waiter in waiters:
                waiter.callback(result)

        Deferred.fromCoroutine(_awaited(self._threads.run(job.run))).addBoth(finished)

    def _drop(self, key: tuple[bytes, str], job: _Job) -> None:
        if self._jobs.get(key) is job:
            del self._jobs[key]


async def _awaited(answer: Awaitable[bool]) -> bool:
    return await answer
