"""Which step may follow which, and what a milter may answer to it."""

# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.filters import InsertField
from smtpgw.milter import codec
from smtpgw.milter.answers import DELAYED, REJECTED, Broken, PathEdit, QuarantineEdit, Ruling
from smtpgw.milter.codec import Wish, packet
from smtpgw.milter.session import MilterSession, Stage
from tests.milter.fakes import ALL_SILENT, negotiated

_CONTINUE = packet(codec.CONTINUE)

STEPS = {
    codec.OPTNEG: lambda session: session.open(),
    codec.CONNECT: lambda session: session.connect("a.test", "192.0.2.1", 7, ()),
    codec.HELO: lambda session: session.helo("a.test", ()),
    codec.MAIL: lambda session: session.mail("a@b.test", (), ()),
    codec.RCPT: lambda session: session.rcpt("c@d.test", (), ()),
    codec.DATA: lambda session: session.data(()),
    codec.HEADER: lambda session: session.header(b"A", b" b"),
    codec.END_OF_HEADER: lambda session: session.end_of_header(()),
    codec.BODY: lambda session: session.piece(b"text"),
    codec.END_OF_MESSAGE: lambda session: session.end_of_message(()),
}
_WAY = b"OCHMRTLNBE"
_ALLOWED = {
    Stage.NEW: b"O",
    Stage.READY: b"C",
    Stage.CONNECTED: b"HM",
    Stage.ENVELOPE: b"RT",
    Stage.HEADER: b"LN",
    Stage.BODY: b"BE",
    Stage.OVER: b"",
}
_WISHES = {
    b"C": (Wish.NO_CONNECT, Wish.SILENT_CONNECT),
    b"H": (Wish.NO_HELO, Wish.SILENT_HELO),
    b"M": (Wish.NO_MAIL, Wish.SILENT_MAIL),
    b"R": (Wish.NO_RCPT, Wish.SILENT_RCPT),
    b"T": (Wish.NO_DATA, Wish.SILENT_DATA),
    b"L": (Wish.NO_HEADER, Wish.SILENT_HEADER),
    b"N": (Wish.NO_END_OF_HEADER, Wish.SILENT_END_OF_HEADER),
    b"B": (Wish.NO_BODY, Wish.SILENT_BODY),
}


def session_at(stage, wishes=0, version=6):
    """A session that has got so far."""
    session = MilterSession(1000)
    for letter in _WAY:
        if session.stage is stage:
            break
        if letter in b"HRLB":
            continue
        take(session, bytes([letter]), negotiated(wishes, version=version) if letter == ord("O") else _CONTINUE)
    if stage is Stage.OVER:
        session.quit()
    return session


def take(session, command, answer=_CONTINUE):
    """One step and its answer, if one is due."""
    STEPS[command](session)
    return session.receive(answer) if session.awaits else None


class StepTests(SynchronousTestCase):
    """The whole table."""

    def test_every_step_in_every_stage(self):
        """A step is taken where it belongs, and is a mistake of ours anywhere else."""
        for stage, allowed in _ALLOWED.items():
            for command, step in STEPS.items():
                session = session_at(stage)
                self.assertIs(session.stage, stage)
                if command in allowed:
                    self.assertTrue(step(session))
                    self.assertTrue(session.awaits)
                    self.assertRaises(RuntimeError, step, session)
                else:
                    self.assertRaises(RuntimeError, step, session)

    def test_wishes(self):
        """What a milter does not want is left out; what it does not answer is not waited for."""
        for command, (unwanted, silent) in _WISHES.items():
            stage = next(stage for stage, allowed in _ALLOWED.items() if command in allowed)
            session = session_at(stage, unwanted)
            self.assertEqual((STEPS[command](session), session.awaits), (b"", False))
            session = session_at(stage, silent)
            self.assertNotEqual(STEPS[command](session), b"")
            self.assertFalse(session.awaits)

    def test_octets(self):
        """Every command as it is on the wire."""
        session = session_at(Stage.READY)
        macros = ((b"j", "gw.test"),)
        self.assertEqual(
            session.connect("a.test", "2001:db8::1", 258, macros),
            packet(b"D", b"Cj\0gw.test\0") + packet(b"C", b"a.test\x006\x01\x022001:db8::1\0"),
        )
        self.assertEqual(session_at(Stage.READY).connect("x", "", 0, ()), packet(b"C", b"x\0U"))
        session.receive(_CONTINUE)
        self.assertEqual(
            session.mail("a@b.test", ("SIZE=5", "SMTPUTF8"), ()), packet(b"M", b"<a@b.test>\0SIZE=5\0SMTPUTF8\0")
        )
        session.receive(_CONTINUE)
        self.assertEqual(session.rcpt("c@d.test", (), ()), packet(b"R", b"<c@d.test>\0"))

    def test_header_values(self):
        """Folded lines end in LF; one leading blank goes, but for those who want it; the packet is never too long."""
        for wishes, value in ((0, b"b\n\tc\0"), (Wish.LEADING_SPACE, b" b\n\tc\0")):
            session = session_at(Stage.HEADER, wishes)
            self.assertEqual(session.header(b"A", b" b\r\n\tc"), packet(b"L", b"A\0" + value))
        session = session_at(Stage.HEADER)
        self.assertEqual(len(session.header(b"A", b"x" * 200_000)), 4 + 1 + codec.MOST_DATA_OCTETS)

    def test_macros_of_its_choice(self):
        """A milter that has chosen macros gets these."""
        session = MilterSession(1000)
        session.open()
        session.receive(negotiated(rest=(0).to_bytes(4, "big") + b"{x}\0"))
        found = session.connect("a", "", 0, ((b"j", "gw.test"), (b"{x}", "1")))
        self.assertTrue(found.startswith(packet(b"D", b"C{x}\x001\0")))

    def test_old_version(self):
        """Before version 4 there is no DATA."""
        session = session_at(Stage.ENVELOPE, version=3)
        self.assertEqual((session.data(()), session.awaits, session.stage), (b"", False, Stage.HEADER))

    def test_abort_and_quit(self):
        """Abort where there is a message; quit once, at any time after the negotiation."""
        for stage in _ALLOWED:
            session = session_at(stage)
            expected = packet(b"A") if stage in (Stage.ENVELOPE, Stage.HEADER, Stage.BODY) else b""
            self.assertEqual(session.abort(), expected)
            self.assertEqual(session.quit(), b"" if stage in (Stage.NEW, Stage.OVER) else packet(b"Q"))
            self.assertEqual(session.quit(), b"")
        session = session_at(Stage.BODY)
        STEPS[codec.BODY](session)
        self.assertEqual(session.quit(), packet(b"Q"))


class AnswerTests(SynchronousTestCase):
    """What ends a step, a message, a connection."""

    def test_plain(self):
        """Continue goes on; a refused recipient leaves the message alive, anything else about it ends it."""
        for letter in b"MRTLNBE":
            command = bytes([letter])
            before = next(stage for stage, allowed in _ALLOWED.items() if command in allowed)
            for octets, expected in (
                (packet(b"a"), Ruling.ACCEPT),
                (packet(b"d"), Ruling.DISCARD),
                (packet(b"r"), REJECTED),
                (packet(b"t"), DELAYED),
            ):
                session = session_at(before)
                self.assertEqual(take(session, command, octets), expected)
                refused_recipient = command == codec.RCPT and expected in (REJECTED, DELAYED)
                self.assertIs(session.stage, Stage.ENVELOPE if refused_recipient else Stage.CONNECTED)

    def test_octet_by_octet(self):
        """An answer is complete when it is complete."""
        session = session_at(Stage.CONNECTED)
        STEPS[codec.MAIL](session)
        found = [session.receive(bytes([octet])) for octet in packet(b"y", b"550 5.1.1 no\0")]
        self.assertEqual(found[:-1], [None] * (len(found) - 1))
        self.assertEqual(found[-1].reply.code, 550)

    def test_skip(self):
        """Only for the body, and only if it was agreed on."""
        self.assertIs(take(session_at(Stage.BODY, Wish.SKIP), codec.BODY, packet(b"s")), Ruling.SKIP)
        self.assertIsInstance(take(session_at(Stage.BODY), codec.BODY, packet(b"s")), Broken)
        self.assertIsInstance(take(session_at(Stage.HEADER, Wish.SKIP), codec.HEADER, packet(b"s")), Broken)

    def test_progress(self):
        """It may ask for more time."""
        session = session_at(Stage.BODY)
        STEPS[codec.END_OF_MESSAGE](session)
        self.assertIsNone(session.receive(packet(b"p")))
        self.assertEqual(session.progressed, 1)
        self.assertIs(session.receive(_CONTINUE), Ruling.CONTINUE)

    def test_edits(self):
        """Changes come before the answer, and are gone with the next message."""
        session = session_at(Stage.BODY)
        octets = b"".join(
            (
                packet(b"h", b"A\0b\0"),
                packet(b"+", b"<c@d>\0"),
                packet(b"q", b"why\0"),
                packet(b"b", b"x"),
                packet(b"b", b"y"),
            )
        )
        self.assertIs(take(session, codec.END_OF_MESSAGE, octets + _CONTINUE), Ruling.CONTINUE)
        self.assertEqual(session.edits, [InsertField(b"A", b" b"), PathEdit(b"+", b"<c@d>"), QuarantineEdit("why")])
        self.assertEqual(session.body, b"xy")
        take(session, codec.MAIL)
        self.assertEqual((session.edits, session.body), ([], None))

    def test_faults(self):
        """Whoever does not keep to the protocol is left, and nothing that it has said remains."""
        for stage, command, octets in (
            (Stage.NEW, codec.OPTNEG, _CONTINUE),
            (Stage.NEW, codec.OPTNEG, packet(b"r")),
            (Stage.NEW, codec.OPTNEG, negotiated(version=9)),
            (Stage.READY, codec.CONNECT, packet(b"d")),
            (Stage.CONNECTED, codec.MAIL, packet(b"h", b"A\0b\0")),
            (Stage.CONNECTED, codec.MAIL, packet(b"f")),
            (Stage.CONNECTED, codec.MAIL, packet(b"?")),
            (Stage.CONNECTED, codec.MAIL, _CONTINUE * 2),
            (Stage.CONNECTED, codec.MAIL, _CONTINUE + packet(b"p")),
            (Stage.CONNECTED, codec.MAIL, b"HTTP/1.1 400 Bad Request\r\n"),
            (Stage.BODY, codec.END_OF_MESSAGE, packet(b"b", b"x" * 600) * 2 + _CONTINUE),
            (Stage.BODY, codec.END_OF_MESSAGE, packet(b"h", b"A\0b\0") * 257 + _CONTINUE),
            (Stage.BODY, codec.END_OF_MESSAGE, packet(b"h", b"A\0" + b"b" * 60000 + b"\0") * 20 + _CONTINUE),
            (Stage.BODY, codec.END_OF_MESSAGE, packet(b"h", b"A\0b\0") + packet(b"?")),
        ):
            session = session_at(stage)
            self.assertIsInstance(take(session, command, octets), Broken)
            self.assertEqual(
                (session.stage, session.awaits, session.edits, session.body), (Stage.OVER, False, [], None)
            )

    def test_unasked(self):
        """An answer that nobody waits for is none."""
        session = session_at(Stage.CONNECTED, ALL_SILENT)
        STEPS[codec.MAIL](session)
        self.assertIsInstance(session.receive(packet(b"a")), Broken)

    @settings(max_examples=150, deadline=None)
    @given(
        st.sampled_from(list(Stage)),
        st.lists(
            st.binary(max_size=12)
            | st.tuples(st.sampled_from([bytes([one]) for one in b"+-24abcdefhimpqrsty"]), st.binary(max_size=12)),
            max_size=6,
        ),
    )
    def test_anything(self, stage, pieces):
        """Whatever a milter sends, at any stage: nothing is raised."""
        session = session_at(stage)
        for command in _ALLOWED[stage][:1]:
            STEPS[bytes([command])](session)
        for piece in pieces:
            session.receive(piece if isinstance(piece, bytes) else packet(*piece))
        session.quit()
        self.assertIs(session.stage, Stage.NEW if session.stage is Stage.NEW else Stage.OVER)
