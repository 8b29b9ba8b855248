"""
Whether the name that a client gives itself can be its own.

RFC 5321 section 4.1.4 forbids to refuse a message because the name does not lead to the client's address, so no name
server is asked, and real mail servers whose name nobody knows are never refused. What is refused here can't be right
whatever the name server says: our own name, a word that is no domain name, an address that is not the client's. An
address literal of ours is one that is not the client's.

Asked at MAIL: until then a client may still log in. Postmaster gets nothing from such clients either.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from smtpgw.model.domains import canonical_domain
from smtpgw.model.envelope import Client, MailFrom
from smtpgw.model.network import plain_address
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Accept, Refuse, Verdict

# Underscores are no letters of host names, but real mail servers have them.
_LABEL = r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)"
_FULL_NAME = re.compile(rf"(?:{_LABEL}\.)+(?![0-9]+\Z)(?:{_LABEL})\Z")

_NOBODY = frozenset(["localhost.localdomain", "localhost.local"])
"""Written like domain names, and the name of every machine that nobody has named."""

_MAX_NAME = 253


class Helo:
    """Refuses, or notes, a HELO or EHLO that can't be true: 550 5.7.1."""

    name = "helo"

    def __init__(self, own_names: frozenset[str], *, enforces: bool) -> None:
        """
        :param own_names: of this host, in any case.
        :param enforces: refuse; otherwise it is only noted.
        """
        self._own_names = frozenset(map(canonical_domain, own_names))
        self._enforces = enforces

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict:
        """See the class."""
        fault = self._fault(client)
        if not fault:
            return ACCEPT
        if not self._enforces:
            return Accept((f"{self.name}: {fault}",))
        return Refuse(reply(550, "5.7.1", f"HELO refused: {fault}"), self.name)

    def _fault(self, client: Client) -> str:
        """What is wrong with it; nothing that the peer sent is in it."""
        name = client.helo
        if name.startswith("["):
            address = _literal(name)
            if address is None:
                return "not an address literal"
            own = plain_address(client.address)
            return "" if own is None or address == own else "the address literal is not your address"
        if plain_address(name) is not None:
            return "an address is not a name; it belongs into brackets"
        name = name.lower().removesuffix(".")
        if name in self._own_names:
            return "that is the name of this host"
        if len(name) > _MAX_NAME or name in _NOBODY or not _FULL_NAME.match(name):
            return "not a fully qualified domain name"
        return ""


def _literal(text: str) -> IPv4Address | IPv6Address | None:
    """An address literal (RFC 5321 section 4.1.3), mapped ones made plain."""
    inside = text[1:-1]
    try:
        if inside[:5].lower() == "ipv6:":
            address = IPv6Address(inside[5:])
            return address.ipv4_mapped or address
        return IPv4Address(inside)
    except AddressValueError:
        return None
