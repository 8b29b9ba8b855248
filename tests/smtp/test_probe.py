"""A dialogue that asks a host for its recipients."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.model.address import Mailbox
from smtpgw.smtp.probe import Probe
from tests.clauses import holds

ALICE = Mailbox("alice", "ours.example")
READY = b"220 mx\r\n", b"250-mx\r\n250 PIPELINING\r\n"


class _Rig:
    """A probe, what it sent, and what it told."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.told: list[object] = []
        self.probe = Probe("gw.test", self.sent.append, self)

    def probe_ready(self) -> None:
        """Note it."""
        self.told.append("ready")

    def probe_answered(self, answer: bool | str) -> None:
        """Note it."""
        self.told.append(answer)

    def probe_broken(self, reason: str) -> None:
        """Note it."""
        self.told.append(f"broken: {reason}")

    def feed(self, *octets: bytes) -> "_Rig":
        """One after the other."""
        for piece in octets:
            self.probe.feed(piece)
        return self

    def asked(self, reply: bytes, mailbox: Mailbox = ALICE) -> list[object]:
        """Of a ready one; what it told of the reply to RCPT."""
        self.probe.ask(mailbox)
        self.told.clear()
        self.feed(b"250 ok\r\n", reply)
        return self.told


class DialogueTests(SynchronousTestCase):
    """What is sent, and when."""

    @holds("5321", "4.5.5", "Call-ahead uses the null reverse-path, so that asking back finds nobody to ask.")
    def test_two_questions(self) -> None:
        """From the greeting to the second recipient, no command before the reply to the last."""
        rig = _Rig().feed(*READY)
        rig.probe.ask(ALICE)
        rig.feed(b"250 ok\r\n", b"250 2.1.5 ok\r\n", b"250 ok\r\n")
        rig.probe.ask(Mailbox("a b", "ours.example"))
        rig.feed(b"250 ok\r\n", b"550 5.1.1 no\r\n", b"250 ok\r\n")
        rig.probe.leave()
        self.assertEqual(
            b"".join(rig.sent),
            b"EHLO gw.test\r\n"
            b"MAIL FROM:<>\r\nRCPT TO:<alice@ours.example>\r\nRSET\r\n"
            b'MAIL FROM:<>\r\nRCPT TO:<"a b"@ours.example>\r\nRSET\r\nQUIT\r\n',
        )
        self.assertEqual(rig.told, ["ready", True, "ready", False, "ready"])

    def test_octet_by_octet(self) -> None:
        """However the replies are cut."""
        rig = _Rig()
        for octet in b"".join(READY):
            rig.feed(bytes([octet]))
        self.assertEqual(rig.told, ["ready"])

    def test_helo(self) -> None:
        """A host that knows no EHLO is asked with HELO."""
        rig = _Rig().feed(b"220 mx\r\n", b"502 what\r\n", b"250 mx\r\n")
        self.assertEqual(rig.sent, [b"EHLO gw.test\r\n", b"HELO gw.test\r\n"])
        self.assertEqual(rig.told, ["ready"])

    @holds("6531", "3.1", "Call-ahead names a non-ASCII recipient only to a host that offers SMTPUTF8.")
    def test_smtputf8(self) -> None:
        """Other scripts only where they are offered; a host that doesn't offer them has no such recipient."""
        mailbox = Mailbox("jörg", "ours.example")
        rig = _Rig().feed(*READY)
        rig.probe.ask(mailbox)
        self.assertEqual(rig.told, ["ready", False, "ready"])
        rig = _Rig().feed(b"220 mx\r\n", b"250-mx\r\n250 SMTPUTF8\r\n")
        rig.asked(b"250 ok\r\n", mailbox)
        self.assertEqual(rig.sent[1], b"MAIL FROM:<> SMTPUTF8\r\n")
        self.assertEqual(rig.sent[2], "RCPT TO:<jörg@ours.example>\r\n".encode())

    def test_no_command_in_an_address(self) -> None:
        """A line end in an address is sent to nobody."""
        rig = _Rig().feed(*READY)
        for local in ("a\r\nDATA", "a\nb", "a\x00", "a\x7f"):
            self.assertRaises(ValueError, rig.probe.ask, Mailbox(local, "ours.example"))
        self.assertEqual(len(rig.sent), 1)
        self.assertRaises(RuntimeError, _Rig().probe.ask, ALICE)


class MeaningTests(SynchronousTestCase):
    """What a reply to RCPT says."""

    def test_known(self) -> None:
        """Any 2xx."""
        for reply in (b"250 ok\r\n", b"251 2.1.5 will forward\r\n"):
            self.assertEqual(_Rig().feed(*READY).asked(reply), [True])

    def test_unknown(self) -> None:
        """A refusal that is about the address."""
        for reply in (
            b"550 5.1.1 no\r\n", b"550 5.1.10 no\r\n", b"550-5.1.1 no\r\n550 5.1.1 really\r\n", b"550 5.2.1 closed\r\n",
            b"554 5.1.1 no\r\n", b"550 no\r\n", b"551 elsewhere\r\n", b"553 no\r\n", b"550 5.4.1 denied\r\n",
        ):  # fmt: skip
            self.assertEqual(_Rig().feed(*READY).asked(reply), [False], reply)

    def test_trouble(self) -> None:
        """All else says nothing about the recipient, and nobody's mail is refused for it."""
        for reply in (
            b"450 4.2.1 later\r\n", b"451 greylisted\r\n", b"452 full\r\n", b"550 5.7.1 you are blocked\r\n",
            b"554 no\r\n", b"552 5.2.2 full\r\n", b"530 5.7.0 STARTTLS first\r\n", b"503 what\r\n", b"354 go\r\n",
            b"500 what\r\n", b"550 5.0.0 no\r\n",
        ):  # fmt: skip
            (told,) = _Rig().feed(*READY).asked(reply)
            self.assertIsInstance(told, str, reply)

    def test_shown(self) -> None:
        """Words of the host are escaped and cut."""
        (told,) = _Rig().feed(*READY).asked(b"450 \x1b[31m" + b"x" * 1000 + b"\r\n")
        assert isinstance(told, str)
        self.assertTrue(told.isprintable() and len(told) < 250)


class HostileTests(SynchronousTestCase):
    """Hosts that don't play by the rules."""

    def test_broken(self) -> None:
        """Whatever is no answer to what was asked ends the dialogue, and is never a yes."""
        for octets in (
            (b"554 go away\r\n",), (b"HTTP/1.1 400 what\r\n",), (b"220 mx\r\n250 ok\r\n250 ok\r\n",), (b"x" * 5000,),
            (b"220 mx\r\n", b"421 bye\r\n"), (b"220 mx\r\n", b"550 no\r\n", b"550 no\r\n"),
            (b"220 mx\r\n", b"250-a\r\n251 b\r\n"), (b"220 mx\r\n", b"250-a\r\n" * 200), (b"199 what\r\n",),
            (*READY, b"250 ok\r\n"), (*READY, b"421 4.4.2 idle\r\n"),
        ):  # fmt: skip
            rig = _Rig().feed(*octets)
            self.assertRegex(str(rig.told[-1]), r"\Abroken: ", octets)
            rig.feed(b"250 ok\r\n" * 10)
            self.assertNotIn(True, rig.told)
            self.assertEqual(sum(str(told).startswith("broken") for told in rig.told), 1)

    def test_answers_in_advance(self) -> None:
        """A reply that came before its command is not taken for the answer."""
        rig = _Rig().feed(*READY)
        rig.probe.ask(ALICE)
        rig.feed(b"250 ok\r\n250 ok\r\n250 ok\r\n")
        self.assertNotIn(True, rig.told)
        self.assertEqual(rig.told[-1], "broken: more replies than commands")

    def test_refused_before(self) -> None:
        """MAIL refused, or RSET, ends it: what was answered stays answered."""
        rig = _Rig().feed(*READY)
        rig.probe.ask(ALICE)
        rig.feed(b"550 5.7.1 no\r\n")
        self.assertEqual(rig.told[-1], "broken: MAIL: 550 5.7.1 no")
        rig = _Rig().feed(*READY)
        rig.asked(b"250 ok\r\n")
        rig.feed(b"500 what\r\n")
        self.assertEqual(rig.told, [True, "broken: RSET: 500 what"])
