"""
What a SASL mechanism is: octets of the client go in, and out comes what to ask it next, or whom it claims to be.

A mechanism neither waits nor knows accounts. Whether a password or a token is right, somebody else finds out; what the
mechanism can prove by itself, it says as :class:`Proven`. No input makes it raise.
"""

from msgspec import Struct

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.saslprep import prepared

MAX_NAME_OCTETS = 255
"""RFC 4616 section 2 wants that many to be taken."""

MAX_PASSWORD_OCTETS = 1024
MAX_RESPONSE_OCTETS = 9216
"""What fits into the longest line of an exchange (RFC 4954 section 4: 12288 octets of base64)."""


class PasswordClaim(Struct, frozen=True, gc=False):
    """Let in whoever has this password. Both are prepared; the name is not empty."""

    name: str
    password: str


class TokenClaim(Struct, frozen=True, gc=False):
    """
    Let in whoever has this OAuth token.

    :ivar name: whom the client wants to be; empty when it left that to the token.
    """

    name: str
    token: str


class Proven(Struct, frozen=True, gc=False):
    """The client is this account's owner."""

    name: str


class Rejected(Struct, frozen=True, gc=False):
    """
    The client is not, or may not be, who it claims to be.

    :ivar name: whom it claims to be; empty when that was never said.
    :ivar cause: for the log.
    """

    name: str
    cause: str


class Malformed(Struct, frozen=True, gc=False):
    """The response makes no sense. :ivar cause: for the log."""

    cause: str


SaslStep = Challenge | PasswordClaim | TokenClaim | Proven | Rejected | Malformed

FINISHED = Malformed("a response to no challenge")
TOO_LONG = Malformed("response too long")
EMPTY_CHALLENGE = Challenge(b"")


class Mechanism:
    """Base of the mechanisms. One exchange each."""

    def begin(self, initial: bytes | None) -> SaslStep:
        """
        Take the initial response, or ask for it.

        :param initial: decoded; ``None`` when there was none.
        """
        return EMPTY_CHALLENGE if initial is None else self.respond(initial)

    def respond(self, response: bytes) -> SaslStep:
        """Take the response to the last challenge."""
        raise NotImplementedError

    def claim_failed(self) -> Challenge | None:
        """
        The claim that was made turned out to be false.

        :returns: what the client must respond to before it hears the reply; the mechanism then answers Rejected.
        """
        return None


def prepared_name(octets: bytes) -> str | None:
    """A name from the wire; ``None`` when it is none."""
    return _prepared(octets, MAX_NAME_OCTETS)


def prepared_password(octets: bytes) -> str | None:
    """A password from the wire; ``None`` when it is none."""
    return _prepared(octets, MAX_PASSWORD_OCTETS)


def _prepared(octets: bytes, most: int) -> str | None:
    if not 0 < len(octets) <= most:
        return None
    try:
        return prepared(octets.decode("utf-8")) or None
    except ValueError:
        return None
