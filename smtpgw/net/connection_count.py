"""How many clients are connected, in all and each: one count for all listeners of a gateway."""

from collections import Counter

from smtpgw.model.network import client_key
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies


class ConnectionCount:
    """
    Counts connections, and turns away those over a bound.

    :ivar total: open now; those that were turned away are not counted.
    """

    def __init__(self) -> None:
        self.total = 0
        self._per_client: Counter[str | int] = Counter()

    def enter(self, address: str, most: int, most_per_client: int) -> Reply | None:
        """
        Count a connection.

        :param most: in all; 0 is no limit, here and below.
        :param most_per_client: for each IPv4 address and each IPv6 /64.
        :returns: why it is turned away, and then it is not counted.
        """
        if most and self.total >= most:
            return replies.TOO_BUSY
        key = client_key(address)
        # Clients of a Unix socket are one machine, our own.
        if address and most_per_client and self._per_client[key] >= most_per_client:
            return replies.TOO_MANY_FROM_CLIENT
        self.total += 1
        self._per_client[key] += 1
        return None

    def leave(self, address: str) -> None:
        """A connection that was counted is gone."""
        self.total -= 1
        key = client_key(address)
        left = self._per_client[key] - 1
        if left:
            self._per_client[key] = left
        else:
            del self._per_client[key]
