"""What is wrong with a configuration: everything at once, each with its place and the nearest valid name."""

from collections.abc import Iterable, Sequence
from difflib import get_close_matches

from msgspec import Struct

from smtpgw.config.durations import show


class ConfigError(Struct, frozen=True):
    """
    One mistake.

    :ivar file: name of the file as the user gave it; ``environment`` or ``command line`` for what came from there.
    :ivar line: line of the file, from 1; ``None`` when it has none.
    :ivar key: dotted path such as ``listen[0].tls``, the variable's or the option's name; empty for the whole file.
    """

    file: str
    line: int | None
    key: str
    text: str

    def __str__(self) -> str:
        """As compilers write it: ``smtpgw.toml:14: listen[0].tls: ...``."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return ": ".join(part for part in (place, self.key, self.text) if part)


class ConfigErrors(Exception):
    """
    A configuration that can't be used.

    :ivar errors: at least one, in the order of the file.
    """

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(map(str, self.errors)))


def not_one_of(value: object, names: Sequence[str]) -> str:
    """The text of an error about a value that must be one of a few, with the nearest of them."""
    return f"{show(value)} is not one of {', '.join(names)}{nearest(value, names)}"


def nearest(value: object, names: Iterable[str]) -> str:
    """``; did you mean 'x'?``, or nothing when no name comes near."""
    # Between numbers, near means nothing.
    if not isinstance(value, str) or len(value) > 80 or not any(map(str.isalpha, value)):
        return ""
    matches = get_close_matches(value.lower(), list(names), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""
