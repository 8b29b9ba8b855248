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
    return _mark(rfc, section, promise)


def holds_in_part(rfc: str, section: str, clause: str, how: str) -> Callable[[T], T]:
    """
    Mark a test that shows how far a clause is held.

    :param clause: what the RFC says, in one sentence of ours.
    :param how: what holds of it and what does not, and why.
    """
    return _mark(rfc, section, clause, how)


def does_not_hold(rfc: str, section: str, clause: str, why: str) -> Callable[[T], T]:
    """
    Mark a test that shows what happens in the place of what a clause says.

    :param clause: what the RFC says, in one sentence of ours.
    :param why: the reason.
    """
    return _mark(rfc, section, clause, why)


def _mark(rfc: str, *texts: str) -> Callable[[T], T]:
    if not (rfc.isdigit() and all(texts)):
        raise ValueError("a clause has the number of an RFC, a section, and what it says")

    def mark(test: T) -> T:
        return test

    return mark
