"""Recipients that a mail host on loopback knows."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from smtpgw.lookups.callahead import CallAheadPlace
from smtpgw.model.domains import LookupTrouble
from smtpgw.net.deadline import ReactorTasks
from smtpgw.service.lookups_sources import LookupSources
from smtpgw.testing.personality import GOOD, OLD, OVERLOADED, Personality
from smtpgw.testing.receivers import Receiver

_KNOWN = "alice@ours.example"
_UNKNOWN = "550 5.1.1 No such user here"


class CallAheadTests(TestCase):
    """From the configuration to the answer, without a mail."""

    timeout = 60

    def start(self, personality: Personality) -> Any:
        """A host, and what asks it."""
        self.host = Receiver(reactor, "mx.test", personality)
        self.host.listen("127.0.0.1", 0)
        self.addCleanup(self.host.stop)
        sources = LookupSources(reactor, ReactorTasks(reactor), hostname="gw.test")
        sources.start()
        self.addCleanup(sources.stop)
        return sources.look_up(CallAheadPlace("127.0.0.1", self.host.port))

    async def answer(self, lookup: Any, local: str) -> bool:
        """Waited for if it must be."""
        found = lookup(local, "ours.example")
        return found if isinstance(found, bool) else bool(await found)

    async def test_known_and_unknown(self) -> None:
        """Asked once for each, by a host of today and by one of 1982, and no mail sent."""
        for personality in (GOOD, OLD):
            answers = {"mallory@ours.example": _UNKNOWN}
            old = Personality(
                starttls=False, esmtp=personality.esmtp, pipelining=personality.pipelining, rcpt_answers=answers
            )
            lookup = self.start(old)
            for _ in range(3):
                self.assertIs(await self.answer(lookup, "alice"), True)
                self.assertIs(await self.answer(lookup, "mallory"), False)
            commands = [line for _, line in self.host.commands]
            self.assertEqual(sum(line.upper().startswith(b"RCPT") for line in commands), 2)
            self.assertFalse(any(line.upper().startswith(b"DATA") for line in commands))
            self.assertEqual((self.host.messages, self.host.offences, self.host.sessions), ([], [], 1))

    async def test_trouble(self) -> None:
        """A host that greylists, is too busy, needs TLS or hangs up says nothing about its recipients."""
        for personality in (
            Personality(answers={"rcpt": "451 4.7.1 Greylisted"}),
            Personality(answers={"rcpt": "550 5.7.1 Your address is blocked"}),
            OVERLOADED,
            Personality(requires_tls=True),
            Personality(drop_at="rcpt"),
            Personality(drop_at="connect"),
        ):
            lookup = self.start(personality)
            with self.assertRaises(LookupTrouble, msg=personality):
                await self.answer(lookup, "alice")

    async def test_many(self) -> None:
        """Fifty at a time over four connections."""
        lookup = self.start(GOOD)
        asked = [Deferred.fromCoroutine(self.answer(lookup, f"u{number}")) for number in range(50)]
        self.assertEqual(await gatherResults(asked), [True] * 50)
        self.assertLessEqual(self.host.sessions, 4)
        self.assertEqual(self.host.offences, [])
