"""Brings answers from the threads of a spool into the reactor's thread: one call for each batch."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

CallInReactor = Callable[[Callable[[], None]], None]
"""Runs a function in the reactor's thread, soon and once; called from any thread."""

Answer = tuple[Callable[[Any], None], Any]
"""Whom to call, and with what."""


class Answers:
    """Gives answers in the order of posting."""

    def __init__(self, call_in_reactor: CallInReactor) -> None:
        self._call_in_reactor = call_in_reactor

    def post(self, answers: Iterable[Answer]) -> None:
        """Have each called in the reactor's thread; from any thread."""
        self._call_in_reactor(partial(self._give, iter(answers)))

    def _give(self, answers: Iterator[Answer]) -> None:
        try:
            for done, value in answers:
                done(value)
        except BaseException:
            # One caller's mistake is shown, but the others of the batch must get their answer.
            self._call_in_reactor(partial(self._give, answers))
            raise
