"""Recipients that a user's function knows."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.lane import Lane
from smtpgw.lookups.python import PythonFunction
from smtpgw.lookups.question import Question, Source
from smtpgw.model.domains import LookupTrouble
from tests.contracts.source import DOMAIN, RECIPIENTS, MemoryThreads, SourceContract
from tests.lookups.rig import waited

_KNOWN = {Question(local, DOMAIN).address for local in RECIPIENTS}


def source(function: Any) -> PythonFunction:
    """Of a function."""
    return PythonFunction(function, Lane(MemoryThreads()), (CancelledError,))


def _raise(error: BaseException) -> Any:
    raise error


class PlainTests(SourceContract, SynchronousTestCase):
    """A plain function."""

    def make_source(self) -> Source:
        """Of a set."""
        return source(lambda address: address in _KNOWN)

    def make_broken_source(self) -> Source:
        """It raises."""
        return source(lambda address: _raise(OSError("down")))


class AsyncTests(SourceContract, SynchronousTestCase):
    """An async def."""

    def make_source(self) -> Source:
        """Of a set."""

        async def known(address: str) -> bool:
            return address in _KNOWN

        return source(known)

    def make_broken_source(self) -> Source:
        """It raises."""

        async def known(address: str) -> bool:
            return bool(_raise(ZeroDivisionError("down")))

        return source(known)


class UserMistakeTests(SynchronousTestCase):
    """What a user's code may do."""

    def trouble(self, function: Any) -> str:
        """What it can't answer for."""
        failure = self.failureResultOf(waited(source(function)(Question("alice", DOMAIN))), LookupTrouble)
        return str(failure.value)

    def test_no_answer(self) -> None:
        """Whatever is neither True nor False is trouble, also what looks true."""

        async def nothing(address: str) -> None:
            return None

        async def yes(address: str) -> bool:
            return True

        for function in (nothing, lambda _: None, lambda _: 1, lambda _: "yes", lambda _: object()):
            self.assertIn("neither True nor False", self.trouble(function))
        # An async function behind a plain one: its coroutine is no answer either, and is closed.
        behind = lambda address: yes(address)  # noqa: E731, PLW0108 - not async itself
        self.assertIn("coroutine", self.trouble(behind))

    def test_raises(self) -> None:
        """Whatever it raises is trouble, SystemExit too, and its own LookupTrouble as it is."""
        for error in (ValueError("x"), SystemExit(1), KeyboardInterrupt()):

            async def later(address: str, error: BaseException = error) -> bool:
                raise error

            for function in (later, lambda _, error=error: _raise(error)):
                self.assertIn(type(error).__name__, self.trouble(function))
        self.assertEqual(self.trouble(lambda _: _raise(LookupTrouble("mine"))), "mine")

    def test_cancelled(self) -> None:
        """A question that is given up cancels the coroutine."""
        never: Deferred[bool] = Deferred()

        async def later(address: str) -> bool:
            return await never

        asked = waited(source(later)(Question("alice", DOMAIN)))
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertTrue(never.called)

    def test_object(self) -> None:
        """An object that can be called will do."""

        class Known:
            async def __call__(self, address: str) -> bool:
                return address == f"alice@{DOMAIN}"

        self.assertIs(self.successResultOf(waited(source(Known())(Question("alice", DOMAIN)))), True)
