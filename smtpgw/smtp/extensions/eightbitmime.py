"""8BITMIME (RFC 6152)."""

from smtpgw.model.envelope import BodyType
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields

_TYPES = {"7BIT": BodyType.SEVEN_BIT, "8BITMIME": BodyType.EIGHT_BIT}


class EightBitMime(Extension):
    """Content goes through octet for octet; what was declared is kept for the next hop."""

    keyword = "8BITMIME"
    mail_parameters = ("BODY",)

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """In any case (RFC 6152 section 3)."""
        body = None if value is None else _TYPES.get(value.upper())
        if body is None:
            # BINARYMIME (RFC 3030) exists, but is not offered.
            is_binary = value is not None and value.upper() == "BINARYMIME"
            return replies.UNKNOWN_PARAMETER if is_binary else replies.BAD_PARAMETER
        fields.body = body
        return None
