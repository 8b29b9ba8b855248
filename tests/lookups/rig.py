"""What tests of sources share."""

from collections.abc import Awaitable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from smtpgw.net.deadline import ReactorTasks


def tasks(clock: Clock) -> ReactorTasks:
    """The real ones, on a test's clock."""
    return ReactorTasks(clock)


def waited(answer: Awaitable[Any]) -> Deferred[Any]:
    """For ``successResultOf`` and the like."""

    async def wait() -> Any:
        return await answer

    work: Coroutine[Any, Any, Any] = wait()
    return Deferred.fromCoroutine(work)
