"""Next hops whose STARTTLS is broken, refused, or used for an attack."""

from pathlib import Path

from smtpgw.model.outcome import Relayed
from smtpgw.model.route import TlsNeed
from smtpgw.net.server_certificate import self_signed
from smtpgw.net.server_tls import server_context
from tests.net.rude_servers import LoopbackCase, Owner, RudeHost
from tests.smtp.test_conversation import make_job


class BrokenHandshakeTests(LoopbackCase):
    """A handshake that doesn't work."""

    def host(self, breaks_with: bytes) -> RudeHost:
        """Says 220, then this."""
        host = RudeHost("STARTTLS", "PIPELINING")
        host.breaks_with = breaks_with
        return host

    async def test_opportunistic(self) -> None:
        """Mail goes in clear text on a second connection; the next link doesn't try TLS again for a while."""
        for breaks_with in [
            b"<drop>",
            b"500 what?\r\n",
            b"\x16\x03\x03\x00\x04\x63\x00\x00\x00",
            b"\x15\x03\x01\x00\x02\x02\x28",
        ]:
            host = self.host(breaks_with)
            hop = self.listen(host)
            dialer = self.dialer()
            for connections in [2, 3]:
                owner = Owner(make_job())
                self.open(dialer, hop, owner)
                self.assertIsNone(await owner.ended)
                self.assertEqual(owner.events, ["ready", "wants_job", "finished", "gone"])
                self.assertIsNone(owner.facts[0].tls)
                ((outcome,),) = owner.outcomes
                self.assertIsInstance(outcome, Relayed)
                self.assertEqual(len(host.connections), connections, breaks_with)

    async def test_needed(self) -> None:
        """Where TLS is needed nothing goes in clear text."""
        for need in [TlsNeed.REQUIRED, TlsNeed.VERIFY]:
            host = self.host(b"<drop>")
            owner = Owner(make_job())
            self.open(self.dialer(), self.listen(host), owner, need)
            failure = await owner.ended
            assert failure is not None
            self.assertEqual((failure.stage, failure.permanent), ("tls", False))
            self.assertEqual(len(host.connections), 1)
            self.assertNotIn(b"MAIL", b"".join(host.heard))

    async def test_silent(self) -> None:
        """A handshake that never goes on has its own time."""
        host = self.host(b"")
        owner = Owner(make_job())
        self.open(self.dialer(handshake_timeout_seconds=0.2), self.listen(host), owner)
        self.assertIsNone(await owner.ended)
        self.assertEqual(len(host.connections), 2)
        self.assertEqual(len(host.messages), 1)

    async def test_dropped_inside(self) -> None:
        """A host that ends the connection as soon as TLS stands is spoken to in clear text."""
        folder = self.mktemp()
        Path(folder).mkdir()
        host = RudeHost("STARTTLS")
        host.tls = server_context(*self_signed("mx.example.net", folder))
        host.faults_inside = {("EHLO", 1): b"<drop>"}
        owner = Owner(make_job())
        self.open(self.dialer(), self.listen(host), owner)
        self.assertIsNone(await owner.ended)
        self.assertIsNone(owner.facts[0].tls)
        self.assertEqual(len(host.messages), 1)


class RefusedTests(LoopbackCase):
    """STARTTLS offered and then refused."""

    async def test_opportunistic(self) -> None:
        """Mail goes on in clear text on the same connection."""
        for reply in [b"454 4.7.0 TLS not available\r\n", b"502 5.5.1 unknown\r\n"]:
            host = RudeHost("STARTTLS", faults={("STARTTLS", 1): reply})
            owner = Owner(make_job())
            self.open(self.dialer(), self.listen(host), owner)
            self.assertIsNone(await owner.ended)
            self.assertEqual((len(host.connections), len(host.messages)), (1, 1))

    async def test_closing(self) -> None:
        """A host that closes instead is spoken to in clear text on another connection."""
        host = RudeHost("STARTTLS", faults={("STARTTLS", 1): b"421 4.7.0 no\r\n<drop>"})
        owner = Owner(make_job())
        self.open(self.dialer(), self.listen(host), owner)
        self.assertIsNone(await owner.ended)
        self.assertEqual((len(host.connections), len(host.messages)), (2, 1))

    async def test_needed(self) -> None:
        """Mail that needs TLS waits."""
        host = RudeHost("STARTTLS", faults={("STARTTLS", 1): b"454 4.7.0 TLS not available\r\n"})
        owner = Owner(make_job())
        self.open(self.dialer(), self.listen(host), owner, TlsNeed.REQUIRED)
        failure = await owner.ended
        assert failure is not None
        assert failure.reply is not None
        self.assertEqual((failure.stage, failure.permanent, failure.reply.code), ("tls", False, 454))


class InjectionTests(LoopbackCase):
    """Replies written behind the 220, in clear text, for the client to find inside TLS."""

    async def test_dropped(self) -> None:
        """The connection is dropped, no handshake is begun, nothing is sent, not even in clear text."""
        folder = self.mktemp()
        Path(folder).mkdir()
        tls = server_context(*self_signed("mx.example.net", folder))
        for need in [TlsNeed.OPPORTUNISTIC, TlsNeed.REQUIRED]:
            for injected in [b"250-mx\r\n250 PIPELINING\r\n" + b"250 ok\r\n" * 5, b"250 o"]:
                host = RudeHost("STARTTLS")
                host.tls = tls
                host.behind_220 = injected
                owner = Owner(make_job())
                self.open(self.dialer(), self.listen(host), owner, need)
                failure = await owner.ended
                assert failure is not None
                self.assertEqual((failure.stage, failure.permanent), ("tls", False))
                self.assertEqual(owner.outcomes, [])
                self.assertEqual(len(host.connections), 1)
                self.assertNotIn(b"MAIL", b"".join(host.heard))
