"""DSN (RFC 3461): when and how the sender wants to hear of its message."""

from smtpgw.model.envelope import Notify, Returned
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields, RcptFields
from smtpgw.smtp.xtext import decode_original, decode_xtext

_MAX_ENVELOPE_ID = 100
"""Characters, encoded (RFC 3461 section 4.4)."""

_MAX_ORIGINAL = 500
"""Characters, encoded, with the address type (RFC 3461 section 4.2)."""

_RETURNED = {"FULL": Returned.FULL, "HDRS": Returned.HEADERS}
_NOTIFY = frozenset({"SUCCESS", "FAILURE", "DELAY"})


class Dsn(Extension):
    """Values are decoded here, and checked: what is kept is printable and can be encoded again."""

    keyword = "DSN"
    mail_parameters = ("RET", "ENVID")
    rcpt_parameters = ("NOTIFY", "ORCPT")

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """RFC 3461 sections 4.3 and 4.4."""
        if not value:
            return replies.BAD_PARAMETER
        if keyword == "RET":
            fields.returned = _RETURNED.get(value.upper())
            return replies.BAD_PARAMETER if fields.returned is None else None
        envelope_id = decode_xtext(value) if len(value) <= _MAX_ENVELOPE_ID else None
        if not envelope_id:
            return replies.BAD_PARAMETER
        fields.envelope_id = envelope_id
        return None

    def rcpt_parameter(self, keyword: str, value: str | None, fields: RcptFields, facts: Facts) -> Reply | None:
        """RFC 3461 sections 4.1 and 4.2, RFC 6533 section 3."""
        if not value:
            return replies.BAD_PARAMETER
        if keyword == "NOTIFY":
            fields.notify = _read_notify(value.upper())
            return replies.BAD_PARAMETER if fields.notify is None else None
        original = decode_original(value, fields.smtputf8) if len(value) <= _MAX_ORIGINAL else None
        if original is None:
            return replies.BAD_PARAMETER
        fields.original = original
        return None


def _read_notify(value: str) -> Notify | None:
    if value == "NEVER":
        return Notify()
    words = value.split(",")
    if not _NOTIFY.issuperset(words):
        return None
    return Notify("SUCCESS" in words, "FAILURE" in words, "DELAY" in words)
