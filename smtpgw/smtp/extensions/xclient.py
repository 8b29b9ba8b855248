"""
XCLIENT, as Postfix documents it: a trusted proxy says for whom it speaks.

Whether a client is trusted comes with the facts. Attributes are checked as strictly as if the client had shown them
itself: what is given out is an address, a number, a name, or printable ASCII, never more than the command line holds.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import Event, XclientAsked
from smtpgw.smtp.extension import Extension, Facts
from smtpgw.smtp.grammar import read_helo
from smtpgw.smtp.xtext import decode_xtext

_NOT_ALLOWED = reply(550, "5.7.0", "XCLIENT is not for you")
_UNAVAILABLE = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})

_HOST_NAME = re.compile(r"[A-Za-z0-9_\-]{1,63}(?:\.[A-Za-z0-9_\-]{1,63})*\.?\Z")
_LOGIN = re.compile(r"[!-~](?:[ -~]{0,253}[!-~])?\Z")
_PORT = re.compile(r"[1-9][0-9]{0,4}\Z")


class Xclient(Extension):
    """Offered to those that are trusted; for all others it is no command of theirs."""

    keyword = "XCLIENT"
    verbs = ("XCLIENT",)

    def offer(self, facts: Facts) -> str | None:
        """With the names of the attributes."""
        return f"{self.keyword} {' '.join(_READERS)}" if facts.xclient else None

    def command(self, verb: str, argument: bytes, facts: Facts) -> Event | Reply:
        """All attributes are right, or none is taken."""
        if not facts.xclient:
            return _NOT_ALLOWED
        if facts.in_transaction:
            return replies.NOT_IN_TRANSACTION
        if not argument:
            return replies.ARGUMENT_NEEDED
        attributes: dict[str, str] = {}
        for word in argument.split(b" "):
            name, _, encoded = word.partition(b"=")
            keyword = name.decode("ascii", "replace").upper()
            reader = _READERS.get(keyword)
            value = decode_xtext(encoded)
            if reader is None or not value or keyword in attributes:
                return replies.BAD_PARAMETER
            read = "" if value.upper() in _UNAVAILABLE else reader(value)
            if read is None:
                return replies.BAD_PARAMETER
            attributes[keyword] = read
        return XclientAsked(attributes)


def _name(value: str) -> str | None:
    return value.rstrip(".").lower() if len(value) <= 255 and _HOST_NAME.match(value) else None


def _address(value: str) -> str | None:
    try:
        if value[:5].upper() == "IPV6:":
            return None if "%" in value else str(IPv6Address(value[5:]))
        return str(IPv4Address(value))
    except AddressValueError:
        return None


def _port(value: str) -> str | None:
    return value if _PORT.match(value) and int(value) <= 65535 else None


def _protocol(value: str) -> str | None:
    return value.upper() if value.upper() in {"SMTP", "ESMTP"} else None


def _helo(value: str) -> str | None:
    return read_helo(value.encode("ascii"))


def _login(value: str) -> str | None:
    return value if _LOGIN.match(value) else None


_READERS = {
    "NAME": _name,
    "ADDR": _address,
    "PORT": _port,
    "PROTO": _protocol,
    "HELO": _helo,
    "LOGIN": _login,
    "DESTADDR": _address,
    "DESTPORT": _port,
}
