"""Says on a test which sentence of an RFC it proves; ``docs/rfc_support.py`` makes the table from it."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def holds(rfc: str, section: str, promise: str) -> Callable[[T], T]:
    """
    Mark a test method or class. It only marks: the table is made by reading the source, so all three are literals.

    :param rfc: its number.
    :param section: ``4.1.1.2``.
    :param promise: what holds, in one sentence of ours.
    """
    if not (rfc.isdigit() and section and promise):
        raise ValueError("a clause has the number of an RFC, a section and a promise")

    def mark(test: T) -> T:
        return test

    return mark
