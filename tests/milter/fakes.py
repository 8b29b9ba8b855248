"""A milter in memory: what it says to each step is written in the test."""

# mypy: no-check-untyped-defs

from twisted.internet.defer import Deferred

from smtpgw.boundaries.filters import FilterLost
from smtpgw.milter import codec
from smtpgw.milter.codec import Wish, packet

ALL_SILENT = (
    Wish.SILENT_CONNECT
    | Wish.SILENT_HELO
    | Wish.SILENT_MAIL
    | Wish.SILENT_RCPT
    | Wish.SILENT_DATA
    | Wish.SILENT_HEADER
    | Wish.SILENT_END_OF_HEADER
    | Wish.SILENT_BODY
)

HANG = object()
DIE = object()

_STEPS = b"CHMRTLNBE"
_SILENT = {
    codec.CONNECT: Wish.SILENT_CONNECT,
    codec.HELO: Wish.SILENT_HELO,
    codec.MAIL: Wish.SILENT_MAIL,
    codec.RCPT: Wish.SILENT_RCPT,
    codec.DATA: Wish.SILENT_DATA,
    codec.HEADER: Wish.SILENT_HEADER,
    codec.END_OF_HEADER: Wish.SILENT_END_OF_HEADER,
    codec.BODY: Wish.SILENT_BODY,
}


def negotiated(wishes=0, actions=0x1FF, version=6, rest=b""):
    """The answer to an offer."""
    return packet(codec.OPTNEG, b"".join(int(n).to_bytes(4, "big") for n in (version, actions, wishes)) + rest)


class FakeMilter:
    """
    ``FilterLink``, and the program behind it.

    :ivar script: by command: octets, ``HANG``, ``DIE``, or a list of those for one time after the other. What is not in
        it is answered with CONTINUE.
    :ivar heard: commands and data, without macros.
    :ivar macros: of the commands, by their letter.
    """

    def __init__(self, script=None, wishes=0):
        self.script = {codec.OPTNEG: negotiated(wishes), **(script or {})}
        self.wishes = wishes
        self.heard = []
        self.macros = {}
        self.is_open = True
        self.farewell = b""
        self.deadlines = []
        self.extended = 0
        self.pauses = 0
        self._reader = codec.PacketReader()
        self._input = b""
        self._receiver = None

    def commands(self):
        """The letters of what it has heard."""
        return b"".join(command for command, _ in self.heard)

    def send(self, octets):
        """Hear, and answer."""
        if not self.is_open:
            raise FilterLost("it has hung up")
        for command, data in self._reader.feed(octets):
            if command == codec.MACRO:
                words = data[1:].split(b"\0")[:-1]
                self.macros[data[:1]] = dict(zip(words[::2], words[1::2], strict=True))
                continue
            self.heard.append((command, data))
            if command == codec.OPTNEG or command in _STEPS:
                self._answer(command)

    def _answer(self, command):
        answer = self.script.get(command, b"" if self.wishes & _SILENT.get(command, 0) else packet(codec.CONTINUE))
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else packet(codec.CONTINUE)
        if answer is DIE:
            self.die()
        elif answer is not HANG:
            self.say(answer)

    def say(self, octets):
        """Speak."""
        self._input += octets
        receiver, self._receiver = self._receiver, None
        if receiver is not None and self._input:
            octets, self._input = self._input, b""
            receiver.callback(octets)

    def die(self):
        """Hang up, or take too long."""
        self.is_open = False
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.errback(FilterLost("it has hung up"))

    async def pause(self):
        """Count it."""
        self.pauses += 1

    @property
    def has_input(self):
        """See ``FilterLink``."""
        return bool(self._input)

    def expect(self, seconds, most_seconds):
        """Note it."""
        self.deadlines.append((seconds, most_seconds))

    def extend(self):
        """Count it."""
        self.extended += 1

    async def receive(self):
        """What it has said."""
        if self._input:
            octets, self._input = self._input, b""
            return octets
        if not self.is_open:
            raise FilterLost("it has hung up")
        self._receiver = Deferred()
        return await self._receiver

    def close(self, farewell=b""):
        """Note the farewell."""
        if self.is_open:
            self.farewell = farewell
            self.die()


class FakeContent:
    """``Content`` from octets."""

    def __init__(self, fields=(b"Subject: x\r\n",), body=b"text\r\n", piece=1 << 18):
        self.fields = fields
        self.body = body
        self.piece = piece

    def read(self, offset):
        """At once."""
        return self.body[offset : offset + self.piece]
