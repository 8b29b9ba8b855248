"""What a conversation has to say, gathered so that one step is one write, and how many replies it is owed for it."""

from smtpgw.smtp.conversation_terms import Wire


class Outbox:
    """
    Octets on their way to the wire.

    :ivar owed: replies still to come for what is out. What waits in here isn't counted: nobody can have answered it.
    """

    __slots__ = ("_pieces", "_unsent_replies", "_wire", "owed")

    def __init__(self, wire: Wire, owed: int) -> None:
        self._wire = wire
        self._pieces: list[bytes] = []
        self._unsent_replies = 0
        self.owed = owed

    def say(self, octets: bytes, replies: int = 1) -> None:
        """:param replies: how many the octets ask for."""
        self._pieces.append(octets)
        self._unsent_replies += replies

    def flush(self) -> bool:
        """Write; False when there was nothing to."""
        pieces = self._pieces
        if not pieces:
            return False
        octets = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self.owed += self._unsent_replies
        self._unsent_replies = 0
        self._wire.write(octets)
        return True

    def forget(self) -> None:
        """Nothing goes out any more, and nothing is owed."""
        self._pieces.clear()
        self._unsent_replies = 0
        self.owed = 0
