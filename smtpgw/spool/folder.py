"""
The folder of a spool: the names in it, and the lock that keeps it to one process.

The lock is ``flock`` on a file of its own, so the kernel drops it with the process, however that ends. A gateway holds
it exclusively, a reading command shares it; neither starts while the other is there.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from smtpgw.spool.errors import SpoolLocked, SpoolUnusable

DATABASE = "spool.db"
BODIES = "bodies"
LOCK = "lock"

_REMOTE_FILE_SYSTEMS = frozenset(
    [
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "smbfs",
        "afs",
        "ceph",
        "glusterfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "ncpfs",
        "coda",
    ]
)
"""There the lock may not hold, and what was synced may be only in somebody else's memory."""


class FolderLock:
    """The lock, held from making it until ``release``."""

    def __init__(self, folder: Path, *, shared: bool) -> None:
        """
        :param shared: only to read; else the process id is left in the file.
        :raises SpoolLocked: when somebody holds it in a way that excludes this one.
        :raises SpoolUnusable: when the file can't be opened.
        """
        path = folder / LOCK
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise SpoolUnusable(f"the spool {folder} can't be locked: {os.strerror(error.errno or 0)}") from error
        self._shared = shared
        try:
            fcntl.flock(self._descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _written_pid(self._descriptor)
            os.close(self._descriptor)
            raise SpoolLocked(str(folder), pid) from None
        if not shared:
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Let others in. The file stays: unlinking it would let two processes lock two files."""
        if not self._shared:
            os.truncate(self._descriptor, 0)
        os.close(self._descriptor)


def prepare_folder(folder: Path, log: Callable[[str], None], mounts: Path = Path("/proc/self/mountinfo")) -> None:
    """
    Make the folder, closed to others, if it isn't there.

    :raises SpoolUnusable: when that is impossible, or it lies on another machine.
    """
    try:
        missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for made in missing:
            sync_folder(made.parent)
        mode = folder.stat().st_mode
    except OSError as error:
        raise SpoolUnusable(f"the spool folder {folder} can't be made: {os.strerror(error.errno or 0)}") from error
    if mode & 0o077:
        log(f"the spool folder {folder} is open to other users (mode {mode & 0o777:o}); chmod 700 is advised")
    kind = file_system(folder, mounts)
    if kind in _REMOTE_FILE_SYSTEMS:
        raise SpoolUnusable(f"the spool folder {folder} is on a network file system ({kind}); it needs a local disk")


def file_system(folder: Path, mounts: Path) -> str:
    """The type of the file system a folder lies on, as the kernel names it; empty where that can't be found out."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    place = str(folder.resolve()) + "/"
    best, kind = "", ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        words = fields.split(" ")
        if len(words) < 5 or not rest:
            continue
        mount = words[4].replace("\\040", " ").rstrip("/") + "/"
        # The last of equal ones lies on top.
        if place.startswith(mount) and len(mount) >= len(best):
            best, kind = mount, rest.split(" ")[0]
    return kind


def sync_folder(folder: Path) -> None:
    """Make the names in it durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written_pid(descriptor: int) -> int | None:
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else None
