"""Envelopes (RFC 5321 section 2.3.1) and the client that brought them."""

from enum import Enum

from msgspec import Struct

from smtpgw.model.address import Mailbox, ReversePath


class BodyType(Enum):
    """The BODY parameter of MAIL (RFC 6152)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"


class Recipient(Struct, frozen=True, array_like=True, gc=False):
    """One accepted RCPT. Addresses repeat, so nothing is ever keyed by it."""

    mailbox: Mailbox


class Envelope(Struct, frozen=True, array_like=True):
    """
    Where a message comes from and goes to.

    :ivar recipients: in the order of the RCPT commands.
    """

    reverse_path: ReversePath
    recipients: tuple[Recipient, ...]
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False


class MailFrom(Struct, frozen=True, gc=False):
    """
    A MAIL command, read.

    :ivar size_octets: the SIZE parameter (RFC 1870), ``None`` when it was not given.
    """

    reverse_path: ReversePath
    size_octets: int | None = None
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False


class TlsFacts(Struct, frozen=True, array_like=True, gc=False):
    """
    What is known of a TLS connection.

    :ivar version: as OpenSSL names it, ``TLSv1.3``.
    :ivar verified: the peer's certificate was checked and names the peer.
    """

    version: str
    cipher: str
    verified: bool = False


class Client(Struct, frozen=True, array_like=True):
    """
    Who handed the message in.

    :ivar address: IP address as text; empty where there is none (a Unix socket, a message of our own).
    :ivar helo: argument of the last HELO or EHLO, as checked by the grammar; empty before.
    :ivar protocol: the ``with`` word of the trace header: SMTP, ESMTP, ESMTPS, UTF8SMTP, UTF8SMTPS, LOCAL.
    :ivar identity: authenticated user name.
    :ivar name: confirmed reverse DNS name.
    :ivar listener: the listener's endpoint text, for logs and metrics.
    :ivar session_id: ``sid`` of the logs.
    """

    address: str
    helo: str = ""
    protocol: str = "SMTP"
    tls: TlsFacts | None = None
    identity: str | None = None
    name: str | None = None
    listener: str = ""
    session_id: str = ""
