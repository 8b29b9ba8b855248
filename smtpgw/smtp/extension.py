"""
The contract of an SMTP service extension (RFC 5321 section 2.2).

One file in :mod:`smtpgw.smtp.extensions` and one line in its catalogue add one. An extension has no state: it is one
object for all sessions, and what it needs to know comes as :class:`Facts`.
"""

from collections.abc import Callable

from msgspec import Struct

from smtpgw.model.envelope import BodyType, DeliverBy, Notify, Returned
from smtpgw.model.reply import Reply
from smtpgw.smtp.events import Event


class Facts(Struct):
    """
    What a session knows that extensions may ask for.

    The driver fills in what it knows of the connection, and the session what its rules say: ``messages`` and all that
    stand behind it.

    :ivar message_size: octets; 0 is no limit.
    :ivar tls_available: TLS can be started on this connection.
    :ivar mechanisms: of AUTH, upper case, in the order of preference.
    :ivar is_authenticated: AUTH has succeeded.
    :ivar in_transaction: MAIL was accepted.
    :ivar has_input: octets stand behind the command that is being run.
    :ivar auth_after_tls: there will be mechanisms once TLS stands; in clear text there are none.
    :ivar xclient: this client may say for whom it speaks.
    :ivar messages: on one connection; 0 is no limit.
    :ivar recipients: of one transaction.
    :ivar deliver_by: the shortest time in seconds that BY may ask for; ``None``: not offered.
    :ivar future_release_seconds: how long a message may be held; 0: not at all.
    :ivar now: Unix time; without it nothing that names a date can be offered.
    """

    message_size: int = 0
    tls_available: bool = False
    tls_active: bool = False
    mechanisms: tuple[str, ...] = ()
    is_authenticated: bool = False
    in_transaction: bool = False
    has_input: bool = False
    auth_after_tls: bool = False
    xclient: bool = False
    messages: int = 0
    recipients: int = 0
    deliver_by: int | None = None
    future_release_seconds: int = 0
    now: Callable[[], float] | None = None


class MailFields(Struct):
    """
    What parameters of MAIL fill in.

    The names are those of :class:`smtpgw.model.envelope.MailFrom` and of its parameters.
    """

    size_octets: int | None = None
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False
    envelope_id: str = ""
    returned: Returned | None = None
    requires_tls: bool = False
    deliver_by: DeliverBy | None = None
    hold_seconds: int = 0
    hold_until: float = 0.0


class RcptFields(Struct):
    """
    What parameters of RCPT fill in; the names are those of :class:`smtpgw.model.envelope.Recipient`.

    :ivar smtputf8: the transaction has SMTPUTF8; nobody fills that in.
    """

    smtputf8: bool = False
    notify: Notify | None = None
    original: str = ""


class ChunkAnnounced(Struct, frozen=True, gc=False):
    """
    A BDAT command: this many octets come behind its line (RFC 3030 section 2). The session reads them.

    :ivar is_last: they are the last of the message.
    """

    size_octets: int
    is_last: bool


class Extension:
    """
    Base of every extension: one that does nothing but be announced.

    :ivar keyword: of the reply to EHLO.
    :ivar mail_parameters: keywords of MAIL parameters that it reads, upper case.
    :ivar rcpt_parameters: likewise for RCPT.
    :ivar verbs: commands that it brings, upper case.
    """

    keyword: str = ""
    mail_parameters: tuple[str, ...] = ()
    rcpt_parameters: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()

    def offer(self, facts: Facts) -> str | None:
        """
        The line in the reply to EHLO.

        ``None``: not available now. Its parameters are then unknown ones; its verbs still come here.
        """
        return self.keyword

    def takes_parameters(self, facts: Facts) -> bool:
        """Whether its parameters are known now: while it is offered."""
        return self.offer(facts) is not None

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """Read a parameter of MAIL into the fields, or say why not."""
        raise NotImplementedError(f"{self.keyword} announces no parameter of MAIL")

    def rcpt_parameter(self, keyword: str, value: str | None, fields: RcptFields, facts: Facts) -> Reply | None:
        """Read a parameter of RCPT into the fields, or say why not."""
        raise NotImplementedError(f"{self.keyword} announces no parameter of RCPT")

    def command(self, verb: str, argument: bytes, facts: Facts) -> Event | Reply | ChunkAnnounced:
        """
        Run one of its verbs.

        :param argument: what stands behind the verb and a space, without spaces at its end.
        :returns: a reply that ends the command, or the event that does. A 5xx counts as a bad command; a 421 closes the
            connection. Of BDAT alone: what it announces.
        """
        raise NotImplementedError(f"{self.keyword} brings no verb")
