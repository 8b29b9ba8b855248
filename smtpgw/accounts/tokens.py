"""
The check of OAuth tokens that a user brings (``auth.tokens``): ``async def name(token, user)``.

It gives the account's name, or ``None`` for a token that is not good. What it raises, and its silence, is trouble of
ours: nobody is told that the token was wrong.
"""

from collections.abc import Awaitable, Callable
from typing import cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from smtpgw.sinks.callback import load_callable
from smtpgw.smtp.sasl.mechanism import MAX_NAME_OCTETS

_log = Logger(namespace="smtpgw.auth")

_DEADLINE_SECONDS = 10.0
_MOST = 100
"""Checks that run at the same time."""

CheckToken = Callable[[str, str], Awaitable[str | None]]
"""``async def name(token: str, user: str) -> str | None``; the user is empty where the client names none."""


class TokenTrouble(Exception):
    """The check can't tell now. Its text is for the log."""


def load_token_check(target: str) -> CheckToken:
    """
    What ``package.module:name`` names. Imports the module: at start-up only.

    :raises smtpgw.sinks.callback.TargetError: with one line that says what is wrong.
    """
    return cast(CheckToken, load_callable(target))


class TokenCheck:
    """Asks the user's check, with a deadline, and only so many times at once."""

    def __init__(
        self, check: CheckToken, clock: IReactorTime, deadline_seconds: float = _DEADLINE_SECONDS, most: int = _MOST
    ) -> None:
        self._check = check
        self._clock = clock
        self._deadline = deadline_seconds
        self._most = most
        self._running = 0

    async def identity(self, token: str, user: str) -> str | None:
        """
        Whose token it is; ``None`` when it is nobody's.

        Cancelling cancels the user's coroutine.

        :raises TokenTrouble: when that can't be told.
        """
        if self._running >= self._most:
            raise TokenTrouble("too many tokens are being checked")
        self._running += 1
        try:
            asked = Deferred.fromCoroutine(_ask(self._check, token, user))
            identity = await asked.addTimeout(self._deadline, self._clock, _out_of_time)
        finally:
            self._running -= 1
        if identity is None:
            return None
        if not isinstance(identity, str) or not _is_name(identity):
            raise TokenTrouble(f"the check of tokens gave {type(identity).__name__} that is no name")
        return identity


async def _ask(check: CheckToken, token: str, user: str) -> object:
    try:
        return await check(token, user)
    except CancelledError:
        raise
    # The user's code may raise anything, and none of it is the client's fault.
    except Exception as trouble:  # noqa: BLE001
        # Not its text, which may hold the token.
        frame = Failure().frames[-1]
        kind = type(trouble).__name__
        _log.error("the check of tokens raised {kind} in {file}:{line}", kind=kind, file=frame[1], line=frame[2])
        raise TokenTrouble(f"the check of tokens raised {kind}") from None


def _out_of_time(_result: object, _seconds: float) -> object:
    raise TokenTrouble("the check of tokens did not answer in time")


def _is_name(identity: str) -> bool:
    return bool(identity) and identity.isprintable() and len(identity.encode("utf-8", "replace")) <= MAX_NAME_OCTETS
