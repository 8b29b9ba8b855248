"""
Passwords that were right or wrong a moment ago: a program that sends a thousand messages logs in a thousand times.

Neither names nor passwords are kept, only a digest of both under a key that this process has made up and nobody else
knows.
"""

from collections.abc import Callable
from hashlib import blake2b

from smtpgw.accounts.recent import Recent

_LIFETIME_SECONDS = 300.0
_MOST = 10_000
_DIGEST_OCTETS = 32


class LoginCache:
    """
    Remembers for some minutes.

    What was right holds for the record that it was compared with, so a new password ends it. What was wrong is
    remembered for each client alone, and tells only that the same client has tried the same before.
    """

    def __init__(
        self,
        seconds: Callable[[], float],
        random_octets: Callable[[int], bytes],
        lifetime_seconds: float = _LIFETIME_SECONDS,
        most: int = _MOST,
    ) -> None:
        """
        :param seconds: of a clock that never goes back.
        :param random_octets: as ``os.urandom``.
        """
        self._key = random_octets(_DIGEST_OCTETS)
        self._right: Recent[bytes, str] = Recent(seconds, lifetime_seconds, most)
        self._wrong: Recent[tuple[bytes, str | int], str] = Recent(seconds, lifetime_seconds, most)

    def digest(self, account: str, password: str) -> bytes:
        """What both are known by here."""
        return blake2b(f"{account}\0{password}".encode(), digest_size=_DIGEST_OCTETS, key=self._key).digest()

    def is_right(self, digest: bytes, record: str) -> bool:
        """It was right, a moment ago, for this record."""
        return self._right.get(digest) == record

    def keep_right(self, digest: bytes, record: str) -> None:
        """It is."""
        self._right.put(digest, record)

    def is_wrong(self, digest: bytes, record: str, client: str | int) -> bool:
        """This client has tried it a moment ago, against this record."""
        return self._wrong.get((digest, client)) == record

    def keep_wrong(self, digest: bytes, record: str, client: str | int) -> None:
        """It has."""
        self._wrong.put((digest, client), record)
