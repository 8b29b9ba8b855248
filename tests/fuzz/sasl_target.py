"""SASL: every mechanism, with any responses."""

import re

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.catalogue import MECHANISMS, MechanismNeeds
from smtpgw.smtp.sasl.mechanism import (
    MAX_NAME_OCTETS,
    MAX_PASSWORD_OCTETS,
    MAX_RESPONSE_OCTETS,
    Malformed,
    PasswordClaim,
    Proven,
    Rejected,
    SaslStep,
    TokenClaim,
)
from smtpgw.smtp.sasl.scram import derive_keys

_NAMES = tuple(MECHANISMS)
_KEYS = derive_keys("sha256", b"pencil", b"salt", 16)
_SUBJECTS = ("user", "Other@Example.com")
_NEEDS = MechanismNeeds(
    binding=lambda kind: b"bound" if kind == "tls-exporter" else None,
    find_keys=lambda name: _KEYS,
    nonce="fuzz",
    subjects=_SUBJECTS,
)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BETWEEN = b"\r\n"
_MOST_STEPS = 6


def sasl(octets: bytes) -> None:
    """The first octet chooses the mechanism, and whether there is an initial response; the rest are responses."""
    if not octets:
        return
    name = _NAMES[(octets[0] & 0x7F) % len(_NAMES)]
    mechanism = MECHANISMS[name](_NEEDS)
    responses = octets[1:].split(_BETWEEN)[:_MOST_STEPS]
    steps = 0
    if octets[0] & 0x80:
        step = mechanism.begin(None)
        assert isinstance(step, Challenge), step
    else:
        step = mechanism.begin(responses.pop(0))
        steps += 1
    for response in responses:
        _look(name, step)
        if isinstance(step, PasswordClaim | TokenClaim):
            challenge = mechanism.claim_failed()
            if challenge is None:
                break
            step = challenge
        elif not isinstance(step, Challenge):
            break
        step = mechanism.respond(response)
        steps += 1
    _look(name, step)
    if not isinstance(step, Challenge):
        # An exchange that is over lets nobody in later.
        after = mechanism.respond(octets[1:])
        assert not isinstance(after, Proven | PasswordClaim) or isinstance(step, TokenClaim), after
    assert steps <= _MOST_STEPS


def _look(name: str, step: SaslStep) -> None:
    match step:
        case Challenge():
            assert len(step.octets) <= MAX_RESPONSE_OCTETS, step
        case PasswordClaim():
            assert name in {"PLAIN", "LOGIN"}, (name, step)
            assert not _CONTROL.search(step.name + step.password), step
            assert 0 < len(step.name.encode()) <= 4 * MAX_NAME_OCTETS, step
            assert 0 < len(step.password.encode()) <= 4 * MAX_PASSWORD_OCTETS, step
        case TokenClaim():
            assert name in {"OAUTHBEARER", "XOAUTH2"}, (name, step)
            assert step.token.isascii(), step
            assert step.token.isprintable(), step
        case Proven():
            assert name not in {"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"}, (name, step)
            assert step.name in _SUBJECTS or name.startswith("SCRAM"), (name, step)
        case Rejected():
            assert step.cause.isascii(), step
            assert len(step.name) <= 4 * MAX_NAME_OCTETS, step
        case Malformed():
            assert step.cause.isascii(), step
