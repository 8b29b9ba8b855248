"""Next hops that break off, fall silent or babble, over real connections."""

from smtpgw.model.outcome import Delayed, Failed, Relayed, Scope
from smtpgw.model.route import TlsNeed
from tests.net.rude_servers import LoopbackCase, Owner, RudeHost
from tests.smtp.test_conversation import make_job


class FaultTests(LoopbackCase):
    """One fault for each host."""

    async def outcome(self, host: RudeHost, **times: float) -> tuple[Owner, str]:
        """What became of one message with two recipients; the stage of the failure."""
        owner = Owner(make_job("b@example.net", "c@example.net"))
        self.open(self.dialer(None, **times), self.listen(host), owner, TlsNeed.OFF)
        failure = await owner.ended
        return owner, "" if failure is None else failure.stage

    async def test_drops(self) -> None:
        """A connection dropped at each stage."""
        for verb, stage, scope in [
            ("", "greeting", None),
            ("EHLO", "ehlo", None),
            ("MAIL", "transaction", Scope.HOST),
            ("RCPT", "transaction", Scope.HOST),
            ("DATA", "transaction", Scope.HOST),
            (".", "transaction", Scope.MESSAGE),
        ]:
            for keywords in [(), ("PIPELINING",)]:
                owner, ended = await self.outcome(RudeHost(*keywords, faults={(verb, 1): b"<drop>"}))
                self.assertEqual(ended, stage)
                if scope is None:
                    self.assertEqual(owner.outcomes, [])
                    continue
                ((first, second),) = owner.outcomes
                assert isinstance(first, Delayed)
                self.assertEqual((first.scope, first), (scope, second))

    async def test_silence(self) -> None:
        """Silence at each stage, each with its own time."""
        for verb, stage, name in [
            ("", "greeting", "command_timeout_seconds"),
            ("EHLO", "ehlo", "command_timeout_seconds"),
            ("RCPT", "transaction", "command_timeout_seconds"),
            ("DATA", "transaction", "data_timeout_seconds"),
            (".", "transaction", "final_timeout_seconds"),
        ]:
            owner, ended = await self.outcome(RudeHost(faults={(verb, 1): b""}), **{name: 0.1})
            self.assertEqual(ended, stage)
            for outcomes in owner.outcomes:
                self.assertIsInstance(outcomes[0], Delayed)

    async def test_floods(self) -> None:
        """A host that doesn't stop talking."""
        for flood in [b"250-x\r\n" * 1_000_000, b"x" * 4_000_000]:
            owner, ended = await self.outcome(RudeHost(faults={("RCPT", 2): flood}))
            self.assertEqual(ended, "transaction")
            ((first, _),) = owner.outcomes
            self.assertIsInstance(first, Delayed)

    async def test_mixed(self) -> None:
        """One recipient refused, one accepted."""
        for keywords in [(), ("PIPELINING",)]:
            owner, ended = await self.outcome(RudeHost(*keywords, faults={("RCPT", 1): b"550 5.1.1 who?\r\n"}))
            self.assertEqual(ended, "")
            ((first, second),) = owner.outcomes
            self.assertIsInstance(first, Failed)
            self.assertIsInstance(second, Relayed)

    async def test_stays_open(self) -> None:
        """A host that doesn't close after QUIT, and one that doesn't answer it, are left within seconds."""
        for answer in [b"221 bye\r\n", b""]:
            host = RudeHost(faults={("QUIT", 1): answer})
            host.closes = False
            owner, ended = await self.outcome(host, quit_timeout_seconds=0.1)
            self.assertEqual((ended, owner.events), ("", ["ready", "finished", "wants_job", "gone"]))
            ((first, _),) = owner.outcomes
            self.assertIsInstance(first, Relayed)
