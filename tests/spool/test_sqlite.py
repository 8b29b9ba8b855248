"""The SQLite spool: the promises of every spool, and that they hold over restarts, full disks and failing ones."""

import errno
import os
import sqlite3
from functools import partial
from typing import Any

from smtpgw.boundaries.spool import Insert, Remove, SpoolTrouble, Update
from smtpgw.model.message import Slot, SlotState
from smtpgw.spool.errors import SpoolFull, SpoolLocked
from tests.contracts.spool import SpoolContract
from tests.spool.examples import NOW, SpoolTestCase, example_entry, is_full, read_body
from tests.spool.failing import Disk, FailingFiles, Plenty, SlowFiles

LARGE = bytes(range(256)) * 1024


class SqliteSpoolTests(SpoolContract, SpoolTestCase):
    """It keeps the promises of every spool."""

    def make_spool(self, max_messages: int = 1000) -> Any:
        return self.open_spool(max_messages=max_messages)


class RestartTests(SpoolTestCase):
    """What was acknowledged is there after a restart."""

    def test_everything_is_there_again(self) -> None:
        """Small and large contents, states, and how many there are."""
        spool = self.open_spool(max_messages=2)
        self.add(spool, example_entry(1, "a@x.example", "b@x.example"), b"small")
        self.add(spool, example_entry(2), LARGE)
        self.settle(spool, Update(1, ((1, Slot(SlotState.HELD, NOW, 4)),), True))
        before = self.fetch(spool, 1).entry
        self.close(spool)
        spool = self.open_spool(max_messages=2)
        self.assertEqual(self.fetch(spool, 1).entry, before)
        self.assertTrue(read_body(self.fetch(spool, 2).body) == LARGE)
        self.assertEqual((spool.messages, spool.last_queue_id()), (2, 2))
        self.assertTrue(is_full(spool.trouble()))
        self.assertEqual(self.lines, [])

    def test_large_removed_after_restart(self) -> None:
        """The file of a large message goes with it, also when an earlier run had written it."""
        spool = self.open_spool()
        self.add(spool, example_entry(2), LARGE)
        self.close(spool)
        spool = self.open_spool()
        self.assertEqual(len(self.body_names()), 1)
        self.settle(spool, Remove(2))
        self.close(spool)
        self.assertEqual(self.body_names(), [])

    def test_sweep(self) -> None:
        """Files that a crash has left without a message are unlinked; those with one stay; a lost one is told."""
        spool = self.open_spool()
        self.add(spool, example_entry(1), LARGE)
        self.add(spool, example_entry(2), LARGE)
        self.close(spool)
        kept, lost = self.body_names()
        (self.folder / lost).rename(self.folder / "bodies/left")
        (self.folder / "bodies/aa").mkdir()
        (self.folder / "bodies/left").rename(self.folder / "bodies/aa/123.4")
        self.open_spool()
        self.assertEqual(self.body_names(), [kept])
        self.assertEqual(len(self.lines), 2)
        self.assertIn("1 body files without a message", self.lines[0])
        self.assertIn("1 messages have lost their body file", self.lines[1])

    def test_closed_folder(self) -> None:
        """Nobody else on the machine can read the mail."""
        spool = self.open_spool()
        self.add(spool, example_entry(2), LARGE)
        for path in [self.folder, *self.folder.rglob("*")]:
            self.assertEqual(path.stat().st_mode & 0o077, 0, path)


class LockTests(SpoolTestCase):
    """One process at a time."""

    def test_second_is_refused(self) -> None:
        """A second gateway on the same spool is told who has it, and the first goes on."""
        spool = self.open_spool()
        refused = self.assertRaises(SpoolLocked, self.open_spool)
        self.assertEqual(refused.pid, os.getpid())
        self.assertIn(f"process {os.getpid()}", str(refused))
        self.assertNotIsInstance(self.add(spool, example_entry(1)), SpoolTrouble)

    def test_free_after_close(self) -> None:
        """A gateway that has ended leaves the spool to the next."""
        self.close(self.open_spool())
        self.open_spool()


class LargeTests(SpoolTestCase):
    """Large contents stream to files, in bounded memory, and the reactor never waits."""

    def test_own_file(self) -> None:
        """Content over the limit gets a file; at the limit it stays in the database."""
        spool = self.open_spool(inline_limit_octets=1000)
        self.assertEqual(self.add(spool, example_entry(1), bytes(1000)).inline(), bytes(1000))
        self.assertEqual(self.body_names(), [])
        self.assertIsNone(self.add(spool, example_entry(2), bytes(1001)).inline())
        self.assertEqual(len(self.body_names()), 1)
        self.assertEqual(read_body(self.fetch(spool, 2).body), bytes(1001))

    def test_discarded_file(self) -> None:
        """A large message that was abandoned leaves no file."""
        spool = self.open_spool()
        draft = spool.open_draft(lambda: None)
        draft.write(LARGE)
        draft.discard()
        self.close(spool)
        self.assertEqual(self.body_names(), [])

    def test_refused_large_message(self) -> None:
        """A large message whose row is refused leaves no file."""
        spool = self.open_spool()
        self.add(spool, example_entry(1), b"first")
        self.assertIsInstance(self.add(spool, example_entry(1), LARGE), SpoolTrouble)
        self.close(spool)
        self.assertEqual(self.body_names(), [])

    def test_back_pressure(self) -> None:
        """A sender that is faster than the disk is told to wait, and told when to go on; memory stays bounded."""
        files = SlowFiles()
        spool = self.open_spool(files=files)
        resumed: list[bool] = []
        draft = spool.open_draft(lambda: resumed.append(True))
        written = 0
        while draft.write(bytes(65536)):
            written += 65536
            self.assertLess(written, 4 << 20)
        files.go.set()
        self.calls.run_until(lambda: bool(resumed))
        self.assertEqual(len(resumed), 1)
        self.assertTrue(draft.write(b"end"))
        body = self.calls.answer(lambda done: spool.add(example_entry(1), draft, done))
        self.assertEqual(len(read_body(body)), written + 65536 + 3)

    def test_memory_of_all_drafts(self) -> None:
        """When many drafts together hold too much, also small ones go to files, and get there."""
        spool = self.open_spool(draft_memory_octets=10_000)
        resumed: set[int] = set()
        drafts = [spool.open_draft(partial(resumed.add, number)) for number in range(10)]
        paused = {number for number, draft in enumerate(drafts) if not draft.write(bytes(3000))}
        self.assertEqual(paused, set(range(3, 10)))
        self.calls.run_until(lambda: resumed == paused)
        answers: list[Any] = []
        for number, draft in enumerate(drafts):
            spool.add(example_entry(number + 1), draft, answers.append)
        self.calls.run_until(lambda: len(answers) == 10)
        self.assertEqual({len(read_body(body)) for body in answers}, {3000})
        self.assertEqual(len(self.body_names()), 7)
        # All of it was given back: a draft has the whole of it again.
        self.assertTrue(spool.open_draft(lambda: None).write(bytes(10_000)))

    def test_lost_file(self) -> None:
        """A message whose file is gone or cut short is trouble, not an empty message."""
        spool = self.open_spool()
        self.add(spool, example_entry(1), LARGE)
        path = self.folder / self.body_names()[0]
        os.truncate(path, 1000)
        self.assertIsInstance(self.fetch(spool, 1), SpoolTrouble)
        path.unlink()
        self.assertIsInstance(self.fetch(spool, 1), SpoolTrouble)


class SpaceTests(SpoolTestCase):
    """Without space nothing is lost, and it goes on when there is some again."""

    def test_min_free(self) -> None:
        """Less free space than must remain: no new message; asked for once a second at most."""
        spool = self.open_spool(min_free_octets=1 << 62)
        self.assertTrue(is_full(spool.trouble()))
        asked: list[Any] = []

        def statvfs(folder: Any) -> Plenty:
            asked.append(folder)
            return Plenty()

        self.patch(os, "statvfs", statvfs)
        self.assertTrue(is_full(spool.trouble()))
        self.assertEqual(asked, [])
        self.clock.now += 1.0
        self.assertIsNone(spool.trouble())
        self.assertIsNone(spool.trouble())
        self.assertEqual(len(asked), 1)

    def test_database_full(self) -> None:
        """A full disk under the database: refused as full, nothing kept; with space it goes on by itself."""
        disk = Disk()
        spool = self.open_spool(connect=disk.connect, probe_seconds=0.02)
        self.add(spool, example_entry(1), b"kept")
        disk.most_pages = 10
        refused = self.add(spool, example_entry(2), bytes(100_000))
        self.assertTrue(is_full(refused), refused)
        self.assertTrue(is_full(spool.trouble()))
        self.assertEqual(read_body(self.fetch(spool, 1).body), b"kept")
        self.assertIsNone(self.fetch(spool, 2))
        disk.most_pages = 1 << 20
        self.calls.run_until(lambda: spool.trouble() is None)
        self.assertNotIsInstance(self.add(spool, example_entry(2), bytes(100_000)), SpoolTrouble)
        self.assertIsNone(spool.trouble())
        self.assertIn("takes messages again", self.lines[-1])
        self.assertEqual(len(self.lines), 2)

    def test_changes_on_a_full_disk(self) -> None:
        """The space held back is for changes of messages that are there, so that the queue can shrink."""
        disk = Disk()
        disk.reserve = self.folder / "reserve"
        spool = self.open_spool(connect=disk.connect, probe_seconds=60.0)
        self.assertEqual(disk.reserve.stat().st_size, 65536)
        self.add(spool, example_entry(1), bytes(100_000))
        disk.most_pages = 10
        self.assertTrue(is_full(self.add(spool, example_entry(2), bytes(100_000))))
        self.assertTrue(disk.reserve.exists())
        answers: list[Any] = []
        for change in (Insert(example_entry(3), bytes(50_000)), Remove(1)):
            spool.settle([change], answers.append)
        self.calls.run_until(lambda: len(answers) == 2)
        self.assertEqual((answers, disk.reserve.exists()), ([None, None], False))
        # Until the space can be held back again no message from outside is even tried.
        commits = disk.commits_tried
        self.assertTrue(is_full(self.add(spool, example_entry(4), b"small")))
        self.assertEqual(disk.commits_tried, commits)

    def test_probe_without_an_idle_moment(self) -> None:
        """Also a spool that is never idle finds out that there is space again, and holds some back first."""
        disk = Disk()
        disk.reserve = self.folder / "reserve"
        spool = self.open_spool(connect=disk.connect, probe_seconds=60.0)
        disk.most_pages = 10
        self.assertTrue(is_full(self.add(spool, example_entry(2), bytes(100_000))))
        self.settle(spool, Insert(example_entry(3), bytes(50_000)))
        self.assertFalse(disk.reserve.exists())
        disk.most_pages = 1 << 20
        self.settle(spool, Remove(98))
        self.assertTrue(is_full(spool.trouble()))
        self.clock.now += 60.0
        self.settle(spool, Remove(99))
        self.calls.run_until(lambda: spool.trouble() is None)
        self.assertTrue(disk.reserve.exists())

    def test_start_on_a_full_disk(self) -> None:
        """Without space even to open the database, what was held back is spent, and mail is refused at first."""
        disk = Disk()
        disk.reserve = self.folder / "reserve"
        self.close(self.open_spool())
        disk.openable = False
        spool = self.open_spool(connect=disk.connect)
        self.assertEqual(disk.opened, 2)
        self.assertIsNone(self.settle(spool, Remove(1)))
        self.close(spool)
        disk.reserve.unlink()
        disk.openable = False
        disk.reserve = None
        self.assertRaises(SpoolFull, self.open_spool, connect=disk.connect)

    def test_body_file_full(self) -> None:
        """A full disk under a large message: refused as full, no file left; with space it goes on by itself."""
        files = FailingFiles()
        spool = self.open_spool(files=files, probe_seconds=0.02)
        for call in ("create", "write", "sync", "sync_folder"):
            files.failing = {}
            self.calls.run_until(lambda: spool.trouble() is None)
            files.failing = {call: errno.ENOSPC}
            refused = self.add(spool, example_entry(1), LARGE)
            self.assertTrue(is_full(refused), call)
            self.assertEqual(self.body_names(), [], call)
            self.assertIsNone(self.fetch(spool, 1))
        files.failing = {}
        self.calls.run_until(lambda: spool.trouble() is None)
        self.assertTrue(read_body(self.add(spool, example_entry(1), LARGE)) == LARGE)


class FailingDiskTests(SpoolTestCase):
    """A failing disk refuses mail; it never makes a message look kept that is not."""

    def test_failing_commit(self) -> None:
        """All who wait for it are refused (451), it is not tried again, and the next begins on a new connection."""
        disk = Disk()
        spool = self.open_spool(connect=disk.connect, probe_seconds=60.0)
        self.add(spool, example_entry(1), b"kept")
        disk.commits_tried, disk.failing_commits = 0, 1
        refused = self.add(spool, example_entry(2), b"lost")
        self.assertEqual(refused, SpoolTrouble(full=False, cause="SQLITE_IOERR_FSYNC: disk error"))
        self.assertEqual((disk.commits_tried, disk.opened), (1, 1))
        self.assertEqual(spool.trouble(), refused)
        self.assertIsNone(self.fetch(spool, 2))
        self.assertNotIsInstance(self.add(spool, example_entry(3), b"next"), SpoolTrouble)
        self.assertEqual((disk.commits_tried, disk.opened), (2, 2))
        self.assertIsNone(spool.trouble())
        self.close(spool)
        spool = self.open_spool()
        self.assertEqual([waiting.queue_id for waiting in spool.recover()], [1, 3])

    def test_failing_rewrite(self) -> None:
        """A large message that can't be written anew, or read back, is refused at its end, and leaves no file."""
        for call, code in (("create", errno.ENOSPC), ("write", errno.EIO), ("read", errno.EIO)):
            files = FailingFiles()
            spool = self.open_spool(files=files)
            draft = spool.open_draft(lambda: None)
            draft.write(b"large\r\n" * 50_000)
            self.calls.answer(partial(draft.read, 0, 5))
            files.failing[call] = code
            draft.rewrite(b"New: 1\r\n", 0)
            found = self.calls.answer(partial(draft.read, 0, 5))
            self.assertEqual((isinstance(found, SpoolTrouble), is_full(found)), (True, code == errno.ENOSPC))
            add = partial(spool.add, example_entry(7), draft)
            self.assertIsInstance(self.calls.answer(add), SpoolTrouble)
            self.assertEqual(self.body_names(), [])
            self.close(spool)

    def test_failing_for_long(self) -> None:
        """While the disk fails the spool says so, and looks by itself when it is well again."""
        disk = Disk()
        spool = self.open_spool(connect=disk.connect, probe_seconds=0.02)
        disk.failing_commits = 4
        self.assertIsInstance(self.settle(spool, Remove(1)), SpoolTrouble)
        self.assertIsNotNone(spool.trouble())
        self.calls.run_until(lambda: len(self.lines) >= 2)
        self.assertIsNone(spool.trouble())
        self.assertEqual(disk.failing_commits, 0)
        self.assertEqual(len(self.lines), 2)

    def test_file_of_uncertain_row(self) -> None:
        """
        A commit that failed may still be found in the WAL after a crash, so the file of its message stays for now.

        The sweep of the next start takes it when no row has come back.
        """
        disk = Disk()
        spool = self.open_spool(connect=disk.connect)
        disk.failing_commits = 1
        self.assertIsInstance(self.add(spool, example_entry(1), LARGE), SpoolTrouble)
        self.close(spool)
        self.assertEqual(len(self.body_names()), 1)
        self.open_spool()
        self.assertEqual(self.body_names(), [])

    def test_failing_sync_of_a_body(self) -> None:
        """When the content can't be synced, no row is written."""
        files = FailingFiles()
        spool = self.open_spool(files=files)
        files.failing = {"sync": errno.EIO}
        refused = self.add(spool, example_entry(1), LARGE)
        self.assertEqual((refused.full, "EIO" in refused.cause), (False, True))
        self.assertIsNone(self.fetch(spool, 1))

    def test_damaged_row(self) -> None:
        """A message whose row does not make sense is trouble of its own; the others are delivered."""
        spool = self.open_spool()
        self.add(spool, example_entry(1))
        self.add(spool, example_entry(2))
        self.close(spool)
        with sqlite3.connect(self.folder / "spool.db") as connection:
            connection.execute("UPDATE message SET record=x'c1' WHERE id=1")
        connection.close()
        spool = self.open_spool()
        self.assertIsInstance(self.fetch(spool, 1), SpoolTrouble)
        self.assertEqual(self.fetch(spool, 2).entry, example_entry(2))


class BatchTests(SpoolTestCase):
    """What waits together is committed together."""

    def test_one_transaction_for_many(self) -> None:
        """Two hundred messages at once are few transactions, and each is told."""
        batches: list[int] = []
        spool = self.open_spool(on_commit=lambda operations, seconds: batches.append(operations))
        answers: list[Any] = []
        for number in range(200):
            spool.add(example_entry(number + 1), spool.open_draft(lambda: None), answers.append)
        self.calls.run_until(lambda: len(answers) == 200)
        self.assertEqual(sum(batches), 200)
        self.assertLess(len(batches), 100)

    def test_one_callers_mistake(self) -> None:
        """A callback that raises is shown, and does not keep the answer from the others."""
        spool = self.open_spool()
        answers: list[Any] = []

        def wrong(answer: object) -> None:
            raise ZeroDivisionError

        spool.settle([Remove(1)], wrong)
        spool.settle([Remove(2)], answers.append)
        self.assertRaises(ZeroDivisionError, self.calls.run_until, lambda: bool(answers))
        self.calls.run_until(lambda: bool(answers))

    def test_draft_of_another_spool(self) -> None:
        """A draft belongs to the spool that made it."""
        spool = self.open_spool()
        self.assertRaises(TypeError, spool.add, example_entry(1), object(), self.fail)
