"""What an operator would be told."""

from collections.abc import Callable
from typing import Any

from smtpgw.config.errors import ConfigErrors


def mistakes_in(read: Callable[..., Any], *arguments: Any, **options: Any) -> list[str]:
    """The lines that would be printed; empty for a configuration that is right."""
    try:
        read(*arguments, **options)
    except ConfigErrors as errors:
        return [str(error) for error in errors.errors]
    return []
