"""AUTH (RFC 4954): the exchange on the wire. Who may log in is decided outside."""

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import AuthAsked, Event
from smtpgw.smtp.extension import Extension, Facts
from smtpgw.smtp.grammar import read_base64

_ALREADY = reply(503, "5.5.1", "Already authenticated")
_NOT_AVAILABLE = reply(502, "5.5.1", "Authentication not available")
_UNKNOWN_MECHANISM = reply(504, "5.5.4", "Unrecognised authentication type")


class Auth(Extension):
    """Offered while there are mechanisms and nobody has logged in."""

    keyword = "AUTH"
    verbs = ("AUTH",)

    def offer(self, facts: Facts) -> str | None:
        """With the mechanisms."""
        if not facts.mechanisms or facts.is_authenticated:
            return None
        return f"AUTH {' '.join(facts.mechanisms)}"

    def command(self, verb: str, argument: bytes, facts: Facts) -> Event | Reply:
        """The first step; the session reads the lines that follow."""
        if not facts.mechanisms:
            return _NOT_AVAILABLE
        if facts.is_authenticated:
            return _ALREADY
        if facts.in_transaction:
            return replies.NOT_IN_TRANSACTION
        words = argument.split(b" ")
        if not words[0]:
            return replies.ARGUMENT_NEEDED
        if len(words) > 2:
            return replies.BAD_PARAMETER
        mechanism = words[0].decode("ascii", "replace").upper()
        if mechanism not in facts.mechanisms:
            return _UNKNOWN_MECHANISM
        if len(words) == 1:
            return AuthAsked(mechanism, None)
        # "=" is an initial response of no octets (RFC 4954 section 4).
        initial = b"" if words[1] == b"=" else read_base64(words[1])
        return AuthAsked(mechanism, initial) if initial is not None else replies.BAD_BASE64
