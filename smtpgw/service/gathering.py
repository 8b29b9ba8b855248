"""
One notification for all recipients of a message that fail together, wherever they are.

A message to two hundred domains that don't exist would otherwise be two hundred notifications, to a sender who may be
forged. A step with a failure is kept back, not yet durable, while other recipients of its message are under way, for
some seconds at most. A crash meanwhile costs an attempt that fails once more. A step with a success in it is never kept
back, whatever else it holds and tells: a crash would cost a message that comes twice.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from smtpgw.delivery.lifecycle import Step
from smtpgw.model.message import Entry, SlotState
from smtpgw.service.live import LiveEntry

_GATHER_SECONDS = 10.0
"""As long as names take that nobody answers for; hosts that can't be reached take longer, and get their own report."""

Done = Callable[[LiveEntry, tuple[int, ...]], None]
Batch = list[tuple[Step, Done]]
"""Steps of one message in their order, each with who wants to know when it is durable."""


class _Held:
    __slots__ = ("batch", "live", "timer")

    def __init__(self, live: LiveEntry) -> None:
        self.live = live
        self.batch: Batch = []
        self.timer: IDelayedCall | None = None


class Gathering:
    """Steps of messages, let go together."""

    def __init__(self, reactor: IReactorTime, let_go: Callable[[LiveEntry, Batch], None]) -> None:
        """:param let_go: makes steps durable, with one notification for what failed in them."""
        self._reactor = reactor
        self._let_go = let_go
        self._held: dict[int, _Held] = {}

    def holds(self, queue_id: int) -> bool:
        """Whether a step of a message is kept back."""
        return queue_id in self._held

    def add(self, live: LiveEntry, step: Step, done: Done) -> None:
        """A step; ``live`` has its entry already."""
        queue_id = step.entry.message.queue_id
        is_last = step.finished or not _is_under_way(step.entry, self._reactor.seconds())
        held = self._held.get(queue_id)
        is_kept = bool(step.failed) and not step.is_success
        if held is None and (is_last or not is_kept):
            self._let_go(live, [(step, done)])
            return
        if held is None:
            held = self._held[queue_id] = _Held(live)
            held.timer = self._reactor.callLater(_GATHER_SECONDS, self._release, queue_id)
        elif not (is_kept or is_last):
            self._let_go(live, [(step, done)])
            return
        held.batch.append((step, done))
        if is_last:
            self._release(queue_id)

    def flush(self) -> None:
        """Let everything go."""
        for queue_id in list(self._held):
            self._release(queue_id)

    def _release(self, queue_id: int) -> None:
        held = self._held.pop(queue_id)
        if held.timer is not None and held.timer.active():
            held.timer.cancel()
        self._let_go(held.live, held.batch)


def _is_under_way(entry: Entry, now: float) -> bool:
    """Whether a recipient is due, so that its outcome may come any moment."""
    return any(slot.state is SlotState.QUEUED and slot.due_at <= now for slot in entry.slots)
