"""A thread that takes all that waits at once: while it works on one batch, the next gathers by itself."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, Protocol, TypeVar


class Weighed(Protocol):
    """What a lane takes."""

    @property
    def octets(self) -> int:
        """Its share of the octets of a batch."""


Item = TypeVar("Item", bound=Weighed)

_MOST_ITEMS = 500
_MOST_OCTETS = 4 << 20


class Lane(Generic[Item]):
    """
    One thread and what waits for it, in order.

    There is no artificial delay: a lone item is worked on at once. A batch ends at 500 items or 4 MiB.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[Item]], None],
        failed: Callable[[list[Item], Exception], None],
        *,
        idle: Callable[[], None] | None = None,
        patience_seconds: float | None = None,
    ) -> None:
        """
        :param work: called in the thread with each batch, never empty.
        :param failed: called in the thread with a batch whose work raised, which is a mistake of ours.
        :param idle: called in the thread when nothing came for ``patience_seconds``.
        """
        self._waiting: SimpleQueue[Item | None] = SimpleQueue()
        self._work = work
        self._failed = failed
        self._idle = idle
        self._patience_seconds = patience_seconds
        self._finish: Callable[[], None] | None = None
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self.put = self._waiting.put
        """Add an item; from any thread."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, finish: Callable[[], None]) -> None:
        """
        End when all that was put before is worked on.

        :param finish: called in the thread as the last thing it does.
        """
        self._finish = finish
        self._waiting.put(None)

    def _run(self) -> None:
        waiting = self._waiting
        stopping = False
        while not stopping:
            try:
                item = waiting.get(timeout=self._patience_seconds)
            except Empty:
                self._guarded_idle()
                continue
            batch: list[Item] = []
            octets = 0
            try:
                while item is not None:
                    batch.append(item)
                    octets += item.octets
                    if len(batch) >= _MOST_ITEMS or octets >= _MOST_OCTETS:
                        break
                    item = waiting.get_nowait()
                stopping = item is None
            except Empty:
                pass
            if batch:
                try:
                    self._work(batch)
                except Exception as error:  # noqa: BLE001 a dead thread would leave everybody waiting for ever
                    self._failed(batch, error)
        if self._finish is not None:
            self._finish()

    def _guarded_idle(self) -> None:
        if self._idle is None:
            return
        try:
            self._idle()
        except Exception as error:  # noqa: BLE001 as above
            self._failed([], error)
