"""
One connection to a milter: which step may follow which, whether an answer is due, and what that may be.

Steps give octets to send; after each, ``awaits`` says whether an answer is due, and ``receive`` takes octets until it
is there. A step that the milter does not want gives no octets. Nothing here raises because of a milter: one that does
not keep to the protocol gives ``Broken``, and the session is over. A step out of its order is a mistake of ours, and
raises.

    READY -connect- CONNECTED -mail- ENVELOPE -data- HEADER -end_of_header- BODY -end_of_message- CONNECTED
                      helo             rcpt            header                 body
"""

from enum import Enum

from msgspec import Struct

from smtpgw.boundaries.filters import FieldEdit
from smtpgw.milter import codec
from smtpgw.milter.answers import (
    Answer,
    BodyEdit,
    Broken,
    PathEdit,
    QuarantineEdit,
    Refused,
    Ruling,
    read_edit,
    read_ruling,
)
from smtpgw.milter.codec import Action, Negotiated, PacketReader, Wish
from smtpgw.milter.macros import Macros

_MOST_EDITS = 256
"""Changes of header and envelope to one message."""

_MOST_EDIT_OCTETS = 1 << 20
"""Of all of them."""

_DATA_SINCE_VERSION = 4
"""Older milters don't know DATA."""


class Stage(Enum):
    """Where the dialogue stands."""

    NEW = "new"
    READY = "ready"
    CONNECTED = "connected"
    ENVELOPE = "envelope"
    HEADER = "header"
    BODY = "body"
    OVER = "over"


class _Step(Struct, frozen=True, gc=False):
    """:ivar before: where it may be taken. :ivar unwanted: it is left out. :ivar silent: it is not answered."""

    before: Stage
    after: Stage
    unwanted: Wish = Wish(0)
    silent: Wish = Wish(0)


_STEPS = {
    codec.OPTNEG: _Step(Stage.NEW, Stage.READY),
    codec.CONNECT: _Step(Stage.READY, Stage.CONNECTED, Wish.NO_CONNECT, Wish.SILENT_CONNECT),
    codec.HELO: _Step(Stage.CONNECTED, Stage.CONNECTED, Wish.NO_HELO, Wish.SILENT_HELO),
    codec.MAIL: _Step(Stage.CONNECTED, Stage.ENVELOPE, Wish.NO_MAIL, Wish.SILENT_MAIL),
    codec.RCPT: _Step(Stage.ENVELOPE, Stage.ENVELOPE, Wish.NO_RCPT, Wish.SILENT_RCPT),
    codec.DATA: _Step(Stage.ENVELOPE, Stage.HEADER, Wish.NO_DATA, Wish.SILENT_DATA),
    codec.HEADER: _Step(Stage.HEADER, Stage.HEADER, Wish.NO_HEADER, Wish.SILENT_HEADER),
    codec.END_OF_HEADER: _Step(Stage.HEADER, Stage.BODY, Wish.NO_END_OF_HEADER, Wish.SILENT_END_OF_HEADER),
    codec.BODY: _Step(Stage.BODY, Stage.BODY, Wish.NO_BODY, Wish.SILENT_BODY),
    codec.END_OF_MESSAGE: _Step(Stage.BODY, Stage.CONNECTED),
}

_TRANSACTION = (Stage.ENVELOPE, Stage.HEADER, Stage.BODY)


class MilterSession:
    """
    See the module.

    :ivar stage: where it stands.
    :ivar awaits: an answer to the last step is due; only ``receive`` and ``quit`` make sense.
    :ivar progressed: how often the milter has asked for more time since the last step.
    :ivar edits: changes to header and envelope, when the answer to the end of a message is there.
    :ivar body: likewise the new body; ``None`` when it stays.
    """

    def __init__(self, most_body_octets: int) -> None:
        """:param most_body_octets: of a body that the milter makes."""
        self.stage = Stage.NEW
        self.awaits = False
        self.progressed = 0
        self.edits: list[FieldEdit | PathEdit | QuarantineEdit] = []
        self.body: bytearray | None = None
        self._most_body_octets = most_body_octets
        self._reader = PacketReader()
        self._agreed = Negotiated(codec.VERSION, Action(0), Wish(0), {})
        self._step = codec.OPTNEG
        self._edit_octets = 0

    # --- Steps ---

    def open(self) -> bytes:
        """Begin."""
        self._enter(codec.OPTNEG)
        return codec.offer()

    def connect(self, name: str, address: str, port: int, macros: Macros) -> bytes:
        """:param address: as text; empty where there is none."""
        if not address:
            return self._take(codec.CONNECT, codec.text(name) + b"U", macros)
        family = b"6" if ":" in address else b"4"
        where = family + port.to_bytes(2, "big") + codec.text(address)
        return self._take(codec.CONNECT, codec.text(name) + where, macros)

    def helo(self, name: str, macros: Macros) -> bytes:
        """After ``connect``."""
        return self._take(codec.HELO, codec.text(name), macros)

    def mail(self, path: str, parameters: tuple[str, ...], macros: Macros) -> bytes:
        """:param path: without angle brackets."""
        self._forget_edits()
        return self._take(codec.MAIL, _path(path, parameters), macros)

    def rcpt(self, path: str, parameters: tuple[str, ...], macros: Macros) -> bytes:
        """Likewise. The recipient is none of the milter's if it refuses it."""
        return self._take(codec.RCPT, _path(path, parameters), macros)

    def data(self, macros: Macros) -> bytes:
        """The envelope is whole."""
        if self._agreed.version < _DATA_SINCE_VERSION:
            self._enter(codec.DATA)
            self.awaits = False
            return b""
        return self._take(codec.DATA, b"", macros)

    def header(self, name: bytes, value: bytes) -> bytes:
        """
        A field.

        :param value: all behind the colon. Milters get line ends as LF, and no more than one packet can hold.
        """
        if not self._agreed.wishes & Wish.LEADING_SPACE and value[:1] in (b" ", b"\t"):
            value = value[1:]
        words = codec.text(name)
        return self._take(
            codec.HEADER, words + codec.text(value.replace(b"\r\n", b"\n"), codec.MOST_DATA_OCTETS - len(words) - 1)
        )

    def end_of_header(self, macros: Macros) -> bytes:
        """After the last field."""
        return self._take(codec.END_OF_HEADER, b"", macros)

    def piece(self, octets: bytes) -> bytes:
        """A piece of the body, of no more than ``codec.MOST_DATA_OCTETS``."""
        return self._take(codec.BODY, octets)

    def end_of_message(self, macros: Macros) -> bytes:
        """All was sent; the milter may make changes now."""
        self._forget_edits()
        return self._take(codec.END_OF_MESSAGE, b"", macros)

    def abort(self) -> bytes:
        """Forget the message under way, if there is one; what it has said of it already ends it as well."""
        if self.stage not in _TRANSACTION or self.awaits:
            return b""
        self.stage = Stage.CONNECTED
        return codec.packet(codec.ABORT)

    def quit(self) -> bytes:
        """The end, at any time."""
        if self.stage in (Stage.NEW, Stage.OVER):
            return b""
        farewell = self.abort() + codec.packet(codec.QUIT)
        self.stage = Stage.OVER
        self.awaits = False
        return farewell

    @property
    def wants_body(self) -> bool:
        """Whether pieces are worth reading."""
        return not self._agreed.wishes & Wish.NO_BODY

    # --- Answers ---

    def receive(self, octets: bytes) -> Answer | None:
        """What came. ``None``: the answer is not complete. An answer that nobody waits for is ``Broken``."""
        answer: Answer | None = None
        for command, data in self._reader.feed(octets):
            if not self.awaits:
                return self._break("it speaks without being asked")
            answer = self._read(command, data)
            if isinstance(answer, Broken):
                return self._break(answer.cause)
            if answer is not None:
                self._ruled(answer)
        return self._break(self._reader.broken) if self._reader.broken else answer

    def _read(self, command: bytes, data: bytes) -> Answer | None:
        if self._step == codec.OPTNEG:
            return self._negotiated(command, data)
        if command == codec.PROGRESS:
            self.progressed += 1
            return None
        answer = read_ruling(command, data)
        if answer is not None:
            return answer if self._fits(answer) else Broken("its answer does not belong to this step")
        if self._step == codec.END_OF_MESSAGE:
            edit = read_edit(command, data, self._agreed.actions, self._agreed.wishes)
            if isinstance(edit, Broken):
                return edit
            if edit is not None:
                return self._keep(edit, len(data))
        return Broken("its answer is unknown")

    def _negotiated(self, command: bytes, data: bytes) -> Answer:
        if command != codec.OPTNEG:
            # It may refuse to serve us, which is no word about any message.
            return Broken("it does not negotiate")
        agreed = codec.read_negotiated(data)
        if isinstance(agreed, str):
            return Broken(agreed)
        self._agreed = agreed
        return Ruling.CONTINUE

    def _fits(self, answer: Answer) -> bool:
        if answer is Ruling.SKIP:
            return self._step == codec.BODY and bool(self._agreed.wishes & Wish.SKIP)
        if answer is Ruling.DISCARD:
            return self._step not in (codec.CONNECT, codec.HELO)
        return True

    def _keep(self, edit: FieldEdit | PathEdit | QuarantineEdit | BodyEdit, size: int) -> Broken | None:
        if isinstance(edit, BodyEdit):
            if self.body is None:
                self.body = bytearray()
            self.body += edit.octets
            return Broken("its new body is too large") if len(self.body) > self._most_body_octets else None
        self.edits.append(edit)
        self._edit_octets += size
        if len(self.edits) > _MOST_EDITS or self._edit_octets > _MOST_EDIT_OCTETS:
            return Broken("it makes too many changes")
        return None

    def _ruled(self, answer: Answer) -> None:
        self.awaits = False
        if self.stage not in _TRANSACTION or answer is Ruling.CONTINUE or answer is Ruling.SKIP:
            return
        # A refused recipient is out; everything else that is no CONTINUE ends the milter's interest in the message.
        if not (self._step == codec.RCPT and isinstance(answer, Refused)):
            self.stage = Stage.CONNECTED

    def _break(self, cause: str) -> Broken:
        self.stage = Stage.OVER
        self.awaits = False
        self._forget_edits()
        return Broken(cause)

    def _forget_edits(self) -> None:
        self.edits = []
        self.body = None
        self._edit_octets = 0

    # --- Steps, all the same ---

    def _enter(self, command: bytes) -> _Step:
        step = _STEPS[command]
        if self.stage is not step.before or self.awaits:
            raise RuntimeError(f"{command!r} can't follow in {self.stage}")
        self.stage = step.after
        self._step = command
        self.awaits = True
        self.progressed = 0
        return step

    def _take(self, command: bytes, data: bytes, macros: Macros = ()) -> bytes:
        step = self._enter(command)
        wishes = self._agreed.wishes
        if wishes & step.unwanted:
            self.awaits = False
            return b""
        self.awaits = not wishes & step.silent
        return self._macros(command, macros) + codec.packet(command, data)

    def _macros(self, command: bytes, macros: Macros) -> bytes:
        if not macros:
            return b""
        return codec.macros(command, macros, self._agreed.macros.get(codec.MACRO_STAGES[command]))


def _path(path: str, parameters: tuple[str, ...]) -> bytes:
    return codec.text(f"<{path}>") + b"".join(map(codec.text, parameters))
