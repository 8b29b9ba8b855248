"""
What every source of recipients is wrapped in: an answer in time, kept for a while, asked for once at a time.

A source that is slow, down or wrong costs a bounded number of questions under way and bounded memory; who asks gets
``LookupTrouble`` for it, never a wrong answer.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator
from typing import Any

from msgspec import Struct

from smtpgw.boundaries.deadline import Task, Tasks
from smtpgw.lookups.masking import masked
from smtpgw.lookups.question import Question, Source, is_askable
from smtpgw.model.domains import LookupTrouble


class Bounds(Struct, frozen=True):
    """
    :ivar known_seconds: for how long a yes holds.
    :ivar unknown_seconds: for how long a no holds.
    :ivar deadline_seconds: of one question.
    :ivar most: questions under way.
    :ivar kept: answers; the one that was asked for the longest time ago goes first.
    """

    known_seconds: float = 60.0
    unknown_seconds: float = 30.0
    deadline_seconds: float = 10.0
    most: int = 100
    kept: int = 10_000


CALL_AHEAD = Bounds(known_seconds=3600.0, unknown_seconds=600.0, deadline_seconds=30.0)
"""Another host is asked, whose time is not ours; mailboxes come and go more slowly than mail does."""


class _Answer:
    """For one who waits."""

    __slots__ = ("_task",)

    def __init__(self, task: Task[bool | LookupTrouble]) -> None:
        self._task = task

    def __await__(self) -> Generator[Any, Any, bool]:
        answer = yield from self._task.__await__()
        if isinstance(answer, LookupTrouble):
            raise LookupTrouble(str(answer))
        return answer


class Guarded:
    """Implements :data:`smtpgw.model.domains.RecipientLookup`; used in the reactor's thread only."""

    def __init__(
        self,
        source: Source,
        tasks: Tasks,
        now: Callable[[], float],
        bounds: Bounds = Bounds(),  # noqa: B008 - a frozen value
        *,
        name: str = "",
        secrets: tuple[str, ...] = (),
    ) -> None:
        """
        :param now: any clock, seconds.
        :param name: of the source, for the log; without secrets.
        :param secrets: passwords, replaced wherever the text of a trouble holds them.
        """
        self._source = source
        self._tasks = tasks
        self._now = now
        self._bounds = bounds
        self._name = name
        self._secrets = secrets
        self._under_way: dict[tuple[str, str], Task[bool | LookupTrouble] | None] = {}
        self._answers: OrderedDict[tuple[str, str], tuple[bool, float]] = OrderedDict()

    def __call__(self, local: str, domain: str) -> bool | Awaitable[bool]:
        """
        Whether it is a recipient; at once where that is known.

        :param local: canonical, without quotes; anything.
        :raises LookupTrouble: when too many questions are under way.
        """
        key = local, domain
        known = self._kept(key)
        if known is not None:
            return known
        if not is_askable(local):
            return False
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= self._bounds.most:
                raise LookupTrouble(f"{self._name}: more than {self._bounds.most} questions are under way")
            self._under_way[key] = None
            task = self._tasks.begin(self._ask(key))
            # It may have had its answer at once.
            if key in self._under_way:
                self._under_way[key] = task
        return _Answer(task)

    async def _ask(self, key: tuple[str, str]) -> bool | LookupTrouble:
        try:
            known = await self._tasks.timed(self._source(Question(*key)), self._bounds.deadline_seconds)
        except (LookupTrouble, OSError) as trouble:
            # As a value: it is nothing to be logged when all who waited are gone.
            return LookupTrouble(masked(f"{self._name}: {trouble}", self._secrets))
        finally:
            self._under_way.pop(key, None)
        self._keep(key, known)
        return known

    def _kept(self, key: tuple[str, str]) -> bool | None:
        answer = self._answers.get(key)
        if answer is None:
            return None
        known, until = answer
        if until <= self._now():
            del self._answers[key]
            return None
        self._answers.move_to_end(key)
        return known

    def _keep(self, key: tuple[str, str], known: bool) -> None:
        seconds = self._bounds.known_seconds if known else self._bounds.unknown_seconds
        self._answers[key] = known, self._now() + seconds
        self._answers.move_to_end(key)
        if len(self._answers) > self._bounds.kept:
            self._answers.popitem(last=False)
