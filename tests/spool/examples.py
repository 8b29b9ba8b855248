"""Messages to keep, and what drives a spool without a reactor."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.spool import SpoolTrouble
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import BodyType, Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.spool.settings import SpoolSettings
from smtpgw.spool.sqlite import SqliteSpool, open_sqlite_spool

_PATIENCE_SECONDS = 20.0

NOW = 1_800_000_000.0
CLIENT = Client("192.0.2.25", "mail.example.org", "ESMTPS", TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"), "app", None)
TRACE = b"Received: from mail.example.org\r\n\tby mx.example.net; now\r\n"


class SteppedClock:
    """Time that stands until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def time(self) -> float:
        return self.now


class Calls:
    """The reactor's side: what the spool wants called, called when the test says so, in the test's thread."""

    def __init__(self) -> None:
        self._calls: SimpleQueue = SimpleQueue()
        self.put = self._calls.put

    def run_until(self, is_done: Callable[[], bool]) -> None:
        """Run what comes; fails when it does not come."""
        while not is_done():
            try:
                self._calls.get(timeout=_PATIENCE_SECONDS)()
            except Empty:
                raise AssertionError("the spool did not answer") from None

    def run_waiting(self) -> None:
        """Run what is there now."""
        try:
            while True:
                self._calls.get_nowait()()
        except Empty:
            pass

    def answer(self, ask: Callable[[Callable[[Any], None]], None]) -> Any:
        """Ask, and wait for the answer."""
        answers: list[Any] = []
        ask(answers.append)
        self.run_until(lambda: bool(answers))
        return answers[0]


def mailbox(text: str) -> Mailbox:
    local, _, domain = text.rpartition("@")
    return Mailbox(local, domain)


def example_entry(
    queue_id: int,
    *recipients: str,
    reverse_path: str | None = "alice@example.org",
    states: tuple[SlotState, ...] = (),
    size_octets: int = 0,
    received_at: float = NOW,
    due_at: float = NOW,
) -> Entry:
    """An entry; without recipients, of one to bob@example.net."""
    names = recipients or ("bob@example.net",)
    envelope = Envelope(
        None if reverse_path is None else mailbox(reverse_path),
        tuple(Recipient(mailbox(name)) for name in names),
        BodyType.EIGHT_BIT,
    )
    message = Message(queue_id, envelope, CLIENT, received_at, TRACE, size_octets)
    states = states or (SlotState.QUEUED,) * len(names)
    return Entry(message, tuple(Slot(state, due_at) for state in states), received_at + 432_000.0)


def read_body(body: Any) -> bytes:
    """All of it, by its stream."""
    with body.open() as stream:
        return bytes(stream.read())


def is_full(trouble: SpoolTrouble | None) -> bool:
    """Whether it is trouble that is answered 452."""
    return isinstance(trouble, SpoolTrouble) and trouble.full


class SpoolTestCase(SynchronousTestCase):
    """SQLite spools in a temporary folder, closed at the end."""

    def setUp(self) -> None:
        self.calls = Calls()
        self.clock = SteppedClock()
        self.lines: list[str] = []
        temporary = tempfile.TemporaryDirectory(prefix="smtpgw-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name) / "spool"
        self.open_spools: list[SqliteSpool] = []
        self.addCleanup(self.close_all)

    def open_spool(self, **arguments: Any) -> SqliteSpool:
        """Settings may be given by name, beside the arguments of ``open_sqlite_spool``."""
        bounds = {name: arguments.pop(name) for name in SpoolSettings.__struct_fields__ if name in arguments}
        spool = open_sqlite_spool(
            self.folder,
            settings=SpoolSettings(**{"min_free_octets": 0, "reserve_octets": 65536, **bounds}),
            call_in_reactor=self.calls.put,
            clock=self.clock,
            log=self.lines.append,
            **arguments,
        )
        self.open_spools.append(spool)
        return spool

    def close(self, spool: SqliteSpool) -> None:
        """Close and wait for it."""
        if spool in self.open_spools:
            self.open_spools.remove(spool)
            closed: list[bool] = []
            spool.close(lambda: closed.append(True))
            self.calls.run_until(lambda: bool(closed))

    def close_all(self) -> None:
        for spool in list(self.open_spools):
            self.close(spool)

    def add(self, spool: Any, entry: Entry, content: bytes = b"Subject: x\r\n\r\ntext\r\n") -> Any:
        """Add in pieces of 64 KiB, heeding back-pressure; the answer."""
        resumed: list[bool] = []
        draft = spool.open_draft(lambda: resumed.append(True))
        for start in range(0, len(content), 65536):
            if not draft.write(content[start : start + 65536]):
                self.calls.run_until(lambda: bool(resumed))
                resumed.clear()
        return self.calls.answer(lambda done: spool.add(entry, draft, done))

    def settle(self, spool: Any, *changes: Any) -> Any:
        return self.calls.answer(lambda done: spool.settle(changes, done))

    def fetch(self, spool: Any, queue_id: int) -> Any:
        return self.calls.answer(lambda done: spool.fetch(queue_id, done))

    def body_names(self) -> list[str]:
        """The body files that are there."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.glob("bodies/*/*"))
