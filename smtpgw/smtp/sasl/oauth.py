"""
XOAUTH2 and OAUTHBEARER (RFC 7628): an OAuth token in the place of a password.

Whether a token is good, and whose it is, its check says. A client whose token is refused is told so in a challenge,
answers that with something empty, and only then gets the reply (RFC 7628 section 3.2.3).
"""

import re

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.mechanism import (
    FINISHED,
    MAX_RESPONSE_OCTETS,
    TOO_LONG,
    Malformed,
    Mechanism,
    Rejected,
    SaslStep,
    TokenClaim,
    prepared_name,
)
from smtpgw.smtp.sasl.scram import unescaped_name

_GS2 = re.compile(r"[ny],(?:a=(?P<name>[^,\0\1]{1,1024}))?,\x01")
_PAIR = re.compile(r"(?P<key>[A-Za-z]{1,32})=(?P<value>[\t\r\n -~]*+)\x01")
_BEARER = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)\Z", re.IGNORECASE)
_MAX_PAIRS = 16

_MALFORMED = Malformed("not a message of OAuth")


class _OAuth(Mechanism):
    """What both have in common."""

    _refusal: bytes

    def __init__(self) -> None:
        self._name = ""
        self._is_over = False
        self._is_refused = False

    def respond(self, response: bytes) -> SaslStep:
        """The token; or the response to the news that it was refused."""
        if self._is_refused:
            self._is_refused = False
            return Rejected(self._name, "token refused")
        if self._is_over:
            return FINISHED
        self._is_over = True
        if len(response) > MAX_RESPONSE_OCTETS:
            return TOO_LONG
        try:
            text = response.decode("utf-8")
        except UnicodeDecodeError:
            return _MALFORMED
        pairs = self._read(text)
        if pairs is None:
            return _MALFORMED
        bearer = _BEARER.match(pairs.get("auth", ""))
        if bearer is None:
            # RFC 7628 section 4.3: also how a client asks what would be needed.
            return self.claim_failed()
        return TokenClaim(self._name, bearer["token"])

    def claim_failed(self) -> Challenge:
        """The refusal, in JSON."""
        self._is_refused = True
        return Challenge(self._refusal)

    def _read(self, text: str) -> dict[str, str] | None:
        """Keep the name, and give the pairs."""
        raise NotImplementedError


class OAuthBearer(_OAuth):
    """RFC 7628."""

    _refusal = b'{"status":"invalid_token"}'

    def _read(self, text: str) -> dict[str, str] | None:
        header = _GS2.match(text)
        if header is None:
            return None
        if header["name"] is not None:
            name = unescaped_name(header["name"])
            if name is None:
                return None
            self._name = name
        return _pairs(text, header.end())


class XOAuth2(_OAuth):
    """The older form, of which large providers have published descriptions."""

    _refusal = b'{"status":"401","schemes":"bearer"}'

    def _read(self, text: str) -> dict[str, str] | None:
        if not text.startswith("user="):
            return None
        user, separator, _ = text[5:].partition("\1")
        name = prepared_name(user.encode())
        if not separator or name is None:
            return None
        self._name = name
        return _pairs(text, 6 + len(user))


def _pairs(text: str, at: int) -> dict[str, str] | None:
    """Keys and values from there to the end, where one more separator stands."""
    pairs: dict[str, str] = {}
    while len(pairs) < _MAX_PAIRS:
        found = _PAIR.match(text, at)
        if found is None:
            return pairs if text[at:] == "\1" else None
        if found["key"] in pairs:
            return None
        pairs[found["key"]] = found["value"]
        at = found.end()
    return None
