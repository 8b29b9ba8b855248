"""The trace header that we put before every message (RFC 5321 section 4.4)."""

import re
from email.utils import formatdate

from smtpgw.model.envelope import Client, Envelope
from smtpgw.model.queue_id import queue_id_text

_UNSAFE = re.compile(r"[^A-Za-z0-9._:\[\]-]")
"""In a name from the peer: whatever could end a word, a comment or a line of the header."""


class TraceHeader:
    """Writes Received fields for one host; the date is made once a second."""

    __slots__ = ("_date", "_hostname", "_second")

    def __init__(self, hostname: str) -> None:
        self._hostname = hostname
        self._second = -1
        self._date = ""

    def received(self, client: Client, envelope: Envelope, queue_id: int, now: float) -> bytes:
        """
        A Received field with its CR LF.

        The recipient is named only when there is one: several would tell each of the others (section 7.2).
        """
        second = int(now)
        if second != self._second:
            self._second = second
            self._date = formatdate(second, localtime=False, usegmt=False).replace("-0000", "+0000")
        origin = ""
        if client.address:
            literal = f"[IPv6:{client.address}]" if ":" in client.address else f"[{client.address}]"
            helo = _UNSAFE.sub("?", client.helo) or "unknown"
            name = f"{_UNSAFE.sub('?', client.name)} " if client.name else ""
            origin = f"from {helo} ({name}{literal})\r\n\t"
        tls = client.tls
        secured = f"(using {tls.version} with cipher {tls.cipher})\r\n\t" if tls is not None else ""
        recipients = envelope.recipients
        addressee = ""
        if len(recipients) == 1:
            mailbox = recipients[0].mailbox
            if mailbox.is_ascii or envelope.smtputf8:
                addressee = f"\r\n\tfor <{mailbox}>"
        return (
            f"Received: {origin}{secured}by {self._hostname} (smtpgw) with {client.protocol}"
            f" id {queue_id_text(queue_id)}{addressee};\r\n\t{self._date}\r\n"
        ).encode("utf-8", "replace")
