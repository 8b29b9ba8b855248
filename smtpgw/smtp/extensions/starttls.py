"""STARTTLS (RFC 3207)."""

from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.events import Event, Signal
from smtpgw.smtp.extension import Extension, Facts


class StartTls(Extension):
    """The session forgets everything when the handshake begins."""

    keyword = "STARTTLS"
    verbs = ("STARTTLS",)

    def offer(self, facts: Facts) -> str | None:
        """Not after the handshake (RFC 3207 section 4.2)."""
        return self.keyword if facts.tls_available and not facts.tls_active else None

    def command(self, verb: str, argument: bytes, facts: Facts) -> Event | Reply:
        """Input behind the command came in clear text, from anyone: a client that sends it is not to be talked to."""
        if argument:
            return replies.NO_ARGUMENT
        if facts.tls_active:
            return replies.TLS_ACTIVE
        if not facts.tls_available:
            return replies.TLS_NOT_AVAILABLE
        if facts.has_input:
            return replies.INPUT_BEHIND_STARTTLS
        return Signal.TLS_ASKED
