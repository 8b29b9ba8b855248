"""When to try again: one schedule for recipients whose delivery was delayed and for hosts that can't be reached."""

from random import Random

from msgspec import Struct


class RetrySchedule(Struct, frozen=True):
    """
    Waits that grow (``[delivery] retry``).

    :ivar delays_seconds: the wait after the first attempt, after the second, and so on; the last one repeats.
    :ivar jitter: every wait is made longer by up to this part of itself, so that what failed together doesn't return
        together. Never shorter: a greylister that wants five minutes must not be met a second too early.
    """

    delays_seconds: tuple[float, ...]
    jitter: float = 0.15

    def __post_init__(self) -> None:
        """:raises ValueError: for a schedule that would never or at once try again."""
        if not self.delays_seconds:
            raise ValueError("a retry schedule needs at least one delay")
        if not all(0 < delay < float("inf") for delay in self.delays_seconds):
            raise ValueError("the delays of a retry schedule are positive")
        if not 0 <= self.jitter <= 1:
            raise ValueError("the jitter of a retry schedule is between 0 and 1")

    def after(self, attempts: int, now: float, random: Random) -> float:
        """
        Unix time of the next attempt.

        :param attempts: failed ones so far, 1 after the first.
        """
        delays = self.delays_seconds
        delay = delays[min(max(attempts, 1), len(delays)) - 1]
        return now + delay * (1.0 + self.jitter * random.random())
