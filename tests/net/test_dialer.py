"""Mail over real connections on loopback, in clear text and over TLS."""

import os
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.envelope import TlsFacts
from smtpgw.model.outcome import Failed, Relayed
from smtpgw.model.route import Hop, TlsNeed
from smtpgw.net.dialer import BrokenTls
from smtpgw.net.server_certificate import self_signed
from smtpgw.net.server_tls import server_context
from tests.clauses import holds
from tests.net.rude_servers import LoopbackCase, Owner, RudeHost
from tests.smtp.test_conversation import TRACE, make_job
from tests.smtp.test_conversation_envelope import job_with


class BrokenTlsTests(SynchronousTestCase):
    """Whose TLS is broken is remembered for an hour, in bounded memory."""

    def test_an_hour(self) -> None:
        """Then TLS gets another chance; each failure counts anew."""
        clock = Clock()
        broken = BrokenTls(clock)
        hop = Hop("mx", "192.0.2.1", 25)
        self.assertFalse(broken.knows(hop))
        broken.remember(hop)
        clock.advance(3000)
        broken.remember(hop)
        clock.advance(3000)
        self.assertTrue(broken.knows(hop))
        self.assertFalse(broken.knows(Hop("mx", "192.0.2.2", 25)))
        self.assertFalse(broken.knows(Hop("mx", "192.0.2.1", 26)))
        clock.advance(700)
        self.assertFalse(broken.knows(hop))
        self.assertEqual(broken._until, {})

    def test_bounded(self) -> None:
        """Of ten thousand and one, the oldest is forgotten."""
        broken = BrokenTls(Clock())
        hops = [Hop("mx", f"10.0.{number // 250}.{number % 250}", 25) for number in range(10_001)]
        for hop in hops:
            broken.remember(hop)
        self.assertEqual([broken.knows(hops[0]), broken.knows(hops[1]), broken.knows(hops[-1])], [False, True, True])
        self.assertEqual(len(broken._until), 10_000)


class ClearTextTests(LoopbackCase):
    """Without TLS."""

    async def test_messages(self) -> None:
        """Small and large messages, with and without PIPELINING, arrive octet for octet."""
        large = b".\r\n" + b"x" * 75 + b"\r\n.." + os.urandom(3_000_000).hex().encode() + b"\r\n"
        for keywords in [(), ("PIPELINING",)]:
            contents = [b"a\r\n", large, b".\r\n", large]
            owner = Owner(*(make_job(content=content, inline=len(content) < 100_000) for content in contents))
            host = RudeHost(*keywords)
            self.open(self.dialer(), self.listen(host), owner)
            self.assertIsNone(await owner.ended)
            self.assertEqual([content for _, _, content in host.messages], [TRACE + content for content in contents])
            for (outcome,) in owner.outcomes:
                self.assertIsInstance(outcome, Relayed)
            self.assertEqual(len(host.connections), 1)

    async def test_source(self) -> None:
        """The source address is used."""
        owner = Owner()
        host = RudeHost()
        self.open(self.dialer(), self.listen(host), owner, source="127.0.0.1")
        self.assertIsNone(await owner.ended)

    async def test_source_not_ours(self) -> None:
        """A source address that isn't ours is a failure to connect, in words."""
        owner = Owner()
        self.open(self.dialer(), self.listen(RudeHost()), owner, source="192.0.2.7")
        failure = await owner.ended
        assert failure is not None
        self.assertEqual(failure.stage, "connect")
        self.assertIn("from here", failure.reason)

    async def test_nobody_there(self) -> None:
        """A port where nobody listens."""
        host = RudeHost()
        hop = self.listen(host)
        owner = Owner()
        self.open(self.dialer(), Hop("mx", "127.0.0.1", 1), owner)
        failure = await owner.ended
        assert failure is not None
        self.assertEqual((failure.stage, failure.permanent), ("connect", False))
        self.assertNotEqual(hop.port, 1)


class TlsTests(LoopbackCase):
    """With TLS."""

    def setUp(self) -> None:
        folder = self.mktemp()
        Path(folder).mkdir()
        self.certificate, key = self_signed("mx.example.net", folder)
        self.tls = server_context(self.certificate, key)

    def host(self) -> RudeHost:
        """A host with STARTTLS."""
        host = RudeHost("STARTTLS", "PIPELINING")
        host.tls = self.tls
        return host

    async def facts(self, need: TlsNeed, name: str, ca_path: str | None) -> TlsFacts | None:
        """Of a link to a host that has our certificate, after a message small and a large one."""
        host = self.host()
        contents = [b"a\r\n", b".x" * 400_000 + b"\r\n"]
        owner = Owner(make_job(content=contents[0]), make_job(content=contents[1], inline=False))
        self.open(self.dialer(ca_path=ca_path), self.listen(host, name), owner, need)
        failure = await owner.ended
        if owner.facts:
            self.assertIsNone(failure)
            self.assertEqual([content for _, _, content in host.messages], [TRACE + content for content in contents])
            self.assertEqual([outcome.tls for (outcome,) in owner.outcomes], [owner.facts[0].tls] * 2)  # type: ignore[union-attr]
            self.assertIn("EHLO", host.connections[0].receiver.verbs)
            return owner.facts[0].tls
        assert failure is not None
        self.assertEqual((failure.stage, failure.permanent), ("tls", False))
        self.assertEqual(host.messages, [])
        return None

    async def test_opportunistic(self) -> None:
        """Any certificate will do; whether it is verified is known."""
        facts = await self.facts(TlsNeed.OPPORTUNISTIC, "mx.example.net", None)
        assert facts is not None
        self.assertEqual((facts.version, facts.verified), ("TLSv1.3", False))
        self.assertTrue(facts.cipher.startswith("TLS_"))
        facts = await self.facts(TlsNeed.OPPORTUNISTIC, "mx.example.net", self.certificate)
        assert facts is not None
        self.assertTrue(facts.verified)

    @holds(
        "8689", "4.2.1", "What the server offers before the handshake does not count, and its certificate must hold."
    )
    async def test_requiretls(self) -> None:
        """A message with REQUIRETLS goes with it where the certificate is verified, and nowhere else."""
        for ca_path, status in ((self.certificate, ""), (None, "5.7.10")):
            host = RudeHost("STARTTLS", "PIPELINING", "REQUIRETLS", "DSN")
            host.tls = self.tls
            owner = Owner(job_with(requires_tls=True, envelope_id="E 1"), make_job())
            self.open(self.dialer(ca_path=ca_path), self.listen(host, "mx.example.net"), owner, TlsNeed.OPPORTUNISTIC)
            self.assertIsNone(await owner.ended)
            (first,), (second,) = owner.outcomes
            self.assertIsInstance(second, Relayed)
            with_it = [mail for mail, _, _ in host.messages if b" REQUIRETLS ENVID=E+201" in mail]
            self.assertEqual((len(host.messages), len(with_it)), (1, 0) if status else (2, 1))
            self.assertEqual(first.status if isinstance(first, Failed) else "", status)

    async def test_required(self) -> None:
        """TLS, whoever it is."""
        self.assertIsNotNone(await self.facts(TlsNeed.REQUIRED, "other.example", None))

    async def test_verify(self) -> None:
        """Only a trusted certificate with the host's name."""
        facts = await self.facts(TlsNeed.VERIFY, "mx.example.net", self.certificate)
        assert facts is not None
        self.assertTrue(facts.verified)
        self.assertIsNone(await self.facts(TlsNeed.VERIFY, "mx.example.net", None))
        self.assertIsNone(await self.facts(TlsNeed.VERIFY, "other.example", self.certificate))
        self.assertIsNone(await self.facts(TlsNeed.VERIFY, "127.0.0.1", self.certificate))

    async def test_off(self) -> None:
        """No TLS where none is wanted."""
        host = self.host()
        owner = Owner(make_job())
        self.open(self.dialer(), self.listen(host), owner, TlsNeed.OFF)
        self.assertIsNone(await owner.ended)
        self.assertEqual(owner.facts[0].tls, None)
        self.assertEqual(len(host.messages), 1)
