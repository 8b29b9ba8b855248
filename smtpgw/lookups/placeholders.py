"""Texts with ``{local}``, ``{domain}`` and ``{address}`` in them, filled in with every value escaped."""

import re
from collections.abc import Callable

from msgspec import Struct

from smtpgw.lookups.question import NAMES, Question

_BRACES = re.compile(r"\{([^{}]*)\}|[{}]")


class Template(Struct, frozen=True):
    """:ivar pieces: text and names in turn, text first and last."""

    pieces: tuple[str, ...]

    @property
    def names(self) -> frozenset[str]:
        """The placeholders in it."""
        return frozenset(self.pieces[1::2])

    def fill(self, question: Question, escape: Callable[[str], str]) -> str:
        """The text for a question. A value is never looked into for further placeholders."""
        values = question.values()
        return "".join(escape(values[piece]) if index % 2 else piece for index, piece in enumerate(self.pieces))


def read_template(text: str) -> Template:
    """:raises ValueError: when a brace belongs to no placeholder."""
    pieces = []
    end = 0
    for match in _BRACES.finditer(text):
        if match[1] is None:
            raise ValueError("a brace has no partner")
        if match[1] not in NAMES:
            known = ", ".join(f"{{{name}}}" for name in NAMES)
            raise ValueError(f"{{{match[1][:40]}}} is none of {known}")
        pieces += [text[end : match.start()], match[1]]
        end = match.end()
    return Template((*pieces, text[end:]))
