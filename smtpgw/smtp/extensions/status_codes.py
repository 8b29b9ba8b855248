"""ENHANCEDSTATUSCODES (RFC 2034). Every reply has its status already; nothing is left to do here."""

from smtpgw.smtp.extension import Extension


class StatusCodes(Extension):
    """Replies carry the status codes of RFC 3463."""

    keyword = "ENHANCEDSTATUSCODES"
