"""Durations and sizes as people write them in a configuration or on a command line."""

import math
import re

_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd])\s*")
_DURATION_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_SECONDS = 10 * 366 * 86400.0
"""Ten years: what is longer is a slip of the pen, and would overflow a timer somewhere."""

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")
_SIZE_UNITS = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_LARGEST_OCTETS = 2**60


def parse_duration(value: object, longest_seconds: float = _LONGEST_SECONDS) -> float:
    """
    Seconds, from a number of seconds or a text such as ``"90s"``, ``"5m"``, ``"1h 30m"``, ``"5d"``.

    Units go from large to small, each at most once. A text that is only a number counts seconds.

    :raises ValueError: when it is none, or is negative or longer than that.
    """
    seconds = _seconds_of_text(value) if isinstance(value, str) else _number(value)
    if seconds is None:
        raise ValueError(f"{show(value)} is not a duration such as '90s', '5m', '4h' or '5d'")
    if not 0 <= seconds <= longest_seconds:
        longest = "ten years" if longest_seconds == _LONGEST_SECONDS else duration_text(longest_seconds)
        raise ValueError(f"{show(value)} is not between 0 and {longest}")
    return seconds


def parse_size(value: object) -> int:
    """
    Octets, from a number of octets or a text such as ``"25 MiB"``, ``"256 KiB"``, ``"10 MB"``.

    :raises ValueError: when it is none, or is negative, a fraction of an octet or beyond an exbibyte.
    """
    octets: float | None
    if isinstance(value, str):
        match = _SIZE.fullmatch(value.strip()) if value.isascii() else None
        unit = _SIZE_UNITS.get(match[2].lower()) if match else None
        octets = None if match is None or unit is None else float(match[1]) * unit
    else:
        octets = _number(value)
    if octets is None or octets % 1:
        raise ValueError(f"{show(value)} is not a size such as '25 MiB', '256 KiB' or a number of octets")
    if not 0 <= octets <= _LARGEST_OCTETS:
        raise ValueError(f"{show(value)} is not between 0 and {_LARGEST_OCTETS} octets")
    return int(octets)


def duration_text(seconds: float) -> str:
    """For people, in the two largest units: ``4s``, ``2m10s``, ``3h``, ``5d2h``. Negative counts as 0."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return "".join(parts) or "0s"


def size_text(octets: int) -> str:
    """For people, in binary units with at most one decimal: ``512 B``, ``4.2 KiB``, ``25 MiB``."""
    size = float(octets)
    unit, *larger = "B", "KiB", "MiB", "GiB", "TiB"
    while size >= 1000 and larger:
        size /= 1024
        unit = larger.pop(0)
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"


def show(value: object) -> str:
    """A value of a configuration as an error shows it: short, on one line, nothing unprintable."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "an array"
    text = value if isinstance(value, str) else str(value)
    if len(text) > 80:
        text = text[:77] + "..."
    return repr(text) if isinstance(value, str) else text


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return math.inf
    return None if math.isnan(number) else number


def _seconds_of_text(text: str) -> float | None:
    text = text.strip()
    if not text.isascii() or len(text) > 60:
        return None
    if re.fullmatch(r"\d+(?:\.\d+)?", text):
        return float(text)
    seconds = 0.0
    largest = math.inf
    position = 0
    while position < len(text):
        match = _DURATION_PART.match(text, position)
        if match is None or _DURATION_UNITS[match[2]] >= largest:
            return None
        largest = _DURATION_UNITS[match[2]]
        seconds += float(match[1]) * largest
        position = match.end()
    return seconds if position else None
