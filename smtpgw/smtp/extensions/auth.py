"""AUTH (RFC 4954): the exchange on the wire. Who may log in is decided outside."""

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import AuthAsked, Event
from smtpgw.smtp.extension import Extension, Facts, MailFields
from smtpgw.smtp.grammar import parse_mailbox, read_base64
from smtpgw.smtp.xtext import decode_xtext

_ALREADY = reply(503, "5.5.1", "Already authenticated")
_NOT_AVAILABLE = reply(502, "5.5.1", "Authentication not available")
_TLS_NEEDED = reply(538, "5.7.11", "Encryption required for authentication")
_UNKNOWN_MECHANISM = reply(504, "5.5.4", "Unrecognised authentication type")

_MAX_MAILBOX = 500
"""Characters, encoded (RFC 4954 section 3)."""


class Auth(Extension):
    """
    Offered while there are mechanisms and nobody has logged in.

    The AUTH parameter of MAIL is read and dropped, which is to take it for ``<>``: nobody is trusted to name another
    one's sender (RFC 4954 section 5).
    """

    keyword = "AUTH"
    mail_parameters = ("AUTH",)
    verbs = ("AUTH",)

    def offer(self, facts: Facts) -> str | None:
        """With the mechanisms."""
        if not facts.mechanisms or facts.is_authenticated:
            return None
        return f"AUTH {' '.join(facts.mechanisms)}"

    def takes_parameters(self, facts: Facts) -> bool:
        """Also of those who have logged in."""
        return bool(facts.mechanisms) or facts.is_authenticated

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """A mailbox in xtext, or ``<>``."""
        if value == "<>":
            return None
        mailbox = decode_xtext(value) if value and len(value) <= _MAX_MAILBOX else None
        if not mailbox or mailbox[0] in " <":
            return replies.BAD_PARAMETER
        try:
            parse_mailbox(mailbox)
        except ValueError:
            return replies.BAD_PARAMETER
        return None

    def command(self, verb: str, argument: bytes, facts: Facts) -> Event | Reply:
        """The first step; the session reads the lines that follow."""
        if facts.is_authenticated:
            return _ALREADY
        if not facts.mechanisms:
            return _TLS_NEEDED if facts.auth_after_tls and not facts.tls_active else _NOT_AVAILABLE
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
