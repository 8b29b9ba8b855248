"""How many clients are connected, in all and each: one count for all listeners of a gateway."""

from collections import Counter

from smtpgw.model.network import client_key
from smtpgw.model.reply import Reply
from smtpgw.smtp import replies


class ConnectionCount:
    """
    Counts connections, and turns away those over a bound.

    A connection is counted in all when it is made, and for its client when it is known who that is: behind a proxy
    that is later.

    :ivar total: open now; those that were turned away are not counted.
    """

    def __init__(self) -> None:
        self.total = 0
        self._per_client: Counter[str | int] = Counter()

    def enter(self, most: int) -> Reply | None:
        """
        Count a connection.

        :param most: 0 is no limit.
        :returns: why it is turned away, and then it is not counted.
        """
        if most and self.total >= most:
            return replies.TOO_BUSY
        self.total += 1
        return None

    def leave(self) -> None:
        """A connection that was counted is gone."""
        self.total -= 1

    def claim(self, address: str, most: int) -> Reply | None:
        """
        Count a connection for its client.

        :param most: for each IPv4 address and each IPv6 /64; 0 is no limit.
        :returns: why it is turned away, and then it is not counted for the client.
        """
        key = client_key(address)
        # Clients of a Unix socket are one machine, our own.
        if address and most and self._per_client[key] >= most:
            return replies.TOO_MANY_FROM_CLIENT
        self._per_client[key] += 1
        return None

    def release(self, address: str) -> None:
        """A connection that was counted for this client is gone, or turned out to be another's."""
        key = client_key(address)
        left = self._per_client[key] - 1
        if left:
            self._per_client[key] = left
        else:
            del self._per_client[key]
