"""The accounts of a configuration, and what is said of those that there are not: never that they aren't there."""

import hmac
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Protocol

from msgspec import Struct

from smtpgw.accounts.passwords import scram_keys
from smtpgw.smtp.sasl.saslprep import prepared
from smtpgw.smtp.sasl.scram import ScramKeys


class User(Protocol):
    """Somebody who may log in, as configured."""

    @property
    def name(self) -> str:
        """What people log in with."""

    @property
    def password(self) -> str:
        """Its record (:mod:`smtpgw.accounts.passwords`)."""


class Account(Struct, frozen=True):
    """
    Somebody who may log in.

    :ivar name: as the configuration has it: what everything else calls it.
    :ivar record: the password's (:mod:`smtpgw.accounts.passwords`).
    :ivar keys: for SCRAM; ``None`` when the record is a hash.
    """

    name: str
    record: str
    keys: ScramKeys | None


def account_key(name: str) -> str:
    """
    What an account is found by: names are the same without their case, as people expect of addresses.

    :raises ValueError: when this can be nobody's name.
    """
    key = prepared(name).lower()
    if not key:
        raise ValueError("an empty name")
    return key


class Accounts:
    """
    Finds accounts by name.

    For a name that is none there is a decoy: an account whose password costs as much to compare, and whose salt looks
    as real, the same one for the same name each time. Decoys change when any password does; somebody who compares salts
    from before and after can tell then.
    """

    def __init__(self, users: Sequence[User] = ()) -> None:
        """:raises ValueError: with one line: a name is none, or two have it, or a record can't be used."""
        self._by_key: dict[str, Account] = {}
        for user in users:
            try:
                key = account_key(user.name)
                account = Account(user.name, user.password, scram_keys(user.password))
            except ValueError as wrong:
                raise ValueError(f"user {user.name!r}: {wrong}") from None
            if key in self._by_key:
                raise ValueError(f"user {user.name!r} is there twice; case makes no difference")
            self._by_key[key] = account
        self._all = tuple(self._by_key.values())
        self._with_keys = tuple(account.keys for account in self._all if account.keys is not None)
        # Nobody outside knows all the records.
        self._secret = sha256("\n".join(sorted(account.record for account in self._all)).encode()).digest()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._all)

    @property
    def has_keys(self) -> bool:
        """Whether somebody can use SCRAM."""
        return bool(self._with_keys)

    def find(self, name: str) -> Account | None:
        """:param name: prepared."""
        return self._by_key.get(name.lower())

    def decoy(self, name: str) -> Account:
        """
        Whose password is compared in the place of an account that there is not. The result does not count.

        :raises LookupError: when there are no accounts at all.
        """
        if not self._all:
            raise LookupError("there are no accounts")
        return self._all[self._number(b"password", name) % len(self._all)]

    def keys(self, name: str) -> ScramKeys:
        """
        For SCRAM (``KeySource``). Whoever has none gets a decoy's, which fit no password.

        :raises LookupError: when nobody has any.
        """
        if not self._with_keys:
            raise LookupError("nobody has a SCRAM record")
        model = self._with_keys[self._number(b"scram", name) % len(self._with_keys)]
        # Made in any case, so that it takes no longer for nobody than for somebody.
        decoy = ScramKeys(
            (self._digest(b"salt", name) + self._digest(b"more", name))[: len(model.salt)],
            model.iterations,
            self._digest(b"stored", name),
            self._digest(b"server", name),
        )
        account = self.find(name)
        return account.keys if account is not None and account.keys is not None else decoy

    def among(self, subjects: Iterable[str]) -> tuple[str, ...]:
        """The keys of those accounts that are among a certificate's subjects, in the order of these."""
        found: dict[str, None] = {}
        for subject in subjects:
            try:
                key = account_key(subject)
            except ValueError:
                continue
            if key in self._by_key:
                found[key] = None
        return tuple(found)

    def _digest(self, purpose: bytes, name: str) -> bytes:
        return hmac.digest(self._secret, purpose + b"\0" + name.lower().encode(), "sha256")

    def _number(self, purpose: bytes, name: str) -> int:
        return int.from_bytes(self._digest(purpose, name)[:8], "big")
