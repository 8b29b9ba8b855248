"""What greylisting remembers."""

from collections.abc import Awaitable, Sequence
from typing import Protocol

from msgspec import Struct

KEY_OCTETS = 16
"""Length of every key."""


class TripletTrouble(Exception):
    """It can't be known now; the text is for the log only."""


class Triplet(Struct, frozen=True, gc=False):
    """
    What is known of a client network, a reverse path and a recipient together; or of a client network alone.

    :ivar first_at: Unix time of the first attempt.
    :ivar last_at: of the last one that counted.
    :ivar passes: of a triplet: whether it has passed, 0 or 1; of a network: how many of its triplets have.
    :ivar expires_at: from then on it is as if it had never been.
    """

    first_at: float
    last_at: float
    passes: int
    expires_at: float


Known = tuple[Triplet | None, ...]
"""One for each key, in their order."""


class Triplets(Protocol):
    """
    Keeps triplets, of a bounded number: those that expire first are dropped first.

    What was put is found by everyone who asks after it, and after a crash but for what was put in its last seconds.
    """

    def get(self, keys: Sequence[bytes]) -> Known | Awaitable[Known]:
        """
        What is known and has not expired. Answers without waiting where it can.

        :raises TripletTrouble: also from the result.
        """

    def put(self, key: bytes, triplet: Triplet) -> None:
        """Remember. Never raises, never waits: what can't be written is kept in memory, as far as that goes."""

    async def close(self) -> None:
        """Finish what was begun. Nothing is asked afterwards."""
