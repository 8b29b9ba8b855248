"""
FUTURERELEASE (RFC 4865): a message that is not to leave before its time.

Offered where the rules allow some time and have a clock, for the reply to EHLO has to name a date. A date that has
passed asks for nothing.
"""

import re
from datetime import UTC, datetime, timedelta

from smtpgw.model.reply import Reply
from smtpgw.smtp import replies
from smtpgw.smtp.extension import Extension, Facts, MailFields

_SECONDS = re.compile(r"[1-9][0-9]{0,8}\Z")

# RFC 3339 section 5.6; 60 is a leap second.
_DATE_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})T([0-9]{2}:[0-9]{2}:)([0-9]{2})(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})\Z",
    re.IGNORECASE,
)


class FutureRelease(Extension):
    """Of submission; the queue holds the message."""

    keyword = "FUTURERELEASE"
    mail_parameters = ("HOLDFOR", "HOLDUNTIL")

    def offer(self, facts: Facts) -> str | None:
        """With the longest time, in seconds and as a date."""
        longest, now = facts.future_release_seconds, facts.now
        if not longest or now is None:
            return None
        latest = datetime.fromtimestamp(int(now()) + longest, UTC)
        return f"{self.keyword} {longest} {latest:%Y-%m-%dT%H:%M:%SZ}"

    def mail_parameter(self, keyword: str, value: str | None, fields: MailFields, facts: Facts) -> Reply | None:
        """One of both, and not longer than what was offered."""
        if value is None or fields.hold_seconds or fields.hold_until:
            return replies.BAD_PARAMETER
        longest, now = facts.future_release_seconds, facts.now
        if keyword == "HOLDFOR":
            if not _SECONDS.match(value) or int(value) > longest:
                return replies.BAD_PARAMETER
            fields.hold_seconds = int(value)
            return None
        until = read_date_time(value)
        if until is None or now is None or until > now() + longest:
            return replies.BAD_PARAMETER
        fields.hold_until = until
        return None


def read_date_time(text: str) -> float | None:
    """Unix time of a date and time as of RFC 3339; ``None`` when it is none, or from before 1970."""
    match = _DATE_TIME.match(text)
    if match is None:
        return None
    day, hours_minutes, seconds, fraction, zone = match.groups()
    is_leap = seconds == "60"
    try:
        moment = datetime.fromisoformat(
            f"{day}T{hours_minutes}{'59' if is_leap else seconds}{'+00:00' if zone in 'Zz' else zone}"
        )
        unix = (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)
    except (ValueError, OverflowError):
        return None
    unix += is_leap + float(fraction or 0)
    return unix if unix > 0 else None
