"""
Greylisting: the first attempt of an unknown triplet is delayed, a later one passes.

A triplet is client network, reverse path and recipient. An attempt makes an unknown one wait; one after the delay and
within the window lets it pass, one after the window makes it wait anew; what has passed and is not used for the
lifetime is unknown again.

A network whose triplets have passed often enough is known as good: its hosts come back, which is all that greylisting
can find out. Passes are counted at most once an hour, so that one message to many recipients is not many proofs. The
network stays good for the lifetime since its last use.

Pure: it is given what is known and the time, and says what to do and what to remember.
"""

import re
from hashlib import blake2b

from msgspec import Struct

from smtpgw.boundaries.triplets import KEY_OCTETS, Triplet
from smtpgw.model.address import Mailbox, ReversePath
from smtpgw.model.domains import canonical_domain, canonical_local

GOOD_AFTER = 5
"""Passes that make a network good, as common greylisters have it."""

COUNT_SECONDS = 3600.0

_BATV = re.compile(r"prvs=[0-9a-z]{10}=")
_DIGITS = re.compile(r"[0-9]+")
_REFRESH_PARTS = 64


class GreylistRules(Struct, frozen=True):
    """
    :ivar delay_seconds: how old a triplet must be.
    :ivar window_seconds: how old it may be at the attempt that passes. Less than twice the delay is taken for that:
        nobody would pass.
    :ivar lifetime_seconds: how long it is remembered, from its last use on; up to a 64th longer, so that not every use
        is written.
    """

    delay_seconds: float
    window_seconds: float
    lifetime_seconds: float

    def window(self) -> float:
        """The window that is in force."""
        return max(self.window_seconds, 2 * self.delay_seconds)


class Judgement(Struct, frozen=True):
    """
    :ivar wait_seconds: until the triplet may pass; 0: it passes.
    :ivar triplet: what to remember of it; ``None``: nothing new.
    :ivar network: likewise of the network.
    :ivar is_good: it passes because its network is known.
    """

    wait_seconds: float
    triplet: Triplet | None = None
    network: Triplet | None = None
    is_good: bool = False


def judge(triplet: Triplet | None, network: Triplet | None, now: float, rules: GreylistRules) -> Judgement:
    """
    What an attempt gets.

    :param triplet: as remembered; one that has expired is none. Likewise the network.
    """
    lifetime = rules.lifetime_seconds
    if network is not None and network.passes >= GOOD_AFTER and network.expires_at > now:
        return Judgement(0.0, None, _used(network, now, lifetime), is_good=True)
    if triplet is None or triplet.expires_at <= now:
        return _begun(now, rules)
    if triplet.passes:
        return Judgement(0.0, _used(triplet, now, lifetime))
    age = now - triplet.first_at
    if age < 0.0 or age > rules.window():
        # In the future: the clock was set back, and counting from there could take for ever.
        return _begun(now, rules)
    if age < rules.delay_seconds:
        return Judgement(rules.delay_seconds - age)
    return Judgement(0.0, _kept(triplet.first_at, now, 1, lifetime), _counted(network, now, lifetime))


def _begun(now: float, rules: GreylistRules) -> Judgement:
    if not rules.delay_seconds:
        return Judgement(0.0, _kept(now, now, 1, rules.lifetime_seconds))
    # A second more: its last moment is still within the window.
    return Judgement(rules.delay_seconds, Triplet(now, now, 0, now + rules.window() + 1.0))


def _kept(first_at: float, now: float, passes: int, lifetime: float) -> Triplet:
    return Triplet(first_at, now, passes, now + lifetime + lifetime / _REFRESH_PARTS)


def _used(known: Triplet, now: float, lifetime: float) -> Triplet | None:
    """It again, when it would otherwise be forgotten before its lifetime from now."""
    if known.expires_at >= now + lifetime:
        return None
    return Triplet(known.first_at, known.last_at, known.passes, now + lifetime + lifetime / _REFRESH_PARTS)


def _counted(network: Triplet | None, now: float, lifetime: float) -> Triplet | None:
    if network is None or network.expires_at <= now:
        return _kept(now, now, 1, lifetime)
    if 0.0 <= now - network.last_at < COUNT_SECONDS:
        return None
    return _kept(network.first_at, now, network.passes + 1, lifetime)


def network_key(network: str) -> bytes:
    """The key of a client network."""
    return blake2b(b"network\0" + network.encode(), digest_size=KEY_OCTETS).digest()


def triplet_key(network: str, reverse_path: ReversePath, recipient: Mailbox) -> bytes:
    """
    The key of a triplet.

    Reverse paths that differ only in what lists and bounces are told apart by are one: digits, the tag behind a plus
    sign, the signature of BATV. Otherwise each message of a list would be a stranger.
    """
    path = (
        "" if reverse_path is None else f"{_without_marks(reverse_path.local)}@{canonical_domain(reverse_path.domain)}"
    )
    to = f"{canonical_local(recipient.local)}@{canonical_domain(recipient.domain)}"
    # No control character is ever in an address.
    joined = "\0".join(("triplet", network, path, to)).encode("utf-8", "surrogatepass")
    return blake2b(joined, digest_size=KEY_OCTETS).digest()


def _without_marks(local: str) -> str:
    local = _BATV.sub("", canonical_local(local), count=1)
    stem = local.partition("+")[0] or local
    return _DIGITS.sub("#", stem)
