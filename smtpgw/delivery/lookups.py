"""
Who may ask for names now.

Names that nobody answers hold a question for seconds. So that they never keep the mail of others waiting, domains that
were in trouble the last time share a part of the places, and some are kept for domains whose hosts have been known.
"""

from collections import deque

from smtpgw.delivery.destinations import Destination

_TROUBLED_SHARE = 0.25
_KNOWN_SHARE = 0.1


class LookupLine:
    """Places for questions, and the lines before them, each in the order of coming."""

    def __init__(self, places: int) -> None:
        """:param places: most questions at a time."""
        self._places = places
        self._most_troubled = max(1, int(places * _TROUBLED_SHARE))
        self._most_unknown = max(1, places - int(places * _KNOWN_SHARE))
        self._asking: dict[Destination, bool] = {}
        self._troubled = 0
        self._known: deque[Destination] = deque()
        self._unknown: deque[Destination] = deque()
        self._waiting_troubled: deque[Destination] = deque()

    def enter(self, destination: Destination) -> bool:
        """:returns: whether it may ask now; otherwise it is in line, and ``leave`` hands it out."""
        if self._has_place(destination):
            self._ask(destination)
            return True
        self._line(destination).append(destination)
        return False

    def leave(self, destination: Destination) -> list[Destination]:
        """
        A question was answered.

        :returns: who may ask now.
        """
        if self._asking.pop(destination):
            self._troubled -= 1
        admitted = []
        for line in (self._known, self._unknown, self._waiting_troubled):
            while line and self._has_place(line[0]):
                next_one = line.popleft()
                self._ask(next_one)
                admitted.append(next_one)
        return admitted

    def _ask(self, destination: Destination) -> None:
        is_troubled = destination.failures > 0
        self._asking[destination] = is_troubled
        self._troubled += is_troubled

    def _line(self, destination: Destination) -> deque[Destination]:
        if destination.failures:
            return self._waiting_troubled
        return self._unknown if destination.site is None else self._known

    def _has_place(self, destination: Destination) -> bool:
        asking = len(self._asking)
        if destination.failures:
            return self._troubled < self._most_troubled and asking < self._most_unknown
        return asking < (self._most_unknown if destination.site is None else self._places)
