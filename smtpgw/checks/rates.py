"""
How many connections, messages and recipients of one client are taken in a minute.

A client is an IPv4 address, an IPv6 /64, or, for messages and recipients, who has logged in, wherever from. Recipients
are counted as they are asked for, whether or not they exist. One object counts for all listeners of a gateway.
"""

from math import ceil

from smtpgw.boundaries.world import Clock
from smtpgw.model.envelope import Client, MailFrom, Recipient
from smtpgw.model.network import client_key
from smtpgw.model.reply import reply
from smtpgw.model.verdict import ACCEPT, Refuse, Verdict
from smtpgw.policy.buckets import Buckets

_MOST_CLIENTS = 100_000
"""Remembered of each kind; about 20 MB when all three are full."""


class Rates:
    """
    Refuses what comes too fast: 421 4.7.0 to a connection, 450 4.7.1 to MAIL and RCPT.

    Up to a minute's worth may come at once. What was refused is not counted.
    """

    name = "rates"

    def __init__(
        self, clock: Clock, *, connections: int, messages: int, recipients: int, most_clients: int = _MOST_CLIENTS
    ) -> None:
        """
        :param connections: a minute; 0 is no limit, here and below.
        :param most_clients: that are remembered; see :class:`~smtpgw.policy.buckets.Buckets`.
        """
        self._now = clock.time
        self._connections = Buckets(connections, most_clients) if connections else None
        self._messages = Buckets(messages, most_clients) if messages else None
        self._recipients = Buckets(recipients, most_clients) if recipients else None

    def check_connect(self, client: Client) -> Verdict:
        """One more connection."""
        # A client of a Unix socket has no address, and is this machine.
        if self._connections is None or not client.address:
            return ACCEPT
        wait = self._connections.take(client_key(client.address), self._now())
        return self._refused(421, "4.7.0", "connections", wait) if wait else ACCEPT

    def check_mail(self, client: Client, mail: MailFrom) -> Verdict:
        """One more message."""
        if self._messages is None:
            return ACCEPT
        return self._take(self._messages, client, "messages")

    def check_rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict:
        """One more recipient."""
        if self._recipients is None:
            return ACCEPT
        return self._take(self._recipients, client, "recipients")

    def _take(self, buckets: Buckets, client: Client, what: str) -> Verdict:
        if client.identity:
            wait = buckets.take((client.identity,), self._now())
        elif client.address:
            wait = buckets.take(client_key(client.address), self._now())
        else:
            return ACCEPT
        return self._refused(450, "4.7.1", what, wait) if wait else ACCEPT

    def _refused(self, code: int, status: str, what: str, wait: float) -> Refuse:
        text = f"Too many {what} from you in a minute, try again in {ceil(wait)} seconds"
        return Refuse(reply(code, status, text), self.name)
