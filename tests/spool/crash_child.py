"""
Adds, changes and removes messages as fast as it can, until it is killed.

    python crash_child.py FOLDER SEED

Writes a line for each acknowledgement: ``+ID`` kept, ``-ID`` removed; and ``!ID`` when it asks for a removal, as that
may be done without being acknowledged.
"""

import os
import random
import sys
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from smtpgw.boundaries.spool import Remove, SpoolTrouble, Update
from smtpgw.model.message import Slot, SlotState
from smtpgw.spool.settings import SpoolSettings
from smtpgw.spool.sqlite import open_sqlite_spool
from tests.spool.examples import example_entry

_LIMIT = 3000
"""Inline limit: small, so that many messages have a file."""


class _Clock:
    time = staticmethod(time.time)


def content_of(queue_id: int) -> bytes:
    """What message this is, told by its id."""
    return b"%d\r\n" % queue_id * (queue_id % 1000 + 1)


def main(folder: str, seed: str) -> None:
    """Until killed."""
    rng = random.Random(int(seed))
    calls: SimpleQueue = SimpleQueue()
    spool = open_sqlite_spool(
        Path(folder),
        settings=SpoolSettings(min_free_octets=0, inline_limit_octets=_LIMIT),
        call_in_reactor=calls.put,
        clock=_Clock(),
    )
    kept: list[int] = []
    next_id = spool.last_queue_id() + 1

    def tell(mark: str, queue_id: int) -> None:
        os.write(1, f"{mark}{queue_id}\n".encode())

    def step() -> None:
        nonlocal next_id
        if kept and rng.random() < 0.3:
            queue_id = kept.pop(rng.randrange(len(kept)))
            tell("!", queue_id)
            slot = Slot(SlotState.DONE, 0.0, 1)
            spool.settle([Update(queue_id, ((0, slot),)), Remove(queue_id)], lambda trouble: removed(queue_id, trouble))
            return
        queue_id, next_id = next_id, next_id + 1
        draft = spool.open_draft(lambda: None)
        draft.write(content_of(queue_id))
        entry = example_entry(queue_id, "a@x.example", "b@x.example", size_octets=draft.size_octets)
        spool.add(entry, draft, lambda body: added(queue_id, body))

    def added(queue_id: int, body: Any) -> None:
        if isinstance(body, SpoolTrouble):
            raise SystemExit(f"refused: {body.cause}")
        tell("+", queue_id)
        kept.append(queue_id)
        step()

    def removed(queue_id: int, trouble: SpoolTrouble | None) -> None:
        if trouble is not None:
            raise SystemExit(f"refused: {trouble.cause}")
        tell("-", queue_id)
        step()

    for _ in range(10):
        step()
    while True:
        calls.get()()


if __name__ == "__main__":
    main(*sys.argv[1:])
