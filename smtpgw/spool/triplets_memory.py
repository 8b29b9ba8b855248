"""What greylisting remembers, in memory: all of it for tests, the latest of it before the file."""

from collections import OrderedDict
from collections.abc import Sequence

from smtpgw.boundaries.triplets import Known, Triplet
from smtpgw.boundaries.world import Clock


class MemoryTriplets:
    """``Triplets`` in :mod:`smtpgw.boundaries.triplets` that forget with the process."""

    def __init__(self, clock: Clock, most: int = 100_000) -> None:
        """:param most: triplets; of more, those that expire first are dropped, a tenth of them at a time."""
        self._clock = clock
        self._most = most
        self._triplets: dict[bytes, Triplet] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._triplets)

    def get(self, keys: Sequence[bytes]) -> Known:
        """See the boundary."""
        now = self._clock.time()
        return tuple(unexpired(self._triplets.get(key), now) for key in keys)

    def put(self, key: bytes, triplet: Triplet) -> None:
        """See the boundary."""
        self._triplets[key] = triplet
        if len(self._triplets) > self._most:
            by_expiry = sorted(self._triplets, key=lambda known: self._triplets[known].expires_at)
            for known in by_expiry[: max(1, self._most // 10)]:
                del self._triplets[known]

    async def close(self) -> None:
        """Nothing to do."""


class LatestTriplets:
    """
    The latest answers about keys, also that there is nothing: so that a file is not asked again and again.

    Those asked for least lately are forgotten first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[bytes, Triplet | None] = OrderedDict()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._known)

    def __contains__(self, key: bytes) -> bool:
        """Whether it is known what there is."""
        return key in self._known

    def find(self, key: bytes) -> Triplet | None:
        """What there is under a key that is contained."""
        self._known.move_to_end(key)
        return self._known[key]

    def learn(self, key: bytes, triplet: Triplet | None) -> None:
        """:param triplet: ``None``: there is nothing."""
        self._known[key] = triplet
        self._known.move_to_end(key)
        if len(self._known) > self._most:
            self._known.popitem(last=False)

    def clear(self) -> None:
        """Forget all."""
        self._known.clear()


def unexpired(triplet: Triplet | None, now: float) -> Triplet | None:
    """The triplet, unless it has expired."""
    return None if triplet is None or triplet.expires_at <= now else triplet
