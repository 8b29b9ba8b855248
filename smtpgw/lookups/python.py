"""
Recipients that a user's own function knows: ``python:package.module:name``.

It is called with the address as text, and answers True or False. An ``async def`` runs in the reactor, where it may
await what Twisted can; a plain function runs in a thread and may block. What they raise is trouble, never an answer.
"""

import inspect
from collections.abc import Callable

from msgspec import Struct

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.question import Question
from smtpgw.model.domains import LookupTrouble


class PythonPlace(Struct, frozen=True, tag="python"):
    """:ivar target: ``package.module:name``."""

    target: str


class PythonFunction:
    """A source."""

    def __init__(
        self, function: Callable[[str], object], lane: Lane, cancelled: tuple[type[BaseException], ...]
    ) -> None:
        """:param cancelled: what a cancelled coroutine raises: not the function's own trouble."""
        self._function = function
        self._lane = lane
        self._cancelled: tuple[type[BaseException], ...] = (*cancelled, GeneratorExit)
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 - an object whose call is async
        )

    async def __call__(self, question: Question) -> bool:
        """See :data:`~smtpgw.lookups.question.Source`."""
        if not self._is_async:
            return await self._lane.run(self._ask, question.address)
        try:
            answer = self._function(question.address)
            if inspect.isawaitable(answer):
                answer = await answer
        except self._cancelled:
            raise
        # The user's code may raise anything, sys.exit() among it, and no session is lost by it.
        except BaseException as error:
            raise _trouble(error) from error
        return _answer(answer)

    def _ask(self, address: str) -> bool:
        """In a thread."""
        try:
            answer = self._function(address)
        except BaseException as error:
            raise _trouble(error) from error
        if inspect.iscoroutine(answer):
            answer.close()
        return _answer(answer)


def _trouble(error: BaseException) -> LookupTrouble:
    if isinstance(error, LookupTrouble):
        return error
    return LookupTrouble(f"{type(error).__name__}: {error}")


def _answer(answer: object) -> bool:
    # Not bool(answer): a coroutine that somebody forgot to await, or an error object, would let everything in.
    if not isinstance(answer, bool):
        raise LookupTrouble(f"the function gave {type(answer).__name__}, and neither True nor False")
    return answer
