"""
The sink of ``deliver = "python:package.module:name"``: a user's own coroutine gets the message.

It returns: delivered. It raises Reject: failed, the sender is told. It raises Defer, or anything else, SystemExit and
KeyboardInterrupt included: delayed, tried again. One call for all the recipients of a message that the sink gets at
once, so they share the outcome.

The coroutine may await whatever Twisted can: other coroutines and Deferreds. An asyncio library works only when the
gateway runs on asyncio's loop (``twistd --reactor asyncio``), its futures wrapped by ``Deferred.fromFuture``.
"""

import inspect
from asyncio import CancelledError
from collections.abc import Awaitable, Callable
from typing import cast

from smtpgw.boundaries.spool import Body
from smtpgw.boundaries.world import Threads
from smtpgw.handlers.message import HEAD_OCTETS, IncomingMessage
from smtpgw.handlers.outcome import Defer, Reject
from smtpgw.handlers.target import TargetError as TargetError
from smtpgw.handlers.target import load_target
from smtpgw.model.envelope import Recipient
from smtpgw.model.message import Message
from smtpgw.model.outcome import Delayed, Delivered, Failed, Outcome, Scope

Handler = Callable[[IncomingMessage], Awaitable[object]]
"""What a user writes: ``async def name(message)``. What it returns is ignored."""

_DELIVERED = Delivered("handler")
_BROKEN = Delayed("4.3.0", "temporary trouble of the receiving program")
_CANCELLED = Delayed("4.3.0", "the receiving program was interrupted")


def load_callable(target: str) -> Handler:
    """
    What ``package.module:name`` names, ``name`` with dots inside it for attributes.

    Imports the module, so it runs the user's code: at start-up only.

    :raises TargetError: with one line that says what is wrong.
    """
    found = load_target(target)
    if not _is_async(found):
        raise TargetError(f"{target!r} is not async; write it as async def")
    return cast(Handler, found)


def _is_async(found: object) -> bool:
    if inspect.isclass(found):
        return False
    return inspect.iscoroutinefunction(found) or inspect.iscoroutinefunction(getattr(found, "__call__", None))  # noqa: B004


class CallbackSink:
    """A sink that awaits a user's coroutine."""

    def __init__(
        self,
        handler: Handler,
        threads: Threads,
        log_failure: Callable[[Message, BaseException], None],
        cancelled: tuple[type[BaseException], ...] = (CancelledError,),
    ) -> None:
        """
        :param log_failure: told of every exception that is neither of the others.
        :param cancelled: what a cancelled coroutine raises: asyncio's exception, and that of whoever runs this.
        """
        self._cancelled = cancelled
        self._handler = handler
        self._threads = threads
        self._log_failure = log_failure

    async def deliver(self, message: Message, recipients: tuple[Recipient, ...], body: Body) -> tuple[Outcome, ...]:
        """
        One outcome for all recipients.

        Cancelling cancels the user's coroutine; all recipients are delayed, whatever it had done by then.
        """
        outcome: Outcome = _DELIVERED
        try:
            head = body.inline()
            if head is None:
                head = await self._threads.run(_read_head, body)
            await self._handler(IncomingMessage(message, recipients, body, self._threads, head))
        except Reject as rejection:
            outcome = Failed(rejection.status, rejection.text, Scope.MESSAGE)
        except Defer as deferral:
            outcome = Delayed("4.3.0", deferral.text, retry_after_seconds=deferral.delay_seconds)
        except self._cancelled:
            outcome = _CANCELLED
        except GeneratorExit:
            raise
        # The user's code may raise anything, sys.exit() among it, and no message is lost or stuck by it.
        except BaseException as exception:  # noqa: BLE001
            self._log_failure(message, exception)
            outcome = _BROKEN
        return (outcome,) * len(recipients)


def _read_head(body: Body) -> bytes:
    """In a thread."""
    with body.open() as stream:
        return stream.read(HEAD_OCTETS)
