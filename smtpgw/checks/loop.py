"""Ends mail loops: a message with too many Received fields (RFC 5321 section 6.3)."""

from smtpgw.model.envelope import Client, Envelope
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse, Verdict


class Loop:
    """Refuses what has been through more hosts than a way can have, 554 5.4.6."""

    name = "loop"

    def __init__(self, hops: int) -> None:
        """:param hops: the most Received fields; RFC 5321 section 6.3 wants at least 100."""
        self._hops = hops
        self._refuse = Refuse(reply(554, "5.4.6", "Too many hops, this looks like a mail loop"), self.name)

    def check_content(self, client: Client, envelope: Envelope, header: bytes) -> Verdict:
        """See the class."""
        return self._refuse if received_fields(header) > self._hops else ACCEPT


def received_fields(header: bytes) -> int:
    """How many Received fields a header section has, in any case, also with blanks before the colon."""
    header = b"\r\n" + header.lower()
    return sum(header.count(form) for form in (b"\r\nreceived:", b"\r\nreceived ", b"\r\nreceived\t"))
