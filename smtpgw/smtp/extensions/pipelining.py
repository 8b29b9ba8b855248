"""PIPELINING (RFC 2920). The session reads one command at a time from its buffer, so nothing is left to do here."""

from smtpgw.smtp.extension import Extension


class Pipelining(Extension):
    """Commands may be sent without waiting."""

    keyword = "PIPELINING"
