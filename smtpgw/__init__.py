"""
smtpgw: an SMTP relay and inbound gateway on Twisted.

What user code imports stands in :mod:`smtpgw.handlers` and is repeated here.
"""

from smtpgw.handlers.message import IncomingMessage as IncomingMessage
from smtpgw.handlers.message import UnreadableMessage as UnreadableMessage
from smtpgw.handlers.outcome import Defer as Defer
from smtpgw.handlers.outcome import Reject as Reject
from smtpgw.version import VERSION

__version__ = VERSION

__all__ = ["Defer", "IncomingMessage", "Reject", "UnreadableMessage", "__version__"]
