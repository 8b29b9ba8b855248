"""
``{local}``, ``{domain}`` and ``{tag}`` in the path of a sink, filled in from an address that a stranger chose.

Nothing is escaped: a value that could leave its place is refused, so that two addresses never share a mailbox by
accident of escaping, and nobody needs to know a scheme to find one. Refused are: ``/`` and control characters anywhere,
a dot at the beginning (``.``, ``..``, and the hidden folders of Maildir++), an empty local part, and what makes a name
of more than 255 octets. The local part is in lower case: mailboxes here do not tell ``Alice`` from ``alice``.
"""

import re
from pathlib import Path

from smtpgw.model.address import Mailbox

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_NAMES = frozenset(["local", "domain", "tag"])
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/]|\A\.")
_NAME_OCTETS = 255
_PATH_OCTETS = 4000


class Unsafe(ValueError):
    """The address can't be made into a path."""


class PathPattern:
    """A path with placeholders. A relative one starts where the process was when the pattern was made."""

    def __init__(self, pattern: str, subaddress: str = "+") -> None:
        """
        :param subaddress: between the local part and its tag; empty when there are no tags.
        :raises ValueError: when the pattern is empty, or has another placeholder or a lone brace.
        """
        if not pattern or "\x00" in pattern:
            raise ValueError("the path is empty, or has a NUL in it")
        names = set(_PLACEHOLDER.findall(pattern))
        if not names <= _NAMES or re.search(r"[{}]", _PLACEHOLDER.sub("", pattern)):
            raise ValueError(f"{pattern}: the placeholders are {{local}}, {{domain}} and {{tag}}")
        self._pattern = str(Path(pattern).absolute())
        self._subaddress = subaddress

    def path(self, mailbox: Mailbox) -> Path:
        """
        Where mail for this mailbox goes.

        :raises Unsafe: when the address has something in it that can't be part of a path.
        """
        local, tag = split_subaddress(mailbox.local, self._subaddress)
        values = {"local": local.lower(), "domain": mailbox.domain.lower(), "tag": tag.lower()}
        text = _PLACEHOLDER.sub(lambda found: _safe(found[1], values[found[1]]), self._pattern)
        try:
            octets = text.encode()
        except UnicodeEncodeError:
            raise Unsafe("the address is not Unicode") from None
        if len(octets) > _PATH_OCTETS or any(len(name) > _NAME_OCTETS for name in octets.split(b"/")):
            raise Unsafe("the address is too long for a path")
        return Path(text)


def split_subaddress(local: str, separator: str) -> tuple[str, str]:
    """
    The local part without its tag, and the tag (RFC 5233); an empty one where there is none.

    A separator at the very beginning separates nothing.
    """
    if separator:
        before, found, tag = local.partition(separator)
        if found and before:
            return before, tag
    return local, ""


def _safe(name: str, value: str) -> str:
    if not value and name != "tag":
        raise Unsafe(f"the {name} part is empty")
    if _UNSAFE.search(value):
        raise Unsafe(f"the {name} part can't be part of a path")
    return value
