"""The folder of a spool and its lock."""

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.spool.errors import SpoolLocked, SpoolUnusable
from smtpgw.spool.folder import FolderLock, file_system, prepare_folder

_MOUNTS = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:21 / {root}/far\\040away rw - nfs4 server:/export rw
24 22 0:22 / {root}/near rw - nfs server:/export rw
25 22 0:23 / {root}/near rw - tmpfs tmpfs rw
broken line
"""


class _Base(SynchronousTestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="smtpgw-test-")
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name).resolve()
        self.lines: list[str] = []
        self.mounts = self.root / "mountinfo"
        self.mounts.write_text(_MOUNTS.format(root=self.root))


class PrepareTests(_Base):
    """The folder is made, closed, and local."""

    def test_made_closed(self) -> None:
        """It and its parents are made for us alone."""
        folder = self.root / "a/b/spool"
        prepare_folder(folder, self.lines.append, self.mounts)
        self.assertEqual(folder.stat().st_mode & 0o777, 0o700)
        self.assertEqual(self.lines, [])

    def test_open_folder_is_told(self) -> None:
        """One that others can look into is used, and the operator is told."""
        folder = self.root / "open"
        folder.mkdir()
        folder.chmod(0o755)
        prepare_folder(folder, self.lines.append, self.mounts)
        self.assertIn("chmod 700", self.lines[0])

    def test_file_in_its_place(self) -> None:
        """One clear line when it can't be made."""
        (self.root / "file").touch()
        refused = self.assertRaises(SpoolUnusable, prepare_folder, self.root / "file", self.lines.append)
        self.assertIn("can't be made", str(refused))

    def test_network_file_system(self) -> None:
        """A folder of another machine is refused: the lock and the sync may mean nothing there."""
        for name in ("far away", "far away/deep/down"):
            refused = self.assertRaises(SpoolUnusable, prepare_folder, self.root / name, self.lines.append, self.mounts)
            self.assertIn("nfs4", str(refused))

    def test_which_file_system(self) -> None:
        """The innermost mount counts, and of two on one place the later; a name that only begins alike is none."""
        found = [file_system(self.root / name, self.mounts) for name in ("near/x", "nearby", ".", "far away")]
        self.assertEqual(found, ["tmpfs", "ext4", "ext4", "nfs4"])
        self.assertEqual(file_system(self.root, self.root / "absent"), "")


class LockTests(_Base):
    """One gateway, or any number of readers."""

    def test_exclusive(self) -> None:
        """While a gateway has it nobody else has, and they learn its process id."""
        lock = FolderLock(self.root, shared=False)
        for shared in (False, True):
            refused = self.assertRaises(SpoolLocked, FolderLock, self.root, shared=shared)
            self.assertEqual(refused.pid, os.getpid())
        lock.release()
        FolderLock(self.root, shared=False).release()

    def test_readers(self) -> None:
        """Readers do not exclude each other, and keep a gateway from starting; no old process is blamed for it."""
        FolderLock(self.root, shared=False).release()
        readers = [FolderLock(self.root, shared=True) for _ in range(2)]
        refused = self.assertRaises(SpoolLocked, FolderLock, self.root, shared=False)
        self.assertIsNone(refused.pid)
        for reader in readers:
            reader.release()
        FolderLock(self.root, shared=False).release()

    def test_no_folder(self) -> None:
        """A lock that can't be made is a clear error; nor is a link followed to somebody else's file."""
        self.assertRaises(SpoolUnusable, FolderLock, self.root / "absent", shared=True)
        (self.root / "victim").write_bytes(b"precious")
        (self.root / "lock").symlink_to(self.root / "victim")
        self.assertRaises(SpoolUnusable, FolderLock, self.root, shared=False)
        self.assertEqual((self.root / "victim").read_bytes(), b"precious")
