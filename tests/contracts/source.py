"""What every source of recipients promises, wherever they are kept."""

from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.question import Question, Source
from smtpgw.model.domains import LookupTrouble

if TYPE_CHECKING:
    _Case = SynchronousTestCase
else:
    _Case = object  # so that trial does not run the mixin by itself

DOMAIN = "ours.example"

RECIPIENTS = (
    "alice",
    "o'hara",
    "a%b",
    "bob+x",
    "with space",
    "back\\slash",
    "star*",
    "(round)",
    "jörg",
    'say"it"',
    "x" * 64,
)
"""Of the domain above, and of no other. What is no dot-string stands quoted in an address."""

STRANGERS = (
    "mallory",
    "alic",
    "alicee",
    "*",
    "a*",
    "%",
    "a%",
    "ali_e",
    "_____",
    "' OR '1'='1",
    "x' OR 1=1 --",
    "'; DROP TABLE recipients; --",
    "alice' --",
    "alice\\",
    "\\'",
    "alice)(mail=*",
    "*)(objectClass=*",
    "x)(|(mail=*",
    "\\2a",
    "a\\2a",
    "%2a",
    "alice%00",
    "alice?",
    "alice&address=alice@ours.example",
    "alice#",
    "{address}",
    "{local}",
    ":local",
    "%(local)s",
    "$1",
    "alice@ours.example",
    "x" * 63,
    "x" * 65,
    "ölice",
    "\u212a",
)


class MemoryThreads:
    """Does the work at once, in this thread."""

    async def run(self, function: Any, *arguments: Any) -> Any:
        """The result."""
        return function(*arguments)


class SourceContract(_Case):
    """
    Mixin for ``SynchronousTestCase``: implement :meth:`make_source`.

    Sources that need a reactor implement :meth:`result_of`, too.
    """

    recipients: tuple[str, ...] = RECIPIENTS
    strangers: tuple[str, ...] = STRANGERS

    def make_source(self) -> Source:
        """One that knows the recipients."""
        raise NotImplementedError

    def make_broken_source(self) -> Source:
        """One that can't be reached."""
        raise NotImplementedError

    def ask(self, source: Source, local: str, domain: str = DOMAIN) -> bool:
        """What it says, which must be there at once."""

        async def wait() -> bool:
            return await source(Question(local, domain))

        answer = self.successResultOf(Deferred.fromCoroutine(wait()))
        assert isinstance(answer, bool)
        return answer

    def trouble_of(self, source: Source) -> str:
        """What it says of its trouble, which must be there at once."""

        async def wait() -> bool:
            return await source(Question("alice", DOMAIN))

        return str(self.failureResultOf(Deferred.fromCoroutine(wait()), LookupTrouble, OSError).value)

    def test_known(self) -> None:
        """Every recipient is known, whatever characters its local part has."""
        source = self.make_source()
        for local in self.recipients:
            self.assertIs(self.ask(source, local), True, local)

    def test_unknown(self) -> None:
        """Nobody else is, and no text in an address changes what is asked."""
        source = self.make_source()
        for local in self.strangers:
            self.assertIs(self.ask(source, local), False, local)
        self.assertIs(self.ask(source, "alice"), True)

    def test_other_domain(self) -> None:
        """The recipient of one domain is none of another."""
        self.assertIs(self.ask(self.make_source(), "alice", "other.example"), False)

    def test_broken(self) -> None:
        """A source that can't be reached is trouble, never an answer."""
        self.trouble_of(self.make_broken_source())
