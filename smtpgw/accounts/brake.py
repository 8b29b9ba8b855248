"""
The brake on guessing: who fails waits longer and longer, and is shut out after a number of failures.

Failures are counted for the address (of IPv6 the /64), for the account, whether it exists or not, and for the
connection. They leak away: a counter at its limit is empty after the time for which it shuts out.

An account that is shut out stays open to addresses that have logged in to it lately. Otherwise anybody could shut out
anybody by guessing from elsewhere. For the same reason a login from such an address does not empty the account's
counter: a phone that logs in every minute would else give everybody else any number of guesses.

Everything is bounded. Whoever controls enough addresses to fill a table can make it forget, which costs them a failure
of a new account, or a new address, for each entry.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from enum import Enum
from hashlib import blake2b

from msgspec import Struct

from smtpgw.accounts.recent import Recent

_FIRST_DELAY_SECONDS = 0.5
_MAX_DELAY_SECONDS = 5.0

_MAX_KEYS = 100_000
_MAX_CONNECTION_FAILURES = 3

_KNOWN_SECONDS = 7 * 86400.0
"""For how long an address that has logged in to an account is known there."""

_MIN_LIFETIME_SECONDS = 60.0

_FAILURES = 10
_SPAN_SECONDS = 900.0
"""So many failures leak away in that time where nobody is shut out: they still count for the delays."""

ClientKey = str | int
"""See :func:`smtpgw.model.network.client_key`."""


class Shut(Enum):
    """Why nobody is even asked for the password."""

    ADDRESS = "too many wrong logins from this address"
    ACCOUNT = "too many wrong logins to this account"
    CROWD = "too many logins at the same time"


class Penalty(Struct, frozen=True, gc=False):
    """What a failure costs. :ivar ends_connection: it was one too many for this connection."""

    delay_seconds: float
    ends_connection: bool


class _Tally(Struct, gc=False):
    """:ivar failures: as of ``at``. :ivar shut_until: 0 when it is not shut."""

    failures: float
    at: float
    shut_until: float = 0.0


class LoginBrake:
    """Counts, and says what follows. Its times are those of the clock that it is given."""

    def __init__(
        self, seconds: Callable[[], float], failures: int, lockout_seconds: float, most_keys: int = _MAX_KEYS
    ) -> None:
        """
        :param seconds: of a clock that never goes back.
        :param failures: of one address, or one account, before it is shut out; 0: nobody is ever.
        :param lockout_seconds: for how long; 0: nobody is ever.
        """
        self._seconds = seconds
        self._most = failures if failures > 0 and lockout_seconds > 0 else 0
        self._lockout = lockout_seconds if self._most else _SPAN_SECONDS
        self._leak = (self._most or _FAILURES) / self._lockout
        lifetime = 2 * max(self._lockout, _MIN_LIFETIME_SECONDS)
        self._tallies: Recent[Hashable, _Tally] = Recent(seconds, lifetime, most_keys)
        self._accounts: Recent[Hashable, _Tally] = Recent(seconds, lifetime, most_keys)
        self._known: Recent[bytes, bool] = Recent(seconds, _KNOWN_SECONDS, most_keys)
        self._connections: Recent[str, int] = Recent(seconds, 86400.0, most_keys)
        self._pending: Counter[Hashable] = Counter()

    def shut(self, client: ClientKey, account: str) -> Shut | None:
        """
        Whether this client may try this account now.

        :param account: made one spelling; empty when it is not known yet.
        """
        if not self._most:
            return None
        now = self._seconds()
        if self._is_shut(self._tallies.get(client), now):
            return Shut.ADDRESS
        if account and self._known.get(_pair(account, client)) is None:
            name = _short(account)
            tally = self._accounts.get(name)
            if self._is_shut(tally, now):
                return Shut.ACCOUNT
            if self._pending[name] + self._level(tally, now) >= self._most:
                return Shut.CROWD
        if self._pending[client] + self._level(self._tallies.get(client), now) >= self._most:
            return Shut.CROWD
        return None

    def began(self, client: ClientKey, account: str) -> None:
        """A guess is being looked at: until it has ``ended`` it counts as if it had failed."""
        self._pending[client] += 1
        self._pending[_short(account)] += 1

    def ended(self, client: ClientKey, account: str) -> None:
        """Once for each ``began``."""
        for key in (client, _short(account)):
            self._pending[key] -= 1
            if self._pending[key] <= 0:
                del self._pending[key]

    def failed(self, client: ClientKey, account: str, connection: str) -> Penalty:
        """
        A login was wrong.

        :param account: empty when none was named.
        :param connection: its session id; empty when it has none.
        """
        now = self._seconds()
        level = self._count(self._tallies, client, now)
        if account and self._known.get(_pair(account, client)) is None:
            level = max(level, self._count(self._accounts, _short(account), now))
        return self._penalty(level, connection)

    def repeated(self, client: ClientKey, connection: str) -> Penalty:
        """The same wrong login came again from there: nobody learns from it, so only the connection counts it."""
        return self._penalty(self._level(self._tallies.get(client), self._seconds()), connection)

    def succeeded(self, client: ClientKey, account: str) -> None:
        """A login was right."""
        pair = _pair(account, client)
        if self._known.get(pair) is None:
            self._accounts.forget(_short(account))
        self._known.put(pair, True)

    def _is_shut(self, tally: _Tally | None, now: float) -> bool:
        return tally is not None and tally.shut_until > now

    def _level(self, tally: _Tally | None, now: float) -> float:
        """What has not leaked away yet."""
        return 0.0 if tally is None else max(0.0, tally.failures - (now - tally.at) * self._leak)

    def _count(self, tallies: Recent[Hashable, _Tally], key: Hashable, now: float) -> float:
        tally = tallies.get(key)
        level = self._level(tally, now) + 1.0
        shut_until = tally.shut_until if tally is not None else 0.0
        # Leaks between the failures of one burst must not make one more of them free.
        if self._most and level > self._most - 0.5:
            shut_until = max(shut_until, now + self._lockout)
        tallies.put(key, _Tally(level, now, shut_until))
        return level

    def _penalty(self, level: float, connection: str) -> Penalty:
        failures = 0
        if connection:
            failures = (self._connections.get(connection) or 0) + 1
            self._connections.put(connection, failures)
        # The exponent is bounded: the level is whatever has been counted.
        delay = min(_MAX_DELAY_SECONDS, _FIRST_DELAY_SECONDS * 2.0 ** min(max(level - 1.0, 0.0), 10.0))
        return Penalty(delay, failures >= _MAX_CONNECTION_FAILURES)


def _short(account: str) -> bytes:
    """Of one size, however long the names are that somebody makes up. No client key is octets."""
    return blake2b(account.encode(), digest_size=16).digest()


def _pair(account: str, client: ClientKey) -> bytes:
    return blake2b(f"{client}\0{account}".encode(), digest_size=16).digest()
