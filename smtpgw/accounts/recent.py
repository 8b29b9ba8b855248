"""What is remembered for a while, and bounded: the longest unused goes first."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by key. Putting one makes it the newest, looking does not."""

    def __init__(self, seconds: Callable[[], float], lifetime_seconds: float, most: int) -> None:
        """
        :param seconds: of a clock that never goes back.
        :param most: that are kept at a time.
        """
        self._seconds = seconds
        self._lifetime = lifetime_seconds
        self._most = most
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        """How many are kept, those included that are too old."""
        return len(self._kept)

    def get(self, key: K) -> V | None:
        """``None`` when there is none, or it is too old."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept[0] <= self._seconds():
            del self._kept[key]
            return None
        return kept[1]

    def put(self, key: K, value: V) -> None:
        """Remember it from now on."""
        self._kept[key] = (self._seconds() + self._lifetime, value)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def forget(self, key: K) -> None:
        """If it is there."""
        self._kept.pop(key, None)
