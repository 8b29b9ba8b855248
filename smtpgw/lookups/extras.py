"""Libraries that only some gateways need."""

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType


def check_extra(module: str, extra: str) -> None:
    """
    Whether a library is installed; it is not imported.

    :raises ValueError: with the command that installs it.
    """
    if find_spec(module) is None:
        raise ValueError(f"needs the library {module}: pip install 'smtpgw[{extra}]'")


def load_extra(module: str) -> ModuleType:
    """The library, or a part of it."""
    return import_module(module)
