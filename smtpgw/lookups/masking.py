"""URLs and troubles as they may be shown: without passwords, on one line."""

import re
from urllib.parse import unquote

_USERINFO = re.compile(r"(?<=//)[^{]*@")
"""Up to the last @ before a placeholder: a password with marks in it that should have been encoded is hidden, too."""

_PASSWORD = re.compile(r"\b((?:ssl)?password=)[^&\s]*", re.IGNORECASE)
_LONGEST = 300


def masked_url(url: str) -> str:
    """The URL for people; who logs in and with which password is left out."""
    return one_line(_PASSWORD.sub(r"\1***", _USERINFO.sub("***@", url)))


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """A text of another program, with every secret in it replaced, as it is and as it is written in a URL."""
    for secret in secrets:
        for form in {secret, unquote(secret)} - {""}:
            text = text.replace(form, "***")
    return one_line(text)


def one_line(text: str) -> str:
    """Without line ends and control characters, and bounded."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: _LONGEST * 10]).split())
    return words if len(words) <= _LONGEST else words[: _LONGEST - 3] + "..."
