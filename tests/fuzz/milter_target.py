"""A milter that answers anything to anything, and what comes of its changes."""

import re
from collections.abc import Callable

from smtpgw.boundaries.filters import ChangeField, InsertField
from smtpgw.milter import codec
from smtpgw.milter.answers import Answer, BodyEdit, Broken, PathEdit, QuarantineEdit, Refused, Ruling
from smtpgw.milter.fields import apply_edits, split_header
from smtpgw.milter.session import MilterSession, Stage
from tests.milter.fakes import ALL_SILENT, negotiated

_MOST_BODY = 2000
_HEADER = (b"Received: from a\r\n\tby b\r\n", b"From: a@b\r\n", b"To: c@d\r\n")
_GREETINGS = (b"", negotiated(), negotiated(int(ALL_SILENT)), negotiated(codec.Wish.SKIP | codec.Wish.LEADING_SPACE))
_PRINTABLE = re.compile(r"[ -~]*\Z")

_STEPS: tuple[Callable[[MilterSession], bytes], ...] = (
    lambda session: session.connect("mail.example", "192.0.2.1", 25, ()),
    lambda session: session.helo("mail.example", ()),
    lambda session: session.mail("a@example.com", ("SIZE=10",), ()),
    lambda session: session.rcpt("b@example.com", (), ()),
    lambda session: session.data(((b"i", "0000000000001"),)),
    lambda session: session.header(b"Subject", b" hello\r\n\tworld"),
    lambda session: session.end_of_header(()),
    lambda session: session.piece(b"body\r\n"),
    lambda session: session.end_of_message(()),
)


def milter(octets: bytes) -> None:
    """
    The first octet says how it negotiates, and how its answers are cut; the rest are its answers.

    Each step is taken when the one before is answered; the whole message twice.
    """
    if not octets:
        return
    kind, step_octets, rest = octets[0] % len(_GREETINGS), octets[0] // 16 * 16 or 1, octets[1:]
    session = MilterSession(_MOST_BODY)
    assert session.open()
    answers = [_GREETINGS[kind]] if _GREETINGS[kind] else []
    answers += [rest[at : at + step_octets] for at in range(0, len(rest), step_octets)]
    todo = [*_STEPS, *_STEPS[2:]]
    for piece in answers:
        answer = session.receive(piece)
        _look(session, answer)
        if isinstance(answer, Broken) or session.stage is Stage.OVER:
            assert session.stage is Stage.OVER
            assert not session.awaits
            break
        if not session.awaits:
            _go_on(session, answer, todo)
    farewell = session.quit()
    assert not farewell or farewell.endswith(codec.packet(codec.QUIT))
    assert session.stage in (Stage.OVER, Stage.NEW)


def _go_on(session: MilterSession, answer: Answer | None, todo: list[Callable[[MilterSession], bytes]]) -> None:
    """Take steps until one is answered."""
    if isinstance(answer, Refused) or answer in (Ruling.ACCEPT, Ruling.DISCARD):
        session.abort()
        todo[:] = _STEPS[2:]
        if session.stage is not Stage.CONNECTED:
            session.quit()
    while todo and not session.awaits and session.stage is not Stage.OVER:
        step = todo.pop(0)

        step(session)


def _look(session: MilterSession, answer: Answer | None) -> None:
    assert len(session.edits) <= 257, len(session.edits)
    assert session.body is None or len(session.body) <= _MOST_BODY + 65536 + 1024
    if isinstance(answer, Broken):
        assert _PRINTABLE.match(answer.cause), answer
        assert not session.edits
    elif isinstance(answer, Refused):
        reply = answer.reply
        assert reply.is_transient or reply.is_permanent, reply
        assert reply.status[:2] == f"{reply.code // 100}.", reply
        assert 0 < len(reply.lines) <= 20, reply
        assert all(_PRINTABLE.match(line) and len(line) <= 400 for line in reply.lines), reply
    elif answer is not None:
        _apply(session)


def _apply(session: MilterSession) -> None:
    """Whatever it changes, a header stays a header."""
    edits = []
    for edit in session.edits:
        assert not isinstance(edit, BodyEdit)
        if isinstance(edit, InsertField | ChangeField):
            edits.append(edit)
        elif isinstance(edit, QuarantineEdit):
            assert _PRINTABLE.match(edit.reason), edit
        else:
            assert isinstance(edit, PathEdit)
    header = b"".join(apply_edits(_HEADER, edits))
    fields, end = split_header(header)
    assert end == len(header), header
    assert len(fields) <= len(_HEADER) + len(edits)
    assert not re.search(rb"\0|\r(?!\n)|(?<!\r)\n", header), header
    assert all(len(line) <= 998 for line in header.split(b"\r\n")), header
