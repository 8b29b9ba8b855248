"""
What the spool costs: messages a second and CPU per message, by how many are in flight.

    python benchmarks/bench_spool.py [--octets 4096] [--messages 20000] [--folder DIR] [--life]

The main thread stands for the reactor: it runs what the spool gives it, and asks for the next message when one is done.
With ``--life`` each message is fetched once it is kept, and then removed. CPU is of the whole process.
"""

import argparse
import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue

from smtpgw.boundaries.spool import Remove, SpoolTrouble
from smtpgw.model.address import Mailbox
from smtpgw.model.envelope import Client, Envelope, Recipient, TlsFacts
from smtpgw.model.message import Entry, Message, Slot, SlotState
from smtpgw.model.queue_id import QueueIds
from smtpgw.spool.settings import SpoolSettings
from smtpgw.spool.sqlite import open_sqlite_spool


class WallClock:
    """The real time."""

    time = staticmethod(time.time)


_CLIENT = Client("192.0.2.25", "mail.example.com", "ESMTPS", TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"), None, None)
_TRACE = b"Received: from mail.example.com (192.0.2.25)\r\n\tby mx.example.net with ESMTPS id 0123456789ABC; date\r\n"


def _entry(queue_id: int, number: int, octets: int, now: float) -> Entry:
    envelope = Envelope(
        Mailbox(f"sender{number}", "example.com"), (Recipient(Mailbox(f"rcpt{number}", "example.net")),)
    )
    message = Message(queue_id, envelope, _CLIENT, now, _TRACE, octets)
    return Entry(message, (Slot(SlotState.QUEUED, now),), now + 432000.0)


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class Run:
    """One measurement."""

    def __init__(self, folder: Path, octets: int, total: int, in_flight: int, life: bool) -> None:
        self.calls: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.batches = 0
        self.spool = open_sqlite_spool(
            folder,
            settings=SpoolSettings(min_free_octets=0),
            call_in_reactor=self.calls.put,
            clock=WallClock(),
            on_commit=self._committed,
        )
        self.ids = QueueIds()
        self.content = bytes(range(33, 97)) * (octets // 64)
        self.total = total
        self.in_flight = in_flight
        self.life = life
        self.asked = 0
        self.finished = 0
        self.seconds: list[float] = []

    def _committed(self, operations: int, seconds: float) -> None:
        self.batches += 1

    def _ask(self) -> None:
        self.asked += 1
        now = time.time()
        queue_id = self.ids.next(now)
        draft = self.spool.open_draft(lambda: None)
        content = self.content
        for start in range(0, len(content), 65536):
            draft.write(content[start : start + 65536])
        started = time.perf_counter()

        def kept(body: object) -> None:
            assert not isinstance(body, SpoolTrouble), body
            self.seconds.append(time.perf_counter() - started)
            if self.life:
                self.spool.fetch(queue_id, fetched)
            else:
                finished(None)

        def fetched(stored: object) -> None:
            assert not isinstance(stored, SpoolTrouble), stored
            self.spool.settle((Remove(queue_id),), finished)

        def finished(trouble: object) -> None:
            self.finished += 1
            if self.asked < self.total:
                self._ask()

        self.spool.add(_entry(queue_id, self.asked, len(content), now), draft, kept)

    def run(self) -> None:
        """Measure and print."""
        cpu, wall = _cpu(), time.perf_counter()
        for _ in range(self.in_flight):
            self._ask()
        while self.finished < self.total:
            self.calls.get()()
        cpu, wall = _cpu() - cpu, time.perf_counter() - wall
        closed: list[bool] = []
        self.spool.close(lambda: closed.append(True))
        while not closed:
            self.calls.get()()
        self.seconds.sort()
        p50, p99 = (self.seconds[int(len(self.seconds) * part)] * 1000 for part in (0.5, 0.99))
        print(
            f"{self.in_flight:5d} in flight: {self.total / wall:8.0f}/s  {cpu / self.total * 1e6:7.1f} us CPU"
            f"  batch {self.total / self.batches:6.1f}  kept after p50 {p50:.2f} ms, p99 {p99:.2f} ms"
        )


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--octets", type=int, default=4096)
    parser.add_argument("--messages", type=int, default=20000)
    parser.add_argument("--in-flight", type=int, nargs="*", default=[1, 20, 200])
    parser.add_argument("--folder", type=Path, default=None, help="where, on the disk to be measured")
    parser.add_argument("--life", action="store_true")
    options = parser.parse_args()
    for in_flight in options.in_flight:
        folder = Path(tempfile.mkdtemp(prefix="bench-spool-", dir=options.folder))
        try:
            Run(folder, options.octets, options.messages, in_flight, options.life).run()
        finally:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
