"""
One spelling for names and passwords that people take for the same (SASLprep, RFC 4013).

Code points that Unicode 3.2 did not have are left as they are, in records too: RFC 4013 forbids them there, which would
forbid every newer script and sign in a password. Both sides do the same, so they compare.
"""

import stringprep
import unicodedata

_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
"""RFC 4013 section 2.3."""


def prepared(text: str) -> str:
    """
    The text in its one spelling; may be empty when the text is not.

    :raises ValueError: when it has characters that no name or password may have, control characters above all.
    """
    if text.isascii():
        if text.isprintable():
            return text
        raise ValueError("control character")
    mapped = "".join(
        " " if stringprep.in_table_c12(c) else c for c in text if c == " " or not stringprep.in_table_b1(c)
    )
    normal = unicodedata.ucd_3_2_0.normalize("NFKC", mapped)
    for character in normal:
        if any(is_prohibited(character) for is_prohibited in _PROHIBITED):
            raise ValueError("prohibited character")
    _check_directions(normal)
    return normal


def _check_directions(text: str) -> None:
    """RFC 3454 section 6."""
    if not any(map(stringprep.in_table_d1, text)):
        return
    if any(map(stringprep.in_table_d2, text)):
        raise ValueError("characters of both directions")
    if not (stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])):
        raise ValueError("text from right to left must begin and end so")
