"""What every room may need of the world: time, threads, names, and whoever listens."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from smtpgw.model.dns import Answer, RecordType
from smtpgw.model.notice import Notice

T = TypeVar("T")

Publish = Callable[[Notice], None]
"""Tells whoever listens that something happened. Never raises, never waits."""


class Clock(Protocol):
    """Time, from outside."""

    def time(self) -> float:
        """Unix time, seconds."""


class Threads(Protocol):
    """Where blocking work goes."""

    def run(self, function: Callable[..., T], *arguments: Any) -> Awaitable[T]:
        """The function's result, from another thread. Cancelling leaves the function running."""


class Resolver(Protocol):
    """Asks the name server. Never raises: trouble is an answer of status TEMPORARY."""

    async def lookup(self, name: str, record_type: RecordType) -> Answer:
        """:param name: A-labels; for PTR the name under in-addr.arpa or ip6.arpa."""
