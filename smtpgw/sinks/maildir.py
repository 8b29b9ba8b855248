"""
Maildir: ``maildir:PATH``.

A message is written to ``tmp``, synced, linked into ``new``, and ``new`` is synced; only then is it delivered. Its name
says when it was received and which recipient of which message it is, so an attempt that is repeated finds what an
earlier one has left in ``new``, and does not put it there twice. What was moved on from ``new`` is remembered while the
process lives; after a crash it may come twice, never not at all.

On disk the line ends are LF, as everywhere in Maildirs. A message begins with Return-Path (RFC 5321 section 4.4) and
Delivered-To, then our trace header.
"""

import errno
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from smtpgw.boundaries.spool import Body
from smtpgw.boundaries.world import Threads
from smtpgw.model.address import Mailbox, path_text
from smtpgw.model.envelope import Recipient
from smtpgw.model.message import Message
from smtpgw.model.outcome import Delayed, Delivered, Failed, Outcome, Scope
from smtpgw.model.queue_id import queue_id_text
from smtpgw.sinks.placeholders import PathPattern, Unsafe

_CHUNK_OCTETS = 64 * 1024
_REMEMBERED = 10_000
_SAME_NAMES = 100
_NO_SPACE = frozenset([errno.ENOSPC, errno.EDQUOT])
_DELIVERED = Delivered("maildir")
_BAD_ADDRESS = Failed("5.1.3", "the address can't be that of a mailbox here")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class MaildirSink:
    """Delivers into Maildirs, which it makes as needed, closed to others. Recipients succeed or fail each alone."""

    def __init__(self, pattern: str, threads: Threads, *, hostname: str, subaddress: str = "+") -> None:
        """
        :param pattern: path of a Maildir; see :mod:`~smtpgw.sinks.placeholders`.
        :param hostname: part of the names of the files, as Maildirs may be shared.
        :param subaddress: between local part and tag; empty when there are none.
        :raises ValueError: when the pattern makes no sense.
        """
        self._pattern = PathPattern(pattern, subaddress)
        self._threads = threads
        # As the Maildir specification has it: these two may not stand in a name.
        self._hostname = hostname.replace("/", "\\057").replace(":", "\\072")
        self._delivered: OrderedDict[tuple[int, int], None] = OrderedDict()

    async def deliver(self, message: Message, recipients: tuple[Recipient, ...], body: Body) -> tuple[Outcome, ...]:
        """See ``Sink``. Cancelling leaves the thread to finish."""
        return await self._threads.run(self._deliver, message, recipients, body)

    def _deliver(self, message: Message, recipients: tuple[Recipient, ...], body: Body) -> tuple[Outcome, ...]:
        slots = _slots(message, recipients)
        return tuple(
            self._deliver_one(message, slot, recipient, body) for slot, recipient in zip(slots, recipients, strict=True)
        )

    def _deliver_one(self, message: Message, slot: int, recipient: Recipient, body: Body) -> Outcome:
        key = (message.queue_id, slot)
        if key in self._delivered:
            return _DELIVERED
        try:
            maildir = self._pattern.path(recipient.mailbox)
        except Unsafe:
            return _BAD_ADDRESS
        stem = f"{int(message.received_at)}.Q{queue_id_text(message.queue_id)}S{slot}"
        try:
            _make_maildir(maildir)
            _write(maildir, stem, self._hostname, _header(message, recipient.mailbox), body)
        except OSError as error:
            return _delayed(error)
        self._delivered[key] = None
        if len(self._delivered) > _REMEMBERED:
            self._delivered.popitem(last=False)
        return _DELIVERED


def to_lf(stream: BinaryIO) -> Iterator[bytes]:
    """The content of a stream in pieces, with CR LF made LF, also where a piece ends between the two."""
    carried = b""
    while piece := stream.read(_CHUNK_OCTETS):
        piece = carried + piece
        carried = b""
        if piece.endswith(b"\r"):
            piece, carried = piece[:-1], b"\r"
        yield piece.replace(b"\r\n", b"\n")
    if carried:
        yield carried


def _slots(message: Message, recipients: tuple[Recipient, ...]) -> list[int]:
    """
    Which recipients of the message these are.

    Addresses repeat, so the very object counts first, and an equal one only where it is not there.
    """
    places = list(enumerate(message.envelope.recipients))
    slots: list[int] = []
    for recipient in recipients:
        found = next((place for place in places if place[1] is recipient), None) or next(
            (place for place in places if place[1] == recipient), None
        )
        if found is None:
            raise ValueError("not a recipient of this message")
        places.remove(found)
        slots.append(found[0])
    return slots


def _header(message: Message, mailbox: Mailbox) -> bytes:
    return_path = _CONTROL.sub("?", path_text(message.envelope.reverse_path))
    delivered_to = _CONTROL.sub("?", str(mailbox))
    lines = f"Return-Path: <{return_path}>\nDelivered-To: {delivered_to}\n".encode("utf-8", "replace")
    return lines + message.trace.replace(b"\r\n", b"\n")


def _make_maildir(maildir: Path) -> None:
    if all((maildir / part).is_dir() for part in ("tmp", "new", "cur")):
        return
    made = [folder for folder in (maildir, *maildir.parents) if not folder.exists()]
    for folder in reversed(made):
        folder.mkdir(mode=0o700, exist_ok=True)
    for part in ("tmp", "new", "cur"):
        (maildir / part).mkdir(mode=0o700, exist_ok=True)
    for folder in (maildir, *(folder.parent for folder in made)):
        _sync_folder(folder)


def _write(maildir: Path, stem: str, hostname: str, header: bytes, body: Body) -> None:
    temporary = maildir / "tmp" / f"{stem}.{hostname}"
    # What is there under this name was left by a crash in the middle of this very delivery.
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, _NEW_FILE, 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file, body.open() as stream:
            _write_all(file.fileno(), header)
            for piece in to_lf(stream):
                _write_all(file.fileno(), piece)
            os.fsync(file.fileno())
        _link(temporary, maildir / "new", stem, hostname)
        _sync_folder(maildir / "new")
    finally:
        temporary.unlink(missing_ok=True)


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _link(temporary: Path, new: Path, stem: str, hostname: str) -> None:
    """Into ``new``, never over a message that is another one."""
    for number in range(_SAME_NAMES):
        place = new / (f"{stem}N{number}.{hostname}" if number else f"{stem}.{hostname}")
        try:
            os.link(temporary, place)
        except FileExistsError:
            if _are_equal(temporary, place):
                return
        else:
            return
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def _are_equal(one: Path, other: Path) -> bool:
    with one.open("rb") as left, other.open("rb") as right:
        while True:
            piece = left.read(_CHUNK_OCTETS)
            if piece != right.read(_CHUNK_OCTETS):
                return False
            if not piece:
                return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _delayed(error: OSError) -> Delayed:
    """Without a path: the reason may be told to the sender."""
    number = error.errno or 0
    if number in _NO_SPACE:
        return Delayed("4.3.1", "there is no space for the mailbox", Scope.RECIPIENT)
    return Delayed("4.3.0", f"the mailbox could not be written ({os.strerror(number).lower()})", Scope.RECIPIENT)
