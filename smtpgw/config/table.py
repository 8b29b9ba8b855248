"""Reads one table of a configuration key by key, and collects everything that is wrong with it."""

from collections.abc import Callable, Mapping
from typing import TypeVar

from smtpgw.config.durations import show
from smtpgw.config.errors import ConfigError, nearest
from smtpgw.config.position import Path
from smtpgw.config.source import Document

T = TypeVar("T")

NOT_AVAILABLE = "not available in this version"

Read = Callable[[object], T]
"""Checks and converts one raw value. Raises ValueError with a text for the user."""


class Table:
    """
    One table. What nobody has asked for when it is closed is unknown.

    :ivar errors: shared by all tables of a document.
    :ivar asked: paths of the keys that were asked for, without indexes, sections not among them; shared likewise.
    """

    def __init__(self, document: Document, errors: list[ConfigError], asked: set[str], path: Path = ()) -> None:
        self._document = document
        self._path = path
        self._known: list[str] = []
        self._later: frozenset[str] = frozenset()
        self.errors = errors
        self.asked = asked
        self._values: Mapping[str, object] = document.values if not path else {}

    def __contains__(self, key: str) -> bool:
        """Whether the key is there, right or wrong."""
        return key in self._values

    def is_empty(self, key: str) -> bool:
        """Whether the key is there and says that there is none."""
        return self._values.get(key) == []

    def is_table(self, key: str) -> bool:
        """Whether the key is there, with a table. For a key that may be a plain value, too."""
        return self._ask(key) and isinstance(self._values[key], dict)

    def is_array(self, key: str) -> bool:
        """Whether the key is there, with a list."""
        return isinstance(self._values.get(key), list)

    def __enter__(self) -> "Table":
        """Closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def error(self, key: str, text: str) -> None:
        """Something is wrong with a key; an empty key means the table itself."""
        self.errors.append(self._document.error((*self._path, key) if key else self._path, text))

    def later(self, *keys: str) -> None:
        """Keys of the contract that are not built yet."""
        self._later = frozenset(keys)

    def one(self, key: str, read: Read[T], default: T) -> T:
        """The value, or the default when it is missing or wrong."""
        if not self._ask(key):
            return default
        value = self._read((*self._path, key), self._values[key], read)
        return default if value is None else value

    def needed(self, key: str, read: Read[T], instead: T) -> T:
        """
        A value that must be there.

        :param instead: what the reading goes on with after an error.
        """
        if not self._ask(key):
            self.error(key, "is missing")
            return instead
        return self.one(key, read, instead)

    def many(self, key: str, read: Read[T], default: tuple[T, ...], *, empty: str = "") -> tuple[T, ...]:
        """
        The values of an array, each read by itself.

        :param empty: what is wrong with an empty one; nothing when this is empty itself.
        """
        if not self._ask(key):
            return default
        values = self._values[key]
        if not isinstance(values, list):
            self.error(key, f"{show(values)} is not an array")
            return default
        if empty and not values:
            self.error(key, empty)
        found = (self._read((*self._path, key, index), value, read) for index, value in enumerate(values))
        return tuple(value for value in found if value is not None)

    def each(
        self, key: str, read: Read[T], read_table: "Callable[[Table], T | None]", default: tuple[T, ...]
    ) -> tuple[T, ...]:
        """
        The elements of an array in which a value is short for a table.

        :param read_table: closes the table it gets; ``None`` when that has no use.
        """
        if not self._ask(key):
            return default
        values = self._values[key]
        if not isinstance(values, list):
            self.error(key, f"{show(values)} is not an array")
            return default
        found = []
        for index, value in enumerate(values):
            path = (*self._path, key, index)
            if isinstance(value, dict):
                inner = Table(self._document, self.errors, self.asked, path)
                inner._fill(value)
                found.append(read_table(inner))
            else:
                found.append(self._read(path, value, read))
        return tuple(value for value in found if value is not None)

    def table(self, key: str) -> "Table":
        """The table of that name; an empty one when it is missing or wrong."""
        inner = Table(self._document, self.errors, self.asked, (*self._path, key))
        if self._look(key):
            inner._fill(self._values[key])
        return inner

    def tables(self, key: str) -> "list[Table]":
        """The tables of an array of tables."""
        if not self._look(key):
            return []
        values = self._values[key]
        if not isinstance(values, list):
            name = ".".join([*(part for part in self._path if isinstance(part, str)), key])
            self.error(key, f"is written with two brackets, [[{name}]], for there may be several")
            return []
        found = []
        for index, value in enumerate(values):
            inner = Table(self._document, self.errors, self.asked, (*self._path, key, index))
            if inner._fill(value):
                found.append(inner)
        return found

    def _fill(self, value: object) -> bool:
        if isinstance(value, dict):
            self._values = value
            return True
        # The value is not shown: it may be a password that was written in the place of a [[user]].
        self.error("", "is not a table")
        return False

    def _ask(self, key: str) -> bool:
        self.asked.add(".".join([*(part for part in self._path if isinstance(part, str)), key]))
        return self._look(key)

    def _look(self, key: str) -> bool:
        if key not in self._known:
            self._known.append(key)
        return key in self._values

    def _read(self, path: Path, value: object, read: Read[T]) -> T | None:
        try:
            return read(value)
        except ValueError as error:
            raw = self._document.raw(path)
            if raw is not None and not isinstance(value, str):
                # A variable has no quotes to tell "1.2" from 1.2: try what the text was, too.
                try:
                    return read(raw)
                except ValueError:
                    pass
            self.errors.append(self._document.error(path, str(error)))
            return None

    def _close(self) -> None:
        for key in self._values:
            if key in self._known:
                continue
            if key in self._later:
                self.error(key, NOT_AVAILABLE)
            else:
                self.error(key, f"unknown key{nearest(key, self._known)}")
