"""LIMITS (RFC 9422): a client that knows them need not run into them."""

from smtpgw.smtp.extension import Extension, Facts

_MAX_VALUE = 999_999
"""Six digits (RFC 9422 section 4); what is more is not said."""


class Limits(Extension):
    """
    The limits of messages and recipients.

    They are counted in the client's favour: only messages whose content was sent, only recipients that were accepted.
    """

    keyword = "LIMITS"

    def offer(self, facts: Facts) -> str | None:
        """``None`` without any limit."""
        limits = (("MAILMAX", facts.messages), ("RCPTMAX", facts.recipients))
        said = [f"{name}={limit}" for name, limit in limits if 0 < limit <= _MAX_VALUE]
        return f"{self.keyword} {' '.join(said)}" if said else None
