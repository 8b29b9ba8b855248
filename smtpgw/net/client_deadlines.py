"""
Deadlines of all outgoing connections, with one timer.

A connection that waits only writes down until when; nothing is set up or put off when a reply comes. Once a second
one sweep looks at all of them.
"""

from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

_SWEEP_SECONDS = 1.0
"""How late a deadline may be noticed."""


class Awaiting(Protocol):
    """Something that may wait too long."""

    deadline: float
    """By the reactor's clock; infinite when nothing is awaited."""

    def expire(self) -> None:
        """The deadline has passed."""


class Deadlines:
    """Sweeps while there is anything to sweep."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._awaiting: set[Awaiting] = set()
        self._timer: IDelayedCall | None = None

    def add(self, awaiting: Awaiting) -> None:
        """Watch it until it is discarded."""
        self._awaiting.add(awaiting)
        if self._timer is None:
            self._timer = self._clock.callLater(_SWEEP_SECONDS, self._sweep)

    def discard(self, awaiting: Awaiting) -> None:
        """Watch it no more."""
        self._awaiting.discard(awaiting)
        if not self._awaiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = self._clock.callLater(_SWEEP_SECONDS, self._sweep)
        now = self._clock.seconds()
        for awaiting in [one for one in self._awaiting if one.deadline <= now]:
            awaiting.expire()
