"""SMTPUTF8 (RFC 6531)."""

from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields


class SmtpUtf8(Extension):
    """The session refuses non-ASCII addresses in transactions without it."""

    keyword = "SMTPUTF8"
    mail_parameters = ("SMTPUTF8",)

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """It has no value (RFC 6531 section 3.4)."""
        if value is not None:
            return replies.BAD_PARAMETER
        fields.smtputf8 = True
        return None
