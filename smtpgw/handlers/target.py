"""What ``package.module:name`` names, loaded."""

from collections.abc import Callable
from importlib import import_module
from typing import Any


class TargetError(ValueError):
    """A target names nothing of use. The text says what is wrong, for whoever wrote the target."""


def load_target(target: str) -> Callable[..., Any]:
    """
    What ``package.module:name`` names, ``name`` with dots inside it for attributes.

    Imports the module, so it runs the user's code: at start-up only.

    :raises TargetError: with one line that says what is wrong; also when it can't be called.
    """
    module_name, separator, path = target.partition(":")
    names = path.split(".")
    if not (separator and all(map(str.isidentifier, names)) and all(map(str.isidentifier, module_name.split(".")))):
        raise TargetError(f"{target!r} is not of the form package.module:name")
    try:
        found: object = import_module(module_name)
    except ModuleNotFoundError as missing:
        if missing.name and (module_name == missing.name or module_name.startswith(f"{missing.name}.")):
            raise TargetError(f"there is no module {missing.name!r}") from missing
        raise TargetError(f"importing {module_name!r} failed: {missing}") from missing
    except (Exception, SystemExit) as broken:  # whatever a user's module raises belongs into one clear line
        raise TargetError(f"importing {module_name!r} failed: {type(broken).__name__}: {broken}") from broken
    for name in names:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise TargetError(f"{module_name!r} has no {path!r}") from None
    if not callable(found):
        raise TargetError(f"{target!r} can't be called")
    return found
