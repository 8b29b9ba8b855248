"""Tests for the file of what greylisting remembers: restarts, damage, full disks, and how it stays small."""

# mypy: no-check-untyped-defs

import os
import sqlite3

from smtpgw.boundaries.triplets import TripletTrouble
from smtpgw.spool.errors import SpoolUnusable
from smtpgw.spool.triplets_file import DAMAGED, FILE, connect_triplets
from tests.contracts.triplets import key, triplet
from tests.policy.rig import START, waited
from tests.spool.triplet_folder import InFolder


class RestartTests(InFolder):
    """What was learnt is not learnt anew after each restart."""

    def test_restart(self):
        """Closed and opened again, everything is there."""
        triplets = self.open()
        for number in range(10):
            triplets.put(key(number), triplet(number))
        self.close(triplets)
        triplets = self.open()
        keys = [key(number) for number in range(10)]
        found = self.successResultOf(waited(triplets.get(keys)))
        self.assertEqual(found, tuple(triplet(number) for number in range(10)))
        self.assertEqual(self.said, [])

    def test_crash(self):
        """What was written is there when nobody has closed it."""
        self.open().put(key(1), triplet(1))
        self.assertEqual(self.successResultOf(waited(self.open().get([key(1)]))), (triplet(1),))

    def test_private(self):
        """Nobody else may read who writes to whom."""
        self.open()
        self.assertEqual((self.folder / FILE).stat().st_mode & 0o777, 0o600)

    def test_link(self):
        """A link in the place of the file is not followed."""
        victim = self.folder / "victim"
        victim.write_text("precious")
        (self.folder / FILE).symlink_to(victim)
        with self.assertRaises(SpoolUnusable):
            self.open()
        self.assertEqual(victim.read_text(), "precious")

    def test_no_folder(self):
        """Without a folder there is one clear error."""
        self.folder = self.folder / "missing"
        with self.assertRaises(SpoolUnusable):
            self.open()


class DamageTests(InFolder):
    """A broken greylist never keeps the gateway from serving."""

    def assert_begun_anew(self, triplets):
        """It works, and the operator was told once; the old one was put aside."""
        triplets.put(key(7), triplet(7))
        self.assertEqual(self.successResultOf(waited(triplets.get([key(7)]))), (triplet(7),))
        self.assertEqual(len(self.said), 1)
        self.assertIn("put aside", self.said[0])
        self.assertTrue((self.folder / DAMAGED).exists())
        self.assertEqual(self.rows(), 1)

    def test_garbage(self):
        """A file of garbage, long or short."""
        for garbage in (b"not a data base", os.urandom(100_000), b"SQLite format 3\0" + bytes(5000)):
            self.said.clear()
            for file in self.folder.iterdir():
                file.unlink()
            (self.folder / FILE).write_bytes(garbage)
            triplets = self.open()
            self.assert_begun_anew(triplets)
            self.assertEqual((self.folder / DAMAGED).read_bytes(), garbage)
            self.close(triplets)

    def test_holes(self):
        """A data base with holes in its middle."""
        triplets = self.open()
        for number in range(2000):
            triplets.put(key(number), triplet(number))
        self.close(triplets)
        octets = bytearray((self.folder / FILE).read_bytes())
        for place in range(4096, len(octets) - 100, 4096):
            octets[place : place + 64] = b"\xa5" * 64
        (self.folder / FILE).write_bytes(octets)
        self.assert_begun_anew(self.open())

    def test_other_data_base(self):
        """A data base of another kind, of another version, or with another table."""
        for statements in (
            ["CREATE TABLE other(x)"],
            ["PRAGMA user_version=7"],
            ["PRAGMA user_version=1", "PRAGMA application_id=0x736d7467", "CREATE TABLE triplet(x)"],
        ):
            self.said.clear()
            for file in self.folder.iterdir():
                file.unlink()
            connection = sqlite3.connect(self.folder / FILE, isolation_level=None)
            for statement in statements:
                connection.execute(statement)
            connection.close()
            triplets = self.open()
            self.assert_begun_anew(triplets)
            self.close(triplets)

    def test_damaged_while_open(self):
        """A file that turns out to be broken in the middle of the day is put aside, and mail goes on."""
        triplets = self.open()
        for number in range(2000):
            triplets.put(key(number), triplet(number))
        self.close(triplets)
        file = self.file()
        with (self.folder / FILE).open("r+b") as octets:
            size = octets.seek(0, os.SEEK_END)
            for place in range(4096, size, 4096):
                octets.seek(place)
                octets.write(b"\xa5" * 4096)
        file._connection.execute("PRAGMA cache_size=0")
        file._connection.execute("PRAGMA shrink_memory")
        triplets = self.over(file)
        self.assertEqual(self.successResultOf(waited(triplets.get([key(1)]))), (None,))
        self.assert_begun_anew(triplets)

    def test_one_aside(self):
        """However often it breaks, one broken file is kept, so the disk does not fill."""
        for _ in range(3):
            (self.folder / FILE).write_bytes(os.urandom(1000))
            self.close(self.open())
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), [FILE, DAMAGED])


class _Connection:
    """A connection that fails when the test says so."""

    def __init__(self, connection, failing):
        self._connection = connection
        self._failing = failing

    def execute(self, statement, *values):
        """As usual, or not."""
        word = statement.split(" ")[0]
        if word in self._failing:
            error = sqlite3.OperationalError("disk error")
            error.sqlite_errorcode = self._failing[word]
            error.sqlite_errorname = "SQLITE_" + word
            raise error
        return self._connection.execute(statement, *values)

    def __getattr__(self, name):
        return getattr(self._connection, name)


class TroubleTests(InFolder):
    """A disk that does not do it."""

    def setUp(self):
        super().setUp()
        self.failing: dict[str, int] = {}
        self.on_disk = self.file(connect=lambda path: _Connection(connect_triplets(path), self.failing))
        self.triplets = self.over(self.on_disk, most_latest=10)

    def test_full(self):
        """On a full disk what is new is kept in memory; the operator is told once, and once when it is over."""
        self.failing["COMMIT"] = sqlite3.SQLITE_FULL
        for number in range(5):
            self.triplets.put(key(number), triplet(number))
        self.assertEqual(self.successResultOf(waited(self.triplets.get([key(1)]))), (triplet(1),))
        self.assertEqual(len(self.said), 1)
        self.assertEqual(self.rows(), 0)
        self.failing.clear()
        self.triplets.put(key(9), triplet(9))
        self.assertEqual(self.rows(), 1)
        self.assertEqual(self.said[1:], ["greylist: written again"])

    def test_unreadable(self):
        """What can't be read is trouble, not a stranger."""
        self.failing["SELECT"] = sqlite3.SQLITE_IOERR
        self.failureResultOf(waited(self.triplets.get([key(1)])), TripletTrouble)
        self.failing.clear()
        self.assertEqual(self.successResultOf(waited(self.triplets.get([key(1)]))), (None,))

    def test_closed(self):
        """After the end everything is trouble, nothing is an exception of the data base."""
        self.close(self.triplets)
        self.failureResultOf(waited(self.triplets.get([key(1)])), TripletTrouble)
        self.triplets.put(key(2), triplet(2))
        self.assertEqual(len(self.said), 1)


class ExpiryTests(InFolder):
    """The file does not grow with time."""

    def test_purged(self):
        """What has expired is taken out on the way, the rest stays."""
        file = self.file(most=100_000)
        file.write({key(number): triplet(1, expires=60) for number in range(500)}, START)
        file.write({key(1000 + number): triplet(1, expires=6000) for number in range(500)}, START + 61)
        self.assertEqual(self.rows(), 500)

    def test_little_by_little(self):
        """When very much has expired it goes in pieces, so that no client waits for it."""
        file = self.file(most=100_000)
        file._written = -100_000
        file.write({key(number): triplet(1, expires=60) for number in range(10_000)}, START)
        file._written = 0
        left = []
        for turn in range(7):
            more = {key(100_000 + turn * 1000 + number): triplet(1, expires=6000) for number in range(1000)}
            file.write(more, START + 61)
            left.append(self.rows())
        self.assertEqual(left, [9000, 8000, 7000, 6000, 5000, 6000, 7000])

    def test_fewer(self):
        """When the operator allows fewer than there are, those that expire first go."""
        file = self.file(most=100_000)
        file.write({key(number): triplet(1, expires=60 + number) for number in range(4000)}, START)
        file.close()
        file = self.file(most=100)
        for turn in range(3):
            file.write({key(1_000_000 + turn * 1000 + n): triplet(1, expires=90_000) for n in range(1000)}, START)
        self.assertEqual(file.read([key(0), key(3999)]), (None, None))
        self.assertEqual(self.rows(), 1000)
