"""
The contract of an SMTP service extension (RFC 5321 section 2.2).

One file in :mod:`smtpgw.smtp.extensions` and one line in its catalogue add one. An extension has no state: it is one
object for all sessions, and what it needs to know comes as :class:`Facts`.
"""

from msgspec import Struct

from smtpgw.model.envelope import BodyType
from smtpgw.model.reply import Reply
from smtpgw.smtp.events import Event


class Facts(Struct):
    """
    What a session knows that extensions may ask for.

    :ivar message_size: octets; 0 is no limit.
    :ivar tls_available: TLS can be started on this connection.
    :ivar mechanisms: of AUTH, upper case, in the order of preference.
    :ivar is_authenticated: AUTH has succeeded.
    :ivar in_transaction: MAIL was accepted.
    :ivar has_input: octets stand behind the command that is being run.
    """

    message_size: int = 0
    tls_available: bool = False
    tls_active: bool = False
    mechanisms: tuple[str, ...] = ()
    is_authenticated: bool = False
    in_transaction: bool = False
    has_input: bool = False


class MailFields(Struct):
    """What parameters of MAIL fill in; the names are those of :class:`smtpgw.model.envelope.MailFrom`."""

    size_octets: int | None = None
    body: BodyType = BodyType.SEVEN_BIT
    smtputf8: bool = False


class RcptFields(Struct):
    """What parameters of RCPT fill in. None exist yet; DSN (RFC 3461) will bring some."""


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

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """Read a parameter of MAIL into the fields, or say why not."""
        raise NotImplementedError(f"{self.keyword} announces no parameter of MAIL")

    def rcpt_parameter(self, keyword: str, value: str | None, fields: RcptFields, facts: Facts) -> Reply | None:
        """Read a parameter of RCPT into the fields, or say why not."""
        raise NotImplementedError(f"{self.keyword} announces no parameter of RCPT")

    def command(self, verb: str, argument: bytes, facts: Facts) -> Event | Reply:
        """
        Run one of its verbs.

        :param argument: what stands behind the verb and a space, without spaces at its end.
        :returns: a reply that ends the command, or the event that does. A 5xx counts as a bad command; a 421 closes the
            connection.
        """
        raise NotImplementedError(f"{self.keyword} brings no verb")
