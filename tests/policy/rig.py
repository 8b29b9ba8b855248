"""A clock, tasks, and names that answer at once, later or never."""

from collections.abc import Awaitable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smtpgw.model.dns import Answer, RecordType
from smtpgw.net.deadline import ReactorTasks
from smtpgw.testing.memory_names import MemoryResolver

START = 1_790_000_000.0


class UnixClock(Clock):
    """A test's clock that tells Unix time, too."""

    def __init__(self) -> None:
        super().__init__()
        self.advance(START)

    def time(self) -> float:
        """Unix time."""
        return self.seconds()


class SlowResolver(MemoryResolver):
    """
    A memory resolver that holds some questions.

    :ivar held: names whose questions wait until they are answered with ``go``; all when it is ``None``.
    """

    def __init__(self, zone: Any = None, held: set[str] | None = None) -> None:
        super().__init__(zone)
        self.held = held
        self._waiting: list[tuple[Deferred[None], str]] = []

    async def lookup(self, name: str, record_type: RecordType) -> Answer:
        """When it may."""
        if self.held is None or name in self.held:
            waiting: Deferred[None] = Deferred()
            self._waiting.append((waiting, name))
            await waiting
        return await super().lookup(name, record_type)

    def go(self) -> None:
        """Answer everything, from now on at once."""
        self.held = set()
        waiting, self._waiting = self._waiting, []
        for one, _ in waiting:
            if not one.called:
                one.callback(None)

    @property
    def waiting(self) -> list[str]:
        """The names whose questions wait."""
        return [name for one, name in self._waiting if not one.called]


class Rig:
    """All of it."""

    def __init__(self, zone: Any = None, held: set[str] | tuple[()] | None = ()) -> None:
        """:param held: see ``SlowResolver``; nothing by default."""
        self.clock = UnixClock()
        self.tasks = ReactorTasks(self.clock)
        self.resolver = SlowResolver(zone, None if held is None else set(held))


def waited(answer: Any) -> Deferred[Any]:
    """What is or will be the answer."""

    async def wait() -> Any:
        return await answer if isinstance(answer, Awaitable) or hasattr(answer, "__await__") else answer

    return Deferred.fromCoroutine(wait())
