"""
Python code that a configuration names: loaded before anything is served, so that a slip is told with all the others.

Loading runs the user's code. What it raises, whatever it is, becomes one line.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from smtpgw.sinks.callback import load_callable

_METHODS = ("validateFrom", "validateTo", "receivedHeader")
_LONGEST_TEXT = 300


def add_import_folder(folder: Path) -> None:
    """Code is looked for in this folder, too, after all other places: it shadows nothing."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def target_check(folder: Path) -> Callable[[str], None]:
    """
    What tries whether the target of a ``python:`` can be loaded; it must be an ``async def``.

    It raises ValueError when it can't.

    :param folder: in which the gateway is started: modules are looked for there, too.
    """

    def check(target: str) -> None:
        add_import_folder(folder)
        try:
            load_callable(target)
        except ValueError as trouble:
            raise ValueError(_one_line(str(trouble))) from trouble

    return check


def find_delivery(name: str) -> Any:
    """
    What ``--delivery`` names: a delivery, a class of such, or something that makes one.

    :raises ValueError: when there is no such thing, or it can be seen without a call that it is none.
    """
    if not all(part.isidentifier() for part in name.split(".")) or "." not in name:
        raise ValueError(f"{name[:80]!r} is not a dotted name such as package.module.name")
    from twisted.python.reflect import namedAny  # noqa: PLC0415 - the command does without Twisted

    try:
        found = namedAny(name)
    except (Exception, SystemExit) as trouble:  # whatever their module raises, the user must see it
        raise ValueError(_one_line(f"{name}: {type(trouble).__name__}: {trouble}")) from trouble
    if not _is_delivery(found) and not (_makes_delivery(found) if isinstance(found, type) else callable(found)):
        raise ValueError(_no_delivery(name))
    return found


def make_delivery(name: str) -> Any:
    """
    The delivery that ``--delivery`` names; a class or a function is called without arguments.

    :raises ValueError: when there is none.
    """
    found = find_delivery(name)
    if _is_delivery(found):
        return found
    try:
        made = found()
    except Exception as trouble:
        raise ValueError(_one_line(f"{name}: {type(trouble).__name__}: {trouble}")) from trouble
    if not _is_delivery(made):
        raise ValueError(_no_delivery(name))
    return made


def _interfaces() -> tuple[Any, ...]:
    # Its import installs a reactor: only where somebody names a delivery, when --reactor has been obeyed.
    from twisted.mail.smtp import IMessageDelivery, IMessageDeliveryFactory  # noqa: PLC0415

    return IMessageDelivery, IMessageDeliveryFactory


def _is_delivery(found: object) -> bool:
    if any(interface.providedBy(found) for interface in _interfaces()):
        return True
    return not isinstance(found, type) and all(callable(getattr(found, method, None)) for method in _METHODS)


def _makes_delivery(kind: type) -> bool:
    if any(interface.implementedBy(kind) for interface in _interfaces()):
        return True
    return all(callable(getattr(kind, method, None)) for method in _METHODS)


def _no_delivery(name: str) -> str:
    return f"{name} provides neither IMessageDelivery nor IMessageDeliveryFactory of twisted.mail.smtp"


def _one_line(text: str) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _LONGEST_TEXT else words[: _LONGEST_TEXT - 3] + "..."
