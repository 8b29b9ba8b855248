"""SIZE (RFC 1870): a message that is too large is refused before it is sent."""

from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields

_MAX_DIGITS = 20
"""RFC 1870 section 5."""


class Size(Extension):
    """The limit of the content itself is held by the session, whatever was declared."""

    keyword = "SIZE"
    mail_parameters = ("SIZE",)

    def offer(self, facts: Facts) -> str | None:
        """With the limit, if there is one."""
        return f"SIZE {facts.message_size}" if facts.message_size else "SIZE"

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """Digits only; more than the limit is refused at once."""
        if value is None or not value.isascii() or not value.isdigit() or len(value) > _MAX_DIGITS:
            return replies.BAD_PARAMETER
        fields.size_octets = int(value)
        if facts.message_size and fields.size_octets > facts.message_size:
            return replies.TOO_LARGE
        return None
