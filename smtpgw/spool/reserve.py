"""
A file that holds some space back, so that a queue can shrink on a disk that others have filled.

Also a removal needs space: it is written to the WAL first, and a checkpoint may have to let the database grow. When the
disk is full the file goes, and only changes of messages that are there are taken until it can be made again.
"""

import os
from pathlib import Path

RESERVE = "reserve"


class Reserve:
    """The file; used by one thread at a time."""

    def __init__(self, folder: Path, octets: int) -> None:
        """:param octets: 0 for none."""
        self._path = folder / RESERVE
        self._octets = octets

    def keep(self) -> None:
        """
        Make it, if it isn't there.

        :raises OSError: when there is no space for it; then it isn't there.
        """
        if self._octets == 0:
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(descriptor).st_size != self._octets:
                os.ftruncate(descriptor, 0)
                os.posix_fallocate(descriptor, 0, self._octets)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)

    def spend(self) -> bool:
        """Give its space to whoever writes next; False when it is spent already."""
        try:
            self._path.unlink()
        except OSError:
            return False
        return True
