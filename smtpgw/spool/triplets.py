"""
What greylisting remembers, in a file of its own in the spool folder.

This side lives in the reactor's thread. What was put is answered from memory until it is written. While one question is
under way the next gathers, likewise what is to be written, so a flood of strangers makes larger questions and
transactions and not more of them. Answers are remembered. Memory, file and what waits are bounded.
"""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from smtpgw.boundaries.deadline import Task, Tasks
from smtpgw.boundaries.triplets import Known, Triplet, TripletTrouble
from smtpgw.boundaries.world import Clock, Threads
from smtpgw.spool.triplets_file import TripletFile
from smtpgw.spool.triplets_memory import LatestTriplets, unexpired

_MOST_ROWS = 1_000_000
"""About 120 MB of disk."""

_MOST_LATEST = 50_000
_MOST_UNWRITTEN = 20_000
_MOST_WANTED = 5_000
_BATCH = 2_000

Read = dict[bytes, Triplet | None] | TripletTrouble
"""What the file has answered to one question."""


def open_triplets(
    folder: Path,
    *,
    threads: Threads,
    tasks: Tasks,
    clock: Clock,
    log: Callable[[str], None],
    most: int = _MOST_ROWS,
) -> "FileTriplets":
    """
    The triplets of a spool folder, which is there and locked. Blocks; for the start.

    :param threads: best one thread of its own, that nothing else can fill.
    :param log: takes lines for the operator; called in any thread.
    :param most: triplets on disk.
    :raises SpoolUnusable: when no file can be had there.
    """
    return FileTriplets(TripletFile(folder, log, most=most), threads, tasks, clock, log)


class FileTriplets:
    """``Triplets`` in :mod:`smtpgw.boundaries.triplets`, kept over restarts."""

    def __init__(
        self,
        file: TripletFile,
        threads: Threads,
        tasks: Tasks,
        clock: Clock,
        log: Callable[[str], None],
        *,
        most_latest: int = _MOST_LATEST,
        most_unwritten: int = _MOST_UNWRITTEN,
    ) -> None:
        """
        :param most_latest: answers that are remembered.
        :param most_unwritten: triplets that wait to be written; more are remembered in memory only.
        """
        self._file = file
        self._threads = threads
        self._tasks = tasks
        self._clock = clock
        self._log = log
        self._most_unwritten = most_unwritten
        self._latest = LatestTriplets(most_latest)
        self._unwritten: dict[bytes, Triplet] = {}
        self._being_written: dict[bytes, Triplet] = {}
        self._question: dict[bytes, None] | None = None
        self._last_question: dict[bytes, None] | None = None
        self._asked: Task[Read] | None = None
        self._writing: Task[None] | None = None
        self._is_writing = False
        self._trouble = ""

    def get(self, keys: Sequence[bytes]) -> Known | Awaitable[Known]:
        """See the boundary."""
        missing = [key for key in keys if not self._is_known(key)]
        if missing:
            known = {key: self._find(key) for key in keys if key not in missing}
            return self._wait(tuple(keys), known, self._wanted(missing))
        now = self._clock.time()
        return tuple(unexpired(self._find(key), now) for key in keys)

    def put(self, key: bytes, triplet: Triplet) -> None:
        """See the boundary."""
        self._latest.learn(key, triplet)
        if key in self._unwritten or len(self._unwritten) < self._most_unwritten:
            self._unwritten[key] = triplet
            if not self._is_writing:
                self._is_writing = True
                self._writing = self._tasks.begin(self._write())

    async def close(self) -> None:
        """See the boundary."""
        try:
            while self._is_writing and self._writing is not None:
                await self._writing
        finally:
            await self._threads.run(self._file.close)

    def _is_known(self, key: bytes) -> bool:
        return key in self._unwritten or key in self._being_written or key in self._latest

    def _find(self, key: bytes) -> Triplet | None:
        found = self._unwritten.get(key) or self._being_written.get(key)
        if found is None and key in self._latest:
            found = self._latest.find(key)
        return found

    async def _wait(self, keys: tuple[bytes, ...], known: dict[bytes, Triplet | None], asked: Task[Read]) -> Known:
        read = await asked
        if isinstance(read, TripletTrouble):
            raise TripletTrouble(str(read))
        for key in keys:
            # What was put meanwhile is newer.
            if self._is_known(key):
                known[key] = self._find(key)
            elif key in read:
                known[key] = read[key]
        now = self._clock.time()
        return tuple(unexpired(known[key], now) for key in keys)

    def _wanted(self, missing: list[bytes]) -> Task[Read]:
        """Have them read, together with all that is wanted until the file has answered the questions before."""
        question = self._question
        if question is not None and self._asked is not None:
            if len(question) > _MOST_WANTED:
                raise TripletTrouble("too many wait for the file")
            question.update(dict.fromkeys(missing))
            return self._asked
        question = self._question = self._last_question = dict.fromkeys(missing)
        asked = self._asked = self._tasks.begin(self._read(question, self._asked))
        return asked

    async def _read(self, question: dict[bytes, None], before: Task[Read] | None) -> Read:
        """Never raises what the file does: those who wanted it may be gone."""
        try:
            if before is not None:
                await before
            self._question = None
            keys = list(question)
            read = dict(zip(keys, await self._threads.run(self._file.read, keys), strict=True))
        except TripletTrouble as trouble:
            return trouble
        finally:
            if question is self._last_question:
                # Nobody waits behind it, so a mistake of ours in it spoils nothing that comes.
                self._question = self._asked = None
        for key, triplet in read.items():
            if not self._is_known(key):
                self._latest.learn(key, triplet)
        return read

    async def _write(self) -> None:
        try:
            while self._unwritten:
                self._take_batch()
                try:
                    await self._threads.run(self._file.write, self._being_written, self._clock.time())
                except TripletTrouble as trouble:
                    self._tell(str(trouble))
                else:
                    self._tell("")
        finally:
            self._being_written = {}
            self._is_writing = False

    def _take_batch(self) -> None:
        if len(self._unwritten) <= _BATCH:
            self._being_written, self._unwritten = self._unwritten, {}
            return
        keys = [key for key, _ in zip(self._unwritten, range(_BATCH), strict=False)]
        self._being_written = {key: self._unwritten.pop(key) for key in keys}

    def _tell(self, trouble: str) -> None:
        """Tell the operator when writing begins to fail, and when it does no more."""
        if bool(trouble) != bool(self._trouble):
            self._log(f"greylist: can't be written: {trouble}" if trouble else "greylist: written again")
        self._trouble = trouble
