"""
CHUNKING (RFC 3030): content by the number of its octets.

BINARYMIME is not offered: a binary message could not be given to a next hop that lacks it, and bare CR and LF in it are
what this gateway lets nobody send.
"""

import re

from smtpgw.model.reply import Reply, reply
from smtpgw.smtp.extension import ChunkAnnounced, Extension, Facts

# Not more digits than SIZE may have: RFC 3030 gives no limit.
_ARGUMENT = re.compile(rb"([0-9]{1,20})( LAST)?\Z", re.IGNORECASE)
_SYNTAX = reply(501, "5.5.4", "Syntax: BDAT size [LAST]; closing, for content can't be told from commands")


class Chunking(Extension):
    """Reads what BDAT announces; the session does the rest."""

    keyword = "CHUNKING"
    verbs = ("BDAT",)

    def command(self, verb: str, argument: bytes, facts: Facts) -> Reply | ChunkAnnounced:
        """The session closes the connection behind a reply: nobody knows how much content follows."""
        match = _ARGUMENT.match(argument)
        return _SYNTAX if match is None else ChunkAnnounced(int(match[1]), match[2] is not None)
