"""DELIVERBY (RFC 2852): how long delivery may take."""

import re

from smtpgw.model.envelope import DeliverBy
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields

_VALUE = re.compile(r"([+-]?[0-9]{1,9});([RN])(T?)\Z", re.IGNORECASE)


class DeliverByTime(Extension):
    """Offered where the rules say so; the queue keeps the promise."""

    keyword = "DELIVERBY"
    mail_parameters = ("BY",)

    def offer(self, facts: Facts) -> str | None:
        """With the shortest time, if there is one."""
        if facts.deliver_by is None:
            return None
        return f"{self.keyword} {facts.deliver_by}" if facts.deliver_by else self.keyword

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """What is to be returned needs time that is left, and not less than what was offered (RFC 2852 section 4)."""
        match = None if value is None else _VALUE.match(value)
        if match is None:
            return replies.BAD_PARAMETER
        seconds, returns = int(match[1]), match[2] in "Rr"
        if returns and seconds < max(1, facts.deliver_by or 0):
            return replies.BAD_PARAMETER
        fields.deliver_by = DeliverBy(seconds, returns, bool(match[3]))
        return None
