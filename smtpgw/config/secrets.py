"""
Secrets of a configuration: written out, in a file, or in a variable of the environment.

No error shows a secret, nor what was written in the place of one: whoever reads the log of a start need not know it.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from smtpgw.config.durations import show
from smtpgw.config.errors import nearest

_LARGEST_FILE_OCTETS = 64 * 1024
_FORMS = 'a text, {file = "..."} or {env = "..."}'
_KEYS = ("file", "env")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def secret(folder: Path, environ: Mapping[str, str]) -> Callable[[object], str]:
    """
    What reads a secret: one line, printable, not empty.

    A file may end in a newline. It is read at once: the secret of a running gateway does not change under it.

    :param folder: what the path of a file is relative to.
    """

    def read(value: object) -> str:
        if isinstance(value, str):
            return _one_line(value, "")
        if not isinstance(value, dict) or len(value) != 1:
            raise ValueError(f"is not {_FORMS}")
        ((key, place),) = value.items()
        if key not in _KEYS:
            raise ValueError(f"is not {_FORMS}{nearest(key, _KEYS)}")
        if not isinstance(place, str) or not place.isprintable() or not place.strip():
            raise ValueError(f"'{key}' is not followed by a text")
        return _from_file(folder, place) if key == "file" else _from_variable(environ, place)

    return read


def _from_file(folder: Path, place: str) -> str:
    try:
        path = folder / Path(place).expanduser()
    except RuntimeError:
        raise ValueError(f"{show(place)}: there is no such home folder") from None
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_FILE_OCTETS + 1)
    except OSError as error:
        raise ValueError(f"{path} can't be read: {error.strerror}") from None
    if len(content) > _LARGEST_FILE_OCTETS:
        raise ValueError(f"{path} is too large for a secret")
    try:
        written = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text") from None
    return _one_line(written.removesuffix("\n").removesuffix("\r"), f"{path}: ")


def _from_variable(environ: Mapping[str, str], name: str) -> str:
    if not _VARIABLE.match(name):
        # Not shown: somebody may have put the secret itself there.
        raise ValueError("'env' is not followed by the name of a variable")
    if name not in environ:
        raise ValueError(f"the environment has no variable {name}")
    return _one_line(environ[name], f"{name}: ")


def _one_line(written: str, place: str) -> str:
    if not written.strip():
        raise ValueError(f"{place}is empty")
    if not written.isprintable():
        raise ValueError(f"{place}is not a text on one line")
    return written
