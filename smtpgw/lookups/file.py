"""
Recipients in a file.

A file has one local part on each line; ``#`` begins a comment. Writing ``alice@example.com`` is understood for the
domain example.com, and the line is passed over for any other, so that several domains may share a file.
"""

from collections.abc import Callable
from pathlib import Path

_LARGEST_FILE_OCTETS = 64 * 2**20
"""A million recipients and more; a device or a runaway file must not fill the memory."""

_CHECK_SECONDS = 5.0


def read_recipients(path: Path, domain: str) -> frozenset[str]:
    """
    The local parts of a file that are of a domain, lower case.

    :param domain: lower case; compared as text.
    :raises OSError: when it can't be read.
    :raises ValueError: when it is not UTF-8, is too large, or a line is no local part; names the line.
    """
    with path.open("rb") as stream:
        content = stream.read(_LARGEST_FILE_OCTETS + 1)
    if len(content) > _LARGEST_FILE_OCTETS:
        raise ValueError(f"{path}: larger than {_LARGEST_FILE_OCTETS} octets")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: not UTF-8 text") from None
    found = set()
    for number, line in enumerate(text.splitlines(), 1):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        local, at, of_domain = entry.rpartition("@")
        if at and of_domain.lower() != domain:
            continue
        try:
            found.add(local_part(local if at else entry).lower())
        except ValueError as error:
            raise ValueError(f"{path}:{number}: {error}") from None
    return frozenset(found)


def local_part(value: object) -> str:
    """
    A local part of an address of ours.

    :raises ValueError: when it can't be one (RFC 5321 section 4.5.3.1.1), or is a whole address.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a recipient is the part of the address before the @, as text")
    if "@" in value:
        raise ValueError(f"{value[:80]!r} is a whole address; only the part before the @ belongs here")
    if len(value.encode("utf-8", "replace")) > 64:
        raise ValueError(f"{value[:20] + '...'!r} is longer than 64 octets")
    if not value.isprintable() or " " in value:
        raise ValueError(f"{value!r} has spaces or control characters")
    return value


class RecipientFile:
    """
    A file of recipients that may change while we run.

    Looks at the file's date at most every five seconds, and reads it again when it is another. While the file is away
    or damaged the last good content stays in force, and ``trouble`` says why.
    """

    def __init__(self, path: Path, domain: str, now: Callable[[], float]) -> None:
        """
        Reads the file: blocks.

        :param now: any clock that does not go back.
        :raises OSError: like :func:`read_recipients`.
        :raises ValueError: like :func:`read_recipients`.
        """
        self._path = path
        self._domain = domain
        self._now = now
        self._stamp = self._file_stamp()
        self._local_parts = read_recipients(path, domain)
        self._checked_at = now()
        self.trouble = ""

    def contains(self, local: str) -> bool:
        """Whether a local part, in any case, is in the file."""
        now = self._now()
        if now - self._checked_at >= _CHECK_SECONDS:
            self._checked_at = now
            self._read_if_changed()
        return local.lower() in self._local_parts

    def _file_stamp(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read_if_changed(self) -> None:
        try:
            stamp = self._file_stamp()
            if stamp != self._stamp:
                self._local_parts = read_recipients(self._path, self._domain)
                self._stamp = stamp
            self.trouble = ""
        except (OSError, ValueError) as error:
            self.trouble = str(error)
