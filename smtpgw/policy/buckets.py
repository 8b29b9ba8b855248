"""
Rates: how much each of many may have in a minute, in memory that does not grow with how many there are.

A token bucket for each key, kept as one number: the time at which it will be full again. Whoever was not heard of has a
full one, so a key may be forgotten at any time, at the price of what it has used up.
"""

from collections import OrderedDict
from collections.abc import Hashable

_MINUTE = 60.0


class Buckets:
    """So many a minute for each key, all at once or spread out."""

    def __init__(self, per_minute: int, most_keys: int = 100_000) -> None:
        """
        :param per_minute: at least 1.
        :param most_keys: that are remembered; those not heard of for longest are forgotten.
        """
        self._interval = _MINUTE / per_minute
        self._most_keys = most_keys
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are remembered."""
        return len(self._full_at)

    def take(self, key: Hashable, now: float) -> float:
        """
        Take one.

        :param now: Unix time.
        :returns: 0 when there was one; otherwise the seconds until there is, and none was taken.
        """
        full_at = self._full_at.get(key, now)
        if full_at < now:
            full_at = now
        elif full_at > now + _MINUTE:
            # The clock was set back. Nobody waits for longer than it takes to fill an empty bucket.
            full_at = self._full_at[key] = now + _MINUTE
        full_at += self._interval
        wait = full_at - now - _MINUTE
        # What is left of one by rounding counts as one.
        if wait > 1e-6:
            return wait
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most_keys:
            self._full_at.popitem(last=False)
        return 0.0
