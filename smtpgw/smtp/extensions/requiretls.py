"""REQUIRETLS (RFC 8689): a message that must not travel without verified TLS."""

from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields


class RequireTls(Extension):
    """The queue keeps the promise; here it is only taken down."""

    keyword = "REQUIRETLS"
    mail_parameters = ("REQUIRETLS",)

    def offer(self, facts: Facts) -> str | None:
        """Under TLS only (RFC 8689 section 4.1)."""
        return self.keyword if facts.tls_active else None

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """It has no value."""
        if value is not None:
            return replies.BAD_PARAMETER
        fields.requires_tls = True
        return None
