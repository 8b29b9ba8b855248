r"""
Makes text from outside safe to show in logs, header fields and notifications.

Letters of every script stay readable. Control and format characters (line ends, ESC, NUL, bidirectional overrides, zero
width ones), lone surrogates and unassigned code points become ``\n``, ``\x1b``, ``\u202e``. It is for reading, not for
reading back: a backslash that was there stays as it is.
"""

_CUT = "..."

_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str, limit: int) -> str:
    """
    On one line, harmless, at most ``limit`` characters long.

    What is too long ends in three dots, never inside an escape.
    """
    # isprintable is false for exactly the categories to escape, and for spaces other than the common one.
    if len(text) <= limit and text.isprintable():
        return text
    return _escape(text, limit, is_ascii=False)


def printable_ascii(text: str, limit: int) -> str:
    """Likewise, with everything beyond ASCII escaped too."""
    if len(text) <= limit and text.isascii() and text.isprintable():
        return text
    return _escape(text, limit, is_ascii=True)


def _escape(text: str, limit: int, *, is_ascii: bool) -> str:
    pieces: list[str] = []
    room = limit
    fits = 0  # pieces that leave room for the dots
    for character in text[: limit + 1]:
        if character.isprintable() and (not is_ascii or character.isascii()):
            piece = character
        else:
            piece = _SHORT.get(character) or _numbered(ord(character))
        room -= len(piece)
        if room < 0:
            break
        pieces.append(piece)
        if room >= len(_CUT):
            fits = len(pieces)
    else:
        return "".join(pieces)
    return ("".join(pieces[:fits]) + _CUT)[:limit]


def _numbered(number: int) -> str:
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
