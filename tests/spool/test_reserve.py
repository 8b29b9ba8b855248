"""The file that holds space back."""

import errno
import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.spool.reserve import Reserve


class ReserveTests(SynchronousTestCase):
    """Real space, there when it is needed."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="smtpgw-test-")
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.path = self.folder / "reserve"

    def test_kept_and_spent(self) -> None:
        """The space is really taken, and given back once."""
        reserve = Reserve(self.folder, 65536)
        reserve.keep()
        status = self.path.stat()
        self.assertEqual((status.st_size, status.st_mode & 0o777), (65536, 0o600))
        self.assertGreaterEqual(status.st_blocks * 512, 65536)
        self.assertEqual([reserve.spend(), reserve.spend()], [True, False])

    def test_other_size(self) -> None:
        """A reserve of an earlier setting becomes one of this."""
        Reserve(self.folder, 65536).keep()
        Reserve(self.folder, 4096).keep()
        self.assertEqual(self.path.stat().st_size, 4096)

    def test_no_space(self) -> None:
        """Half a reserve is none: the space is left to those who need it now."""

        def full(*arguments: int) -> None:
            raise OSError(errno.ENOSPC, "full")

        self.patch(os, "posix_fallocate", full)
        self.assertRaises(OSError, Reserve(self.folder, 65536).keep)
        self.assertFalse(self.path.exists())

    def test_none(self) -> None:
        """Who wants none gets none."""
        reserve = Reserve(self.folder, 0)
        reserve.keep()
        self.assertFalse(reserve.spend())
