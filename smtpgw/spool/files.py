"""
The thread that writes, syncs and unlinks body files, so that neither the reactor nor a commit waits for a large one.

Of one batch, each file is synced, then each folder once, then the operations go on to the writer. So a row is never
durable before its content is.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.spool import trouble
from smtpgw.spool.answers import Answers
from smtpgw.spool.bodies import BodyFiles, FileBody
from smtpgw.spool.commit import Operation
from smtpgw.spool.lane import Lane

_PROBE_OCTETS = 1 << 20
_COPY_OCTETS = 1 << 20


class DraftFile:
    """
    The file of a draft; belongs to the thread.

    :ivar name: empty until the first piece is written.
    :ivar trouble: the first thing that went wrong; then it takes no more, and there is no file.
    """

    __slots__ = ("descriptor", "name", "trouble")

    def __init__(self) -> None:
        self.name = ""
        self.descriptor = -1
        self.trouble: SpoolTrouble | None = None


class Piece:
    """Write this. ``written`` is called in the reactor's thread, also when it failed."""

    __slots__ = ("data", "file", "octets", "written")

    def __init__(self, file: DraftFile, data: bytes, written: Callable[[int], None]) -> None:
        self.file = file
        self.data = data
        self.octets = len(data)
        self.written = written


class Read:
    """
    Read from it.

    :ivar done: called in the reactor's thread.
    :ivar answered: it was.
    """

    __slots__ = ("answered", "done", "file", "most", "octets", "offset")

    def __init__(self, file: DraftFile, offset: int, most: int, done: Callable[[bytes | SpoolTrouble], None]) -> None:
        self.file = file
        self.offset = offset
        self.most = most
        self.done = done
        self.octets = 0
        self.answered = False


class Rewrite:
    """Write it anew, in another file: see ``Draft.rewrite``. ``written`` is called as for a piece."""

    __slots__ = ("body", "cut", "file", "head", "octets", "written")

    def __init__(
        self, file: DraftFile, head: bytes, cut: int, body: bytes | None, written: Callable[[int], None]
    ) -> None:
        self.file = file
        self.head = head
        self.cut = cut
        self.body = body
        self.octets = len(head) + len(body or b"")
        self.written = written


class Finish:
    """
    It is whole: sync it, and send the operation on.

    :ivar admit: makes the operation, from the body and its name.
    :ivar refuse: called in the reactor's thread when it can't be.
    :ivar sent: one of them was called.
    """

    __slots__ = ("admit", "file", "octets", "refuse", "sent", "size_octets")

    def __init__(self, file: DraftFile, size_octets: int) -> None:
        self.file = file
        self.size_octets = size_octets
        self.octets = 0
        self.sent = False
        self.admit: Callable[[FileBody, str], Operation]
        self.refuse: Callable[[SpoolTrouble], None]


class Discard:
    """Forget it."""

    __slots__ = ("file", "octets")

    def __init__(self, file: DraftFile) -> None:
        self.file = file
        self.octets = 0


class Unlink:
    """These files belong to no row any more."""

    __slots__ = ("names", "octets")

    def __init__(self, names: list[str]) -> None:
        self.names = names
        self.octets = 0


class Turn:
    """Call this in the thread when the operations of all that came before have been sent on."""

    __slots__ = ("octets", "then")

    def __init__(self, then: Callable[[], None]) -> None:
        self.then = then
        self.octets = 0


Step = Piece | Read | Rewrite | Finish | Discard | Unlink | Turn
BodyLane = Lane[Step]


class FileWork:
    """What the thread does."""

    def __init__(
        self, bodies: BodyFiles, answers: Answers, health: trouble.Health, forward: Callable[[Operation], None]
    ) -> None:
        """:param forward: takes an operation whose content is durable."""
        self._bodies = bodies
        self._files = bodies.files
        self._answers = answers
        self._health = health
        self._forward = forward

    def work(self, steps: list[Step]) -> None:
        """One batch, in order."""
        whole: list[Finish] = []
        turns: list[Turn] = []
        try:
            for step in steps:
                match step:
                    case Piece():
                        self._write(step.file, step.data)
                    case Read():
                        self._read(step)
                    case Rewrite():
                        self._rewrite(step)
                    case Finish():
                        self._sync(step.file)
                        whole.append(step)
                    case Discard():
                        self._drop(step.file)
                    case Unlink():
                        self._unlink(step.names)
                    case Turn():
                        turns.append(step)
            self._sync_folders(whole)
        finally:
            # Whatever happened: these octets are not in memory any more.
            pieces = [(step.written, step.octets) for step in steps if isinstance(step, Piece | Rewrite)]
            if pieces:
                self._answers.post(pieces)
        for step in whole:
            self._send_on(step)
        for turn in turns:
            turn.then()

    def failed(self, steps: list[Step], error: Exception) -> None:
        """A mistake of ours: nobody may wait for ever because of it."""
        cause = SpoolTrouble(full=False, cause=repr(error))
        for step in steps:
            if isinstance(step, Piece | Rewrite | Finish):
                # It may miss a piece now, so it must never be taken for whole.
                step.file.trouble = step.file.trouble or cause
            if isinstance(step, Finish) and not step.sent:
                self._send_on(step)
            if isinstance(step, Read) and not step.answered:
                self._answer(step, cause)
            if isinstance(step, Turn):
                step.then()

    def probe(self) -> None:
        """
        Write and sync as much as a large message would need at once, and take it back.

        Called by the writer's thread.

        :raises OSError: when the disk still fails.
        """
        path = self._bodies.path("probe")
        self._files.unlink(path)
        self._bodies.root.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            self._files.write(descriptor, bytes(_PROBE_OCTETS))
            self._files.sync(descriptor)
        finally:
            self._files.close(descriptor)
            self._files.unlink(path)

    def _write(self, file: DraftFile, data: bytes) -> None:
        if file.trouble is not None:
            return
        try:
            if not file.name:
                file.name, file.descriptor = self._bodies.create()
            self._files.write(file.descriptor, data)
        except OSError as error:
            self._fail(file, error)

    def _read(self, step: Read) -> None:
        file = step.file
        if file.trouble is not None:
            self._answer(step, file.trouble)
            return
        try:
            octets = self._files.read(file.descriptor, step.offset, step.most)
        except OSError as error:
            self._fail(file, error)
            self._answer(step, trouble.of_disk(error))
        else:
            self._answer(step, octets)

    def _answer(self, step: Read, answer: bytes | SpoolTrouble) -> None:
        step.answered = True
        self._answers.post([(step.done, answer)])

    def _rewrite(self, step: Rewrite) -> None:
        file = step.file
        if file.trouble is not None:
            return
        new = DraftFile()
        try:
            new.name, new.descriptor = self._bodies.create()
            self._files.write(new.descriptor, step.head)
            if step.body is not None:
                self._files.write(new.descriptor, step.body)
            else:
                offset = step.cut
                while piece := self._files.read(file.descriptor, offset, _COPY_OCTETS):
                    self._files.write(new.descriptor, piece)
                    offset += len(piece)
        except OSError as error:
            self._drop(new)
            self._fail(file, error)
        else:
            self._drop(file)
            file.name, file.descriptor = new.name, new.descriptor

    def _sync(self, file: DraftFile) -> None:
        if file.trouble is not None:
            return
        try:
            self._files.sync(file.descriptor)
            descriptor, file.descriptor = file.descriptor, -1
            self._files.close(descriptor)
        except OSError as error:
            self._fail(file, error)

    def _sync_folders(self, whole: list[Finish]) -> None:
        by_folder: dict[Path, list[DraftFile]] = {}
        for step in whole:
            if step.file.trouble is None:
                by_folder.setdefault(self._bodies.path(step.file.name).parent, []).append(step.file)
        for folder, files in by_folder.items():
            try:
                self._files.sync_folder(folder)
                self._health.works(trouble.Part.BODIES)
            except OSError as error:
                for file in files:
                    self._fail(file, error)

    def _send_on(self, step: Finish) -> None:
        file = step.file
        step.sent = True
        if file.trouble is None:
            self._forward(step.admit(FileBody(self._bodies.path(file.name), step.size_octets), file.name))
        else:
            self._answers.post([(step.refuse, file.trouble)])

    def _fail(self, file: DraftFile, error: OSError) -> None:
        file.trouble = trouble.of_disk(error)
        self._health.fails(trouble.Part.BODIES, file.trouble)
        self._drop(file)

    def _drop(self, file: DraftFile) -> None:
        if file.descriptor >= 0:
            descriptor, file.descriptor = file.descriptor, -1
            with contextlib.suppress(OSError):
                self._files.close(descriptor)
        if file.name:
            self._unlink([file.name])

    def _unlink(self, names: list[str]) -> None:
        for name in names:
            # What stays is taken by the sweep of the next start.
            with contextlib.suppress(OSError):
                self._files.unlink(self._bodies.path(name))
