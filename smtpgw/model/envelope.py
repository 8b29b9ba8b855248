"""
Envelopes (RFC 5321 section 2.3.1) and the client that brought them.

Most of this is kept in the spool as arrays: a new field goes to the end and has a default, so that older records can
still be read.
"""

from enum import Enum

from msgspec import Struct

from smtpgw.model.address import Mailbox, ReversePath


class BodyType(Enum):
    """The BODY parameter of MAIL (RFC 6152)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"


class Notify(Struct, frozen=True, array_like=True, gc=False):
    """The NOTIFY parameter of RCPT (RFC 3461 section 4.1). All False: NEVER."""

    success: bool = False
    failure: bool = False
    delay: bool = False

    @property
    def words(self) -> str:
        """As it stands in a command."""
        words = ("SUCCESS", self.success), ("FAILURE", self.failure), ("DELAY", self.delay)
        return ",".join(word for word, is_wanted in words if is_wanted) or "NEVER"


class Returned(Enum):
    """The RET parameter of MAIL (RFC 3461 section 4.3): what of the message goes back with a failure."""

    FULL = "FULL"
    HEADERS = "HDRS"


class DeliverBy(Struct, frozen=True, array_like=True, gc=False):
    """
    The BY parameter of MAIL (RFC 2852).

    :ivar seconds: from the end of data on; may be negative with ``notifies`` on its way.
    :ivar returns: mode R: what is late is returned. Otherwise mode N: its sender is told, and it is delivered on.
    :ivar traces: the T behind the mode.
    """

    seconds: int
    returns: bool
    traces: bool = False

    @property
    def text(self) -> str:
        """As it stands in a command."""
        return f"{self.seconds};{'R' if self.returns else 'N'}{'T' if self.traces else ''}"


class MailParameters(Struct, frozen=True, array_like=True, gc=False):
    """
    What MAIL asks for beyond its path and the form of the content.

    :ivar envelope_id: ENVID (RFC 3461 section 4.4), xtext decoded; printable ASCII; empty when not given.
    :ivar returned: RET; ``None`` when not given.
    :ivar requires_tls: REQUIRETLS (RFC 8689).
    :ivar deliver_by: BY (RFC 2852).
    :ivar hold_seconds: HOLDFOR (RFC 4865): from the end of data on; 0: none.
    :ivar hold_until: HOLDUNTIL, Unix time; 0: none.
    """

    envelope_id: str = ""
    returned: Returned | None = None
    requires_tls: bool = False
    deliver_by: DeliverBy | None = None
    hold_seconds: int = 0
    hold_until: float = 0.0


NO_PARAMETERS = MailParameters()


class Recipient(Struct, frozen=True, array_like=True, gc=False):
    """
    One accepted RCPT. Addresses repeat, so nothing is ever keyed by it.

    :ivar notify: when the sender wants to hear of it; ``None`` when it did not say: of failures and delays.
    :ivar original: ORCPT (RFC 3461 section 4.2) as ``type;address``, xtext decoded, printable; empty when not given.
    """

    mailbox: Mailbox
    notify: Notify | None = None
    original: str = ""


class Envelope(Struct, frozen=True, array_like=True):
    """
    Where a message comes from and goes to.

    :ivar recipients: in the order of the RCPT commands.
    :ivar smtputf8: SMTPUTF8 was given; once the message is kept: and its header section is not ASCII, so that a host
        without SMTPUTF8 must not get it (RFC 6531 section 3.2). Of addresses each speaks for itself.
    """

    reverse_path: ReversePath
    recipients: tuple[Recipient, ...]
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    parameters: MailParameters = NO_PARAMETERS


class MailFrom(Struct, frozen=True, gc=False):
    """
    A MAIL command, read.

    :ivar size_octets: the SIZE parameter (RFC 1870), ``None`` when it was not given.
    """

    reverse_path: ReversePath
    size_octets: int | None = None
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    parameters: MailParameters = NO_PARAMETERS


class TlsFacts(Struct, frozen=True, array_like=True, gc=False):
    """
    What is known of a TLS connection.

    :ivar version: as OpenSSL names it, ``TLSv1.3``.
    :ivar verified: the peer's certificate was checked; of a next hop: and names it.
    :ivar subjects: whom a client's verified certificate names: its mail addresses and DNS names, then its common name.
    """

    version: str
    cipher: str
    verified: bool = False
    subjects: tuple[str, ...] = ()


class Client(Struct, frozen=True, array_like=True):
    """
    Who handed the message in.

    :ivar address: IP address as text; empty where there is none (a Unix socket, a message of our own).
    :ivar helo: argument of the last HELO or EHLO, as checked by the grammar; empty before.
    :ivar protocol: the ``with`` word of the trace header: SMTP, ESMTP, ESMTPS, ESMTPSA, UTF8SMTP, …, LOCAL.
    :ivar identity: authenticated user name.
    :ivar name: confirmed reverse DNS name.
    :ivar listener: the listener's endpoint text, for logs and metrics.
    :ivar session_id: ``sid`` of the logs.
    :ivar port: TCP port of the client, 0 where there is none.
    :ivar mechanism: of AUTH, upper case; empty when nobody has logged in.
    :ivar notes: what the rules of MAIL and RCPT have remarked on the transaction, for the log; known from DATA on, and
        not kept with a message.
    """

    address: str
    helo: str = ""
    protocol: str = "SMTP"
    tls: TlsFacts | None = None
    identity: str | None = None
    name: str | None = None
    listener: str = ""
    session_id: str = ""
    port: int = 0
    mechanism: str = ""
    notes: tuple[str, ...] = ()
