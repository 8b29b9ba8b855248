"""What a handler raises when it does not take a message."""

import re

_PERMANENT = re.compile(r"5\.[0-9]{1,3}\.[0-9]{1,3}")


class Reject(Exception):
    """
    The message will never be taken: its recipient fails for good and the sender is told.

    :ivar text: told to the sender; one line, no secrets.
    :ivar status: enhanced status (RFC 3463), ``5.x.x``.
    """

    def __init__(self, text: str = "Message refused", status: str = "5.7.1") -> None:
        """:raises ValueError: for a status that is not permanent."""
        if not _PERMANENT.fullmatch(status):
            raise ValueError("the status of a rejection has the form 5.x.x")
        super().__init__(text)
        self.text = text
        self.status = status


class Defer(Exception):
    """
    Not now: the message is kept and handed in again later.

    :ivar text: for the log, and for the sender if it expires.
    :ivar delay_seconds: try again after that long; ``None`` leaves it to the retry schedule.
    """

    def __init__(self, text: str = "Try again later", delay_seconds: float | None = None) -> None:
        """:raises ValueError: for a delay that is negative or not a number."""
        if delay_seconds is not None and not delay_seconds >= 0:
            raise ValueError("the delay of a deferral can't be negative")
        super().__init__(text)
        self.text = text
        self.delay_seconds = delay_seconds
