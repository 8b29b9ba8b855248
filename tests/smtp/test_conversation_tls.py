"""STARTTLS as the client sees it, without TLS itself."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.relay import LinkFailure
from smtpgw.model.envelope import TlsFacts
from smtpgw.model.outcome import Relayed
from smtpgw.model.reply import Reply
from smtpgw.model.route import TlsNeed
from tests.clauses import holds
from tests.smtp.test_conversation import FACTS, HOP_NAMES, Stage, make_job

_OFFER = b"250-mx\r\n250-PIPELINING\r\n250-SIZE 5000\r\n250 StartTLS\r\n"


def offered(need: TlsNeed, *, clear: bool = False) -> Stage:
    """After a reply to EHLO that offers STARTTLS."""
    stage = Stage(need, make_job(), clear=clear)
    stage.hear(b"220 x\r\n")
    stage.hear(_OFFER)
    return stage


def secured(need: TlsNeed, facts: TlsFacts = FACTS, doubt: str = "") -> Stage:
    """After the handshake."""
    stage = offered(need)
    stage.hear(b"220 go\r\n")
    stage.conversation.secured(facts, doubt)
    return stage


class UpgradeTests(SynchronousTestCase):
    """TLS is begun when it is offered, and everything from before is forgotten."""

    @holds("3207", "4.2", "As a client, EHLO is said again inside TLS, and only what is offered there counts.")
    def test_upgrade(self) -> None:
        """STARTTLS, handshake, EHLO again, and only what that offers counts."""
        stage = offered(TlsNeed.OPPORTUNISTIC)
        self.assertEqual(stage.sent, b"STARTTLS\r\n")
        self.assertEqual(stage.hear(b"220 go\r\n"), b"")
        self.assertEqual(stage.actions, ["tls"])
        self.assertEqual(stage.conversation.patience_seconds, 60)
        stage.conversation.secured(FACTS)
        self.assertEqual(stage.sent, b"EHLO gw.example.com\r\n")
        # No PIPELINING, no SIZE any more: the MAIL command shows that they are forgotten.
        self.assertEqual(stage.hear(b"250 mx\r\n"), b"MAIL FROM:<alice@example.com>\r\n")
        self.assertEqual(stage.events, [("ready", FACTS)])
        for octets in [b"250 x\r\n", b"250 x\r\n", b"354 x\r\n", b"250 x\r\n"]:
            stage.conversation.receive(octets)
        self.assertEqual(stage.outcomes, [(Relayed(Reply(250, "", ("x",)), *HOP_NAMES, FACTS),)])

    def test_not_twice(self) -> None:
        """STARTTLS offered again inside TLS is passed over."""
        stage = secured(TlsNeed.REQUIRED)
        stage.hear(b"250-mx\r\n250 STARTTLS\r\n")
        self.assertEqual(stage.events, [("ready", FACTS)])

    def test_helo_inside(self) -> None:
        """A host that refuses EHLO inside TLS is spoken to with HELO."""
        stage = secured(TlsNeed.REQUIRED)
        self.assertEqual(stage.hear(b"500 x\r\n"), b"HELO gw.example.com\r\n")

    def test_off(self) -> None:
        """Without wish for TLS, or with a host whose TLS is broken, it isn't begun."""
        for need, clear in [(TlsNeed.OFF, False), (TlsNeed.OPPORTUNISTIC, True)]:
            self.assertEqual(offered(need, clear=clear).events, [("ready", None)])

    def test_needed(self) -> None:
        """What is known of a broken TLS doesn't count where TLS is needed."""
        for need in [TlsNeed.REQUIRED, TlsNeed.VERIFY]:
            self.assertEqual(offered(need, clear=True).sent, b"STARTTLS\r\n")

    def test_verified(self) -> None:
        """Only VERIFY asks for a certificate that holds."""
        good = TlsFacts("TLSv1.3", "X", True)
        self.assertEqual(secured(TlsNeed.VERIFY, good).sent, b"EHLO gw.example.com\r\n")
        self.assertEqual(secured(TlsNeed.REQUIRED, FACTS, "self-signed").sent, b"EHLO gw.example.com\r\n")
        stage = secured(TlsNeed.VERIFY, FACTS, "it has expired")
        self.assertEqual(
            stage.events, [("failed", LinkFailure("tls", "the certificate is not verified: it has expired"), False)]
        )
        self.assertEqual(stage.actions, ["tls", "abort"])


class DowngradeTests(SynchronousTestCase):
    """Without TLS: on in clear text, or the end."""

    def test_not_offered(self) -> None:
        """A host without STARTTLS."""
        for need, ready in [(TlsNeed.OPPORTUNISTIC, True), (TlsNeed.REQUIRED, False), (TlsNeed.VERIFY, False)]:
            stage = Stage(need, make_job())
            stage.hear(b"220 x\r\n")
            stage.hear(b"250 mx\r\n")
            self.assertEqual(stage.names, ["ready"] if ready else ["failed"])
            if not ready:
                self.assertEqual(stage.sent, b"QUIT\r\n")
                self.assertEqual(stage.events[0][1], LinkFailure("tls", "the host does not offer STARTTLS"))

    def test_no_ehlo(self) -> None:
        """A host that knows only HELO has no STARTTLS, which is not for ever."""
        stage = Stage(TlsNeed.REQUIRED, make_job())
        stage.hear(b"220 x\r\n")
        stage.hear(b"500 what?\r\n")
        failure = stage.events[0][1]
        assert isinstance(failure, LinkFailure)
        self.assertEqual((failure.stage, failure.permanent), ("tls", False))

    def test_refused(self) -> None:
        """STARTTLS refused: opportunistic mail goes on where it stands; other mail stops."""
        for octets in [b"454 4.7.0 not now\r\n", b"502 5.5.1 no\r\n"]:
            stage = offered(TlsNeed.OPPORTUNISTIC)
            self.assertTrue(stage.hear(octets).startswith(b"MAIL"), octets)
            for need in [TlsNeed.REQUIRED, TlsNeed.VERIFY]:
                stage = offered(need)
                self.assertEqual(stage.hear(octets), b"QUIT\r\n")
                failure = stage.events[0][1]
                assert isinstance(failure, LinkFailure)
                self.assertEqual((failure.stage, failure.permanent), ("tls", False))

    def test_broken(self) -> None:
        """Drop, silence, garbage or 421 from STARTTLS to the first reply inside: TLS is to blame."""
        stages: list[list[bytes | None]] = [[], [b"220 go\r\n"], [b"220 go\r\n", None]]
        for before in stages:
            for fault in ["drop", "silence", "garbage", "421"]:
                stage = offered(TlsNeed.OPPORTUNISTIC)
                for octets in before:
                    if octets is None:
                        stage.conversation.secured(FACTS)
                    else:
                        stage.conversation.receive(octets)
                if fault == "drop":
                    stage.conversation.lost("dropped")
                elif fault == "silence":
                    stage.conversation.expire()
                elif len(before) == 1:
                    continue  # in a handshake nothing is read
                else:
                    stage.conversation.receive({"garbage": b"x\r\n", "421": b"421 x\r\n"}[fault])
                self.assertEqual(stage.names, ["failed"])
                if len(before) == 2 and fault == "421":
                    continue  # spoken by the host itself, inside TLS
                failure = stage.events[0][1]
                assert isinstance(failure, LinkFailure)
                self.assertEqual((failure.stage, stage.events[0][2]), ("tls", True), (before, fault))

    def test_wrong_code(self) -> None:
        """Only 220 begins TLS."""
        for octets in [b"250 ok\r\n", b"354 ok\r\n"]:
            stage = offered(TlsNeed.OPPORTUNISTIC)
            stage.hear(octets)
            self.assertEqual(stage.actions, ["abort"])


class InjectionTests(SynchronousTestCase):
    """Replies written in clear text are never read as if they came inside TLS."""

    @holds("3207", "4.2", "As a client, octets behind the 220 to STARTTLS end the connection.")
    def test_behind_the_reply(self) -> None:
        """Any octets behind the 220, a whole reply or part of one, end the connection, without clear text after it."""
        for extra in [b"250 injected\r\n", b"250-inj", b"\r\n", b"x", b"421 x\r\n"]:
            for need in [TlsNeed.OPPORTUNISTIC, TlsNeed.REQUIRED, TlsNeed.VERIFY]:
                stage = offered(need)
                stage.conversation.receive(b"220 go\r\n" + extra)
                self.assertEqual(stage.actions, ["abort"])
                self.assertEqual(stage.names, ["failed"])
                failure = stage.events[0][1]
                assert isinstance(failure, LinkFailure)
                self.assertEqual((failure.stage, stage.events[0][2]), ("tls", False))

    def test_before_the_command(self) -> None:
        """A 220 that came before STARTTLS was said doesn't begin TLS."""
        stage = Stage(TlsNeed.OPPORTUNISTIC, make_job())
        stage.hear(b"220 x\r\n")
        stage.hear(_OFFER + b"220 go\r\n")
        self.assertEqual(stage.actions, ["abort"])

    def test_half_lines(self) -> None:
        """Half a line from before the handshake is dropped with the connection, cut as it may be."""
        stage = offered(TlsNeed.OPPORTUNISTIC)
        for octet in b"220 go\r\n":
            stage.conversation.receive(bytes([octet]))
        self.assertEqual(stage.actions, ["tls"])
        stage.conversation.receive(b"250 inj")
        self.assertEqual(stage.actions, ["tls", "abort"])
