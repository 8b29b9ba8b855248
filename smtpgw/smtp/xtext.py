"""
The encodings of values in SMTP parameters: xtext (RFC 3461 section 4) and that of non-ASCII addresses (RFC 6533
section 3).

Decoding is strict: what is not exactly of the form gives ``None``, and nothing is ever given out that holds a control
character, a line separator or half a surrogate. So a decoded value can't put a line into a header or a report.
"""

import re

_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")
_HEX_PAIR = re.compile(r"\+([0-9A-F]{2})")
_ENCODED = re.compile(r"[^!-*,-<>-~]")
_PRINTABLE = re.compile(r"[ -~]*\Z")

_UNICODE = re.compile(r"(?:[!-*,-<>-\[\]-~\u00a0-\U0010ffff]|\\x\{[0-9A-F]{2,6}\})+\Z")
_CODE_POINT = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_NEEDS_CODE_POINT = re.compile(r"[^!-*,-<>-\[\]-~]")
_NEEDS_CODE_POINT_UTF8 = re.compile(r"[^!-*,-<>-\[\]-~\u00a0-\U0010ffff]")
_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9!#$%&'*/?^_`{|}~.\-]+\Z")
"""An atom (RFC 5322), with the dot, without what xtext would encode."""

UNICODE_TYPE = "utf-8"
"""The address type of RFC 6533."""


def encode_xtext(text: str) -> bytes:
    r"""
    Any text as xtext. Characters beyond ASCII are written as RFC 6533 does, ``\x{FC}``: xtext itself has none.

    For an ORCPT use ``encode_original``, which knows what its address type asks for.
    """
    return _ENCODED.sub(_escape, text).encode("ascii")


def decode_xtext(value: str | bytes) -> str | None:
    """The text: printable ASCII, spaces included. ``None`` when this is not xtext, or not of printable ASCII."""
    if isinstance(value, bytes):
        if not value.isascii():
            return None
        value = value.decode("ascii")
    if not _XTEXT.match(value):
        return None
    text = _HEX_PAIR.sub(lambda match: chr(int(match.group(1), 16)), value) if "+" in value else value
    return text if _PRINTABLE.match(text) else None


def encode_original(original: str, smtputf8: bool = False) -> bytes:
    """
    The value of ORCPT for ``Recipient.original`` (``type;address``).

    :param smtputf8: the transaction has SMTPUTF8; a non-ASCII address then goes as it is.
    """
    kind, _, address = original.partition(";")
    if kind.lower() != UNICODE_TYPE:
        return kind.encode("ascii", "replace") + b";" + encode_xtext(address)
    needs = _NEEDS_CODE_POINT_UTF8 if smtputf8 else _NEEDS_CODE_POINT
    return f"{kind};{needs.sub(_code_point, address)}".encode("utf-8", "replace")


def decode_original(value: str, smtputf8: bool = False) -> str | None:
    """
    ``Recipient.original`` for the value of ORCPT; ``None`` when it is no such value.

    :param smtputf8: the transaction has SMTPUTF8; only then it may have characters beyond ASCII.
    """
    kind, separator, encoded = value.partition(";")
    if not separator or not encoded or not _ADDRESS_TYPE.match(kind):
        return None
    address = decode_xtext(encoded) if kind.lower() != UNICODE_TYPE else _decode_unicode(encoded, smtputf8)
    return None if address is None else f"{kind};{address}"


def _decode_unicode(value: str, smtputf8: bool) -> str | None:
    if not _UNICODE.match(value) or not (smtputf8 or value.isascii()):
        return None
    points = [int(digits, 16) for digits in _CODE_POINT.findall(value)]
    if any(point > 0x10FFFF for point in points):
        return None
    text = _CODE_POINT.sub(lambda match: chr(int(match.group(1), 16)), value)
    return None if _NOT_SHOWN.search(text) else text


def _escape(match: re.Match[str]) -> str:
    point = ord(match.group())
    return f"+{point:02X}" if point < 0x80 else _code_point(match)


def _code_point(match: re.Match[str]) -> str:
    return f"\\x{{{ord(match.group()):02X}}}"
