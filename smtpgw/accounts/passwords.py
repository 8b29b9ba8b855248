"""
Passwords as a configuration keeps them: an argon2id hash, or a SCRAM-SHA-256 record. Reads, makes and compares them.

A SCRAM record has the text form of RFC 5803 section 2, ``SCRAM-SHA-256$4096:salt$StoredKey:ServerKey``, salt and keys
in base64. An argon2id hash has that of the reference implementation, ``$argon2id$v=19$m=65536,t=3,p=4$salt$hash``.

Comparing costs tens of milliseconds and the memory that the hash names: never in the reactor's thread.
"""

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError, VerifyMismatchError

from smtpgw.smtp.sasl.scram import ScramKeys, derive_keys

_HASH = "sha256"
_KEY_OCTETS = 32
_SALT_OCTETS = range(8, 65)
_ITERATIONS = range(4096, 2_000_001)
"""At least what RFC 7677 section 4 asks for; at most about a second of work."""

_MADE_ITERATIONS = 15_000
"""Of records that we make. The client has to do that work at each login; OWASP's numbers are for servers alone."""

_MADE_SALT_OCTETS = 16
_MAX_RECORD = 512

_MAX_MEMORY_KIB = 2**20
"""1 GiB, for each of the checks that run at the same time."""

_MAX_TIME_COST = 100
_MAX_LANES = 64

_ARGON2 = re.compile(
    r"\$argon2id\$v=(?:16|19)\$m=(?P<m>[1-9][0-9]{0,9}),t=(?P<t>[1-9][0-9]{0,9}),p=(?P<p>[1-9][0-9]{0,9})"
    r"\$(?P<salt>[A-Za-z0-9+/]{11,86})\$(?P<hash>[A-Za-z0-9+/]{16,172})\Z"
)
_SCRAM = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[1-9][0-9]{0,9}):(?P<salt>[A-Za-z0-9+/=]{4,88})"
    r"\$(?P<stored>[A-Za-z0-9+/=]{44}):(?P<server>[A-Za-z0-9+/=]{44})\Z"
)


def check_password_record(text: str) -> None:
    """
    Say whether a record can be used.

    :raises ValueError: with one line that says what is wrong, and does not repeat the record.
    """
    if text.startswith("$argon2id$"):
        _check_argon2(text)
    elif text.startswith("SCRAM-"):
        scram_keys(text)
    elif text.startswith("$argon2"):
        raise ValueError("of the argon2 hashes only argon2id will do; `smtpgw password` makes one")
    else:
        raise ValueError("neither an argon2id hash nor a SCRAM-SHA-256 record; `smtpgw password` makes one")


def scram_keys(record: str) -> ScramKeys | None:
    """
    The keys of a SCRAM record; ``None`` for a hash.

    :raises ValueError: as :func:`check_password_record`.
    """
    if not record.startswith("SCRAM-"):
        return None
    if not record.startswith("SCRAM-SHA-256$"):
        raise ValueError("of the SCRAM records only SCRAM-SHA-256 will do; `smtpgw password --scram` makes one")
    found = _SCRAM.match(record)
    if found is None:
        raise ValueError("not of the form SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey")
    try:
        salt, stored, server = (b64decode(found[part], validate=True) for part in ("salt", "stored", "server"))
    except (binascii.Error, ValueError):
        raise ValueError("salt or keys of the SCRAM record are not base64") from None
    iterations = int(found["iterations"])
    if iterations not in _ITERATIONS:
        raise ValueError(f"a SCRAM record needs {_ITERATIONS.start} to {_ITERATIONS.stop - 1} iterations")
    if len(salt) not in _SALT_OCTETS or len(stored) != _KEY_OCTETS or len(server) != _KEY_OCTETS:
        raise ValueError("salt or keys of the SCRAM record have the wrong length")
    return ScramKeys(salt, iterations, stored, server)


def matches_record(record: str, password: str) -> bool:
    """
    Whether a password is the one that a record was made of. Blocks.

    :param record: one that :func:`check_password_record` accepts.
    :param password: prepared (:func:`smtpgw.smtp.sasl.saslprep.prepared`).
    :raises ValueError: when the record can't be used after all; so that no trouble of ours looks like a wrong password.
    """
    keys = scram_keys(record)
    if keys is not None:
        found = derive_keys(_HASH, password.encode(), keys.salt, keys.iterations)
        return hmac.compare_digest(found.stored_key, keys.stored_key)
    try:
        return _HASHER.verify(record, password.encode())
    except VerifyMismatchError:
        return False
    except VerificationError as trouble:
        raise ValueError(f"the hash can't be compared: {trouble}") from trouble


def make_hash(password: str) -> str:
    """An argon2id hash, with the costs of RFC 9106 section 4, second choice. Blocks."""
    return _HASHER.hash(password.encode())


def make_scram_record(password: str, random_octets: Callable[[int], bytes]) -> str:
    """
    A SCRAM-SHA-256 record. Blocks.

    :param random_octets: as ``os.urandom``.
    """
    salt = random_octets(_MADE_SALT_OCTETS)
    keys = derive_keys(_HASH, password.encode(), salt, _MADE_ITERATIONS)
    texts = (b64encode(octets).decode("ascii") for octets in (salt, keys.stored_key, keys.server_key))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_MADE_ITERATIONS, *texts)


def _check_argon2(text: str) -> None:
    found = _ARGON2.match(text)
    if found is None:
        raise ValueError("not of the form $argon2id$v=19$m=...,t=...,p=...$salt$hash")
    memory, passes, lanes = (int(found[part]) for part in "mtp")
    if memory > _MAX_MEMORY_KIB or passes > _MAX_TIME_COST or lanes > _MAX_LANES:
        raise ValueError("the argon2id hash costs too much: at most m=1048576, t=100 and p=64")
    if memory < 8 * lanes:
        raise ValueError("m of the argon2id hash must be at least eight times p")
    for part in ("salt", "hash"):
        encoded = found[part]
        try:
            b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
        except binascii.Error:
            raise ValueError(f"the {part} of the argon2id hash is not base64") from None


_HASHER = PasswordHasher(time_cost=3, memory_cost=65536, parallelism=4)
