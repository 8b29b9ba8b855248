"""Whatever happens in whatever order: no exception, each job reported once, one end, bounded memory."""

from collections.abc import Callable
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.relay import Job
from smtpgw.model.outcome import Delayed, Failed, Relayed
from smtpgw.model.route import TlsNeed
from smtpgw.smtp.conversation import Conversation, Phase
from tests.smtp.test_conversation import FACTS, Stage, make_job
from tests.smtp.test_conversation_envelope import job_with

_REPLIES = [
    b"220 go\r\n",
    b"250 2.0.0 ok\r\n",
    b"250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
    b"250-mx\r\n250 PIPELINING\r\n",
    b"354 go\r\n",
    b"421 4.3.2 bye\r\n",
    b"450 4.2.0 later\r\n",
    b"550 5.1.1 no\r\n",
    b"250 2.0.0 half",
    b"-half\r\n",
    b"\r\n",
    b"garbage\r\n",
    b"\xff\x00",
]
_EVENTS: dict[str, Callable[[Conversation], object]] = {
    "secured": lambda conversation: conversation.secured(FACTS),
    "sent": lambda conversation: conversation.content_sent(b".\r\n"),
    "lost content": lambda conversation: conversation.content_lost("disk"),
    "lost": lambda conversation: conversation.lost("gone"),
    "expire": lambda conversation: conversation.expire(),
    "resume": lambda conversation: conversation.resume(),
    "close": lambda conversation: conversation.close(),
    "abort": lambda conversation: conversation.abort(),
}
_STEPS: list[bytes | str] = [*_REPLIES, *_EVENTS]
_LIKELY: list[bytes | str] = ["sent", "secured", "resume", *_REPLIES[6:8]]
_NEEDS = list(TlsNeed)


class Walker(Stage):
    """Counts the jobs that were given, and ends the link from within its own callbacks when told to."""

    def __init__(self, need: TlsNeed, jobs: list[Job], ends_at: int) -> None:
        super().__init__(need, *jobs)
        self.given = 0
        self._ends_at = ends_at

    def _give(self) -> None:
        self._ends_at -= 1
        if self._ends_at == 0:
            self.conversation.close()
        elif self._ends_at == -1:
            self.conversation.abort()
        elif self.jobs:
            self.given += 1
            self.conversation.send(self.jobs.pop(0))


def walk(need: TlsNeed, steps: list[bytes | str], ends_at: int) -> Walker:
    """Take the steps, then lose the connection, and check what must always hold."""
    jobs = [
        make_job("b@example.net", "c@example.net"),
        make_job("\u00fc@example.net"),
        make_job(inline=False),
        job_with(requires_tls=True),
        make_job(),
    ] * 3
    walker = Walker(need, jobs, ends_at)
    for step in steps:
        if isinstance(step, bytes):
            walker.conversation.receive(step)
        else:
            _EVENTS[step](walker.conversation)
        seconds = walker.conversation.patience_seconds
        assert seconds is None or seconds > 0
        assert len(walker.conversation._reader._buffer) < 100_000
    walker.conversation.resume()
    walker.conversation.lost("gone")
    assert walker.conversation.phase is Phase.CLOSED
    names = walker.names
    assert names.count("finished") == walker.given, (names, walker.given)
    assert names.count("failed") + names.count("gone") == 1, names
    assert names[-1] in {"failed", "gone"}, names
    for outcomes in walker.outcomes:
        assert all(isinstance(outcome, Relayed | Delayed | Failed) for outcome in outcomes)
    if any(isinstance(outcome, Relayed) for outcomes in walker.outcomes for outcome in outcomes):
        assert b"250 2.0.0 ok\r\n" in [step for step in steps if isinstance(step, bytes)]
    return walker


_LIMITED = b"250-mx\r\n250-PIPELINING\r\n250 LIMITS MAILMAX=3 RCPTMAX=1\r\n"


class WalkTests(SynchronousTestCase):
    """Every event in every state."""

    def test_table(self) -> None:
        """Each event, and each reply, at each point of a long conversation."""
        way: list[bytes | str] = [
            b"220 go\r\n",
            b"250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n",
            b"220 go\r\n",
            "secured",
            b"250-mx\r\n250 PIPELINING\r\n",
            *[b"250 2.0.0 ok\r\n"] * 3,
            b"354 go\r\n",
            *[b"250 2.0.0 ok\r\n"] * 3,
            b"354 go\r\n",
            "sent",
            b"250 2.0.0 ok\r\n",
            b"550 5.1.1 no\r\n",
        ]
        seen = set()
        for need in _NEEDS:
            for length in range(len(way) + 1):
                for event in _STEPS:
                    walker = walk(need, [*way[:length], event], -99)
                    seen.update(walker.names)
        self.assertEqual(seen, {"ready", "failed", "wants_job", "finished", "gone"})

    def test_random_walks(self) -> None:
        """Two thousand long walks in which most steps make sense."""
        random = Random(7)
        relayed = 0
        for _ in range(2000):
            steps: list[bytes | str] = [b"220 go\r\n", random.choice([*_REPLIES[1:4], _LIMITED])]
            for _ in range(random.randrange(40)):
                kind = random.random()
                if kind < 0.6:
                    steps.extend([b"250 2.0.0 ok\r\n"] * random.randrange(1, 4) + [b"354 go\r\n"] * random.randrange(2))
                elif kind < 0.9:
                    steps.append(random.choice(_LIKELY))
                else:
                    steps.append(random.choice(_STEPS))
            walker = walk(random.choice(_NEEDS), steps, random.randrange(-3, 9) or -3)
            relayed += sum(isinstance(outcome, Relayed) for outcomes in walker.outcomes for outcome in outcomes)
        self.assertGreater(relayed, 100)

    @settings(max_examples=300, deadline=None)
    @given(
        st.sampled_from(_NEEDS),
        st.lists(st.sampled_from(_STEPS) | st.binary(max_size=20), max_size=25),
        st.integers(1, 9),
    )
    def test_anything(self, need: TlsNeed, steps: list[bytes | str], ends_at: int) -> None:
        """Any steps at all."""
        walk(need, steps, ends_at)
