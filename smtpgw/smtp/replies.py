"""
The replies that the server side gives by itself, and how any reply is written on the wire.

What is said at every message is kept as octets. No text here names a path, a setting or anything that the peer sent.
"""

import re
from functools import lru_cache

from smtpgw.model.reply import Reply, reply

_MAX_TEXT_OCTETS = 480
"""A reply line has at most 512 octets, with code, status and CR LF (RFC 5321 section 4.5.3.1.5)."""

_MAX_LINES = 100

_PRINTABLE = re.compile(r"[\x20-\x7e]*\Z")

OK = b"250 2.0.0 Ok\r\n"
MAIL_OK = b"250 2.1.0 Ok\r\n"
RCPT_OK = b"250 2.1.5 Ok\r\n"
START_CONTENT = b"354 End data with <CR><LF>.<CR><LF>\r\n"
START_TLS = b"220 2.0.0 Ready to start TLS\r\n"

BYE = reply(221, "2.0.0", "Bye")
HELP = Reply(
    214,
    "2.0.0",
    ("Commands: HELO EHLO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT", "See RFC 5321"),
)
CANNOT_VERIFY = reply(252, "2.0.0", "Cannot verify the user, but will take mail and try")

TROUBLE = reply(451, "4.3.0", "Requested action aborted: local error in processing")
SHUTTING_DOWN = reply(421, "4.3.2", "Service shutting down, try again later")
TOO_BUSY = reply(421, "4.3.2", "Too many connections, try again later")
TOO_MANY_FROM_CLIENT = reply(421, "4.7.0", "Too many connections from your address")
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors")
TOO_MANY_REFUSED = reply(421, "4.7.0", "Too many recipients were refused")
TOO_MANY_MESSAGES = reply(421, "4.7.0", "Enough messages on this connection, open another one")
TIMED_OUT = reply(421, "4.4.2", "Timed out waiting for you")

SYNTAX_ERROR = reply(500, "5.5.2", "Error: bad syntax")
UNKNOWN_COMMAND = reply(500, "5.5.2", "Command not recognised")
LINE_TOO_LONG = reply(500, "5.5.2", "Line too long")
NOT_IMPLEMENTED = reply(502, "5.5.1", "Command not implemented")
NO_ARGUMENT = reply(501, "5.5.4", "No argument allowed")
ARGUMENT_NEEDED = reply(501, "5.5.4", "Argument needed")
BAD_PARAMETER = reply(501, "5.5.4", "Bad value of a parameter")
REPEATED_PARAMETER = reply(501, "5.5.4", "Parameter given twice")
UNKNOWN_PARAMETER = reply(555, "5.5.4", "Parameter not recognised or not implemented")
BAD_HELO = reply(501, "5.5.4", "The argument is not a domain name or address literal")
FOREIGN_PROTOCOL = reply(421, "4.7.0", "This is a mail server")

HELO_FIRST = reply(503, "5.5.1", "Send EHLO or HELO first")
MAIL_FIRST = reply(503, "5.5.1", "Send MAIL first")
RCPT_FIRST = reply(503, "5.5.1", "Send RCPT first")
NESTED_MAIL = reply(503, "5.5.1", "A transaction is open already")
NO_VALID_RECIPIENTS = reply(554, "5.5.1", "No valid recipients")
EHLO_FIRST = reply(503, "5.5.1", "Send EHLO first")
CHUNKS_UNDER_WAY = reply(503, "5.5.1", "The message is coming by BDAT: send the rest of it, or RSET")
CHUNKS_FAILED = reply(503, "5.5.1", "An earlier chunk of the message was refused")
NOT_IN_TRANSACTION = reply(503, "5.5.1", "Not allowed during a transaction")

TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients")
TOO_LARGE = reply(552, "5.3.4", "Message too large")
BARE_NEWLINE = reply(550, "5.6.11", "Bare CR or LF in the message: lines must end with CR LF")
NUL_IN_CONTENT = reply(550, "5.6.0", "NUL octet in the message")
NEEDS_SMTPUTF8_SENDER = reply(550, "5.6.7", "Non-ASCII address without SMTPUTF8")
NEEDS_SMTPUTF8_RECIPIENT = reply(553, "5.6.7", "Non-ASCII address without SMTPUTF8")

TLS_NEEDED = reply(530, "5.7.0", "Must issue a STARTTLS command first")
TLS_ACTIVE = reply(503, "5.5.1", "TLS is active already")
TLS_NOT_AVAILABLE = reply(502, "5.5.1", "TLS not available")
INPUT_BEHIND_STARTTLS = reply(421, "4.7.0", "Input behind STARTTLS")

AUTH_NEEDED = reply(530, "5.7.0", "Authentication required")
AUTH_ABORTED = reply(501, "5.7.0", "Authentication aborted")
BAD_BASE64 = reply(501, "5.5.2", "Syntax error in parameters or arguments")
AUTHENTICATED = reply(235, "2.7.0", "Authentication successful.")


def encode(answer: Reply) -> bytes:
    """
    The reply as on the wire, CR LF at its end.

    Whatever is not printable ASCII in its text is escaped, so no text can start a line of its own or reach into a
    client's terminal; long text is cut.
    """
    lines = answer.lines
    if len(lines) == 1:
        text = lines[0]
        if not _PRINTABLE.match(text) or len(text) > _MAX_TEXT_OCTETS:
            text = _safe(text)
        if answer.status:
            return f"{answer.code} {answer.status} {text}\r\n".encode("ascii")
        return f"{answer.code} {text}\r\n".encode("ascii")
    status = f"{answer.status} " if answer.status else ""
    kept = [_safe(line) for line in lines[:_MAX_LINES]] or [""]
    last = len(kept) - 1
    return "".join(
        f"{answer.code}{' ' if index == last else '-'}{status}{line}\r\n" for index, line in enumerate(kept)
    ).encode("ascii")


@lru_cache(maxsize=256)
def encode_greeting(lines: tuple[str, ...]) -> bytes:
    """
    The reply to EHLO or HELO as on the wire, kept: the clients of a listener get the same few.

    What they say about themselves must not be in it, lest they fill the memory.
    """
    return encode(Reply(250, "", lines))


def _safe(text: str) -> str:
    """Printable ASCII, bounded."""
    if not _PRINTABLE.match(text):
        escaped = text[:_MAX_TEXT_OCTETS].encode("ascii", "backslashreplace").decode("ascii")
        text = "".join(c if " " <= c <= "~" else f"\\x{ord(c):02x}" for c in escaped)
    return text[:_MAX_TEXT_OCTETS]
