"""
Where the values of a configuration come from, one layer over the other: the file, the environment, the command line.

Remembers for each value who said it, so that an error names the line, the variable or the option.
"""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from smtpgw.config.errors import ConfigError, ConfigErrors
from smtpgw.config.position import Path, key_lines

PREFIX = "SMTPGW_"
COMMAND_LINE = "command line"
ENVIRONMENT = "environment"

_SYNTAX_PLACE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)\Z")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_MOST_ELEMENTS = 1000
"""Of an array that a variable may add to; more is a slip."""


class Document:
    """
    The raw values, unchecked.

    :ivar values: tables as ``dict``, arrays as ``list``, scalars as tomllib gives them.
    """

    def __init__(self, text: str, name: str) -> None:
        """
        :param name: of the file, as the user gave it.
        :raises ConfigErrors: when the text is not TOML.
        """
        self._name = name
        try:
            self.values: dict[str, object] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigErrors([_syntax_error(str(error), name, text)]) from None
        except RecursionError:
            raise ConfigErrors([ConfigError(name, None, "", "nested too deeply")]) from None
        self._lines = key_lines(text)
        self._said_by: dict[Path, tuple[str, str]] = {}
        self._raw: dict[Path, str] = {}
        self._base_line = None if not text else 1

    def error(self, path: Path, text: str) -> ConfigError:
        """A mistake at a path, or at what is nearest above it."""
        for length in range(len(path), 0, -1):
            said_by = self._said_by.get(path[:length])
            if said_by is not None:
                source, name = said_by
                if source == COMMAND_LINE:
                    # What an option stands for is our business, not its user's.
                    return ConfigError(source, None, name, text)
                return ConfigError(source, None, name + path_text(path[length:], nested=True), text)
            line = self._lines.get(path[:length])
            if line is not None:
                return ConfigError(self._name, line, path_text(path), text)
        for below, (source, name) in self._said_by.items():
            # A variable has made it on the way to its own key.
            if below[: len(path)] == path:
                return ConfigError(source, None, name, text)
        return ConfigError(self._name, self._base_line, path_text(path), text)

    def order(self, error: ConfigError) -> tuple[int, int]:
        """For sorting: the file from top to bottom, then the rest as found."""
        return (0, error.line or 0) if error.file == self._name else (1, 0)

    def raw(self, path: Path) -> str | None:
        """The text of the variable that set a value; ``None`` when none did."""
        return self._raw.get(path)

    def put(self, path: Path, value: object, source: str, name: str, raw: str | None = None) -> None:
        """
        Set a value over what is there.

        :param source: ``ENVIRONMENT`` or ``COMMAND_LINE``.
        :param name: of the variable or option.
        :param raw: the text it was read from.
        :raises LookupError: with a text for the user, when the path leads through something else than tables.
        """
        self.values = _with(self.values, path, 0, value)
        for known in (self._lines, self._said_by, self._raw):
            for old in [old for old in known if old[: len(path)] == path]:
                del known[old]
        self._said_by[path] = (source, name)
        if raw is not None:
            self._raw[path] = raw

    def put_environment(self, environ: Mapping[str, str], top_keys: frozenset[str]) -> list[ConfigError]:
        """
        Set what ``SMTPGW_SECTION__KEY`` variables say; an index stands between double underscores, too.

        A name without a double underscore counts only if it is a key itself, such as ``SMTPGW_HOSTNAME``: container
        platforms put variables of that form into the environment for their own ends.

        :returns: what is wrong with them.
        """
        errors = []
        for name in sorted(environ):
            if not name.startswith(PREFIX):
                continue
            parts = name[len(PREFIX) :].lower().split("__")
            if len(parts) == 1 and parts[0] not in top_keys:
                near = get_close_matches(parts[0], top_keys, n=1, cutoff=0.85)
                if near:
                    text = f"unknown key '{parts[0]}'; did you mean '{PREFIX}{near[0].upper()}'?"
                    errors.append(ConfigError(ENVIRONMENT, None, name, text))
                continue
            path: Path = tuple(int(part) if part.isdecimal() and part.isascii() else part for part in parts)
            if "" in path or isinstance(path[0], int):
                errors.append(ConfigError(ENVIRONMENT, None, name, "is not of the form SMTPGW_SECTION__KEY"))
                continue
            raw = environ[name]
            try:
                self.put(path, _variable_value(raw), ENVIRONMENT, name, raw)
            except LookupError as error:
                errors.append(ConfigError(ENVIRONMENT, None, name, str(error.args[0])))
        return errors


def path_text(path: Path, *, nested: bool = False) -> str:
    """
    ``listen[0].tls``; a key that is not bare is quoted, and escaped.

    :param nested: begin with a dot, to go behind something.
    """
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text or nested else "") + (key if _BARE_KEY.match(key) else _quoted(key))
    return text


def _quoted(key: str) -> str:
    return repr(key if len(key) <= 60 else key[:57] + "...")


def _with(here: Any, path: Path, depth: int, value: object) -> Any:
    """A copy of what is at a depth of a path, with the value put in; the old one stays as it was."""
    if depth == len(path):
        return value
    key = path[depth]
    if isinstance(key, str):
        table = {} if here is None else here
        if not isinstance(table, dict):
            raise LookupError(f"{path_text(path[:depth])} is not a table")  # noqa: TRY004 - a value of the user
        return {**table, key: _with(table.get(key), path, depth + 1, value)}
    array = [] if here is None else here
    if not isinstance(array, list):
        raise LookupError(f"{path_text(path[:depth])} is not an array")  # noqa: TRY004 - likewise
    if key > min(len(array), _MOST_ELEMENTS):
        raise LookupError(_no_such_index(path[:depth], key, len(array)))
    old = array[key] if key < len(array) else None
    return [*array[:key], _with(old, path, depth + 1, value), *array[key + 1 :]]


def _no_such_index(path: Path, index: int, length: int) -> str:
    if length > _MOST_ELEMENTS:
        return f"{path_text(path)}[{index}] is too far behind: a variable may set one of the first {_MOST_ELEMENTS}"
    known = f"the last one is {path_text(path)}[{length - 1}]" if length else "there is none yet"
    return f"there is no {path_text(path)}[{index}]: {known}, {path_text(path)}[{length}] would be new"


def _variable_value(raw: str) -> object:
    """As TOML where it is TOML, else as a bare text: ``5m`` and ``tcp:25`` need no quotes."""
    try:
        values = tomllib.loads(f"value = {raw}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return raw
    value = values["value"]
    if len(values) != 1 or not isinstance(value, str | bool | int | float | list | dict):
        return raw
    return value


def _syntax_error(message: str, name: str, text: str) -> ConfigError:
    match = _SYNTAX_PLACE.search(message)
    line = None
    if match:
        line = int(match[1]) if match[1] else text.count("\n") + (not text.endswith("\n"))
        message = message[: match.start()]
    return ConfigError(name, line, "", f"not valid TOML: {message[:1].lower()}{message[1:]}")
