"""A folder with a store of triplets, and threads that do everything at once."""

# mypy: no-check-untyped-defs

import sqlite3
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.spool.triplets import FileTriplets, open_triplets
from smtpgw.spool.triplets_file import FILE, TripletFile
from tests.policy.rig import Rig


class AtOnce:
    """``Threads`` that run everything at once."""

    def run(self, function, *arguments):
        """Here and now."""
        try:
            return succeed(function(*arguments))
        except Exception:
            return fail()


class InFolder(SynchronousTestCase):
    """Has a folder."""

    def setUp(self):
        super().setUp()
        self.rig = Rig()
        self.said: list[str] = []
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def open(self, threads=None, most=1000):
        """The store of the folder."""
        found = open_triplets(
            self.folder,
            threads=threads or AtOnce(),
            tasks=self.rig.tasks,
            clock=self.rig.clock,
            log=self.said.append,
            most=most,
        )
        self.addCleanup(found._file.close)
        return found

    def over(self, file, **bounds):
        """A store over a file."""
        return FileTriplets(file, AtOnce(), self.rig.tasks, self.rig.clock, self.said.append, **bounds)

    def file(self, **options):
        """The file of the folder."""
        found = TripletFile(self.folder, self.said.append, **{"most": 1000, **options})
        self.addCleanup(found.close)
        return found

    def close(self, triplets):
        """Close it, now."""
        self.successResultOf(Deferred.fromCoroutine(triplets.close()))

    def rows(self):
        """How many there are in the file."""
        connection = sqlite3.connect(self.folder / FILE)
        try:
            return connection.execute("SELECT count(*) FROM triplet").fetchone()[0]
        finally:
            connection.close()
