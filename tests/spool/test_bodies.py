"""Body files: their names, and the sweep."""

import os
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.spool.bodies import BodyFiles, FileBody, Files
from tests.spool.examples import SteppedClock, read_body


class BodyFilesTests(SynchronousTestCase):
    """Each file has a name of its own, whatever the clock does, and what nobody knows goes."""

    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory(prefix="smtpgw-test-")
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name) / "bodies"
        self.clock = SteppedClock()

    def make_bodies(self) -> BodyFiles:
        return BodyFiles(self.root, Files(), self.clock.time)

    def create(self, bodies: BodyFiles) -> str:
        name, descriptor = bodies.create()
        os.close(descriptor)
        return name

    def test_names(self) -> None:
        """Never the same twice, also in the same millisecond, and also of a later run when the clock was set back."""
        first, second = self.make_bodies(), self.make_bodies()
        names = [self.create(bodies) for bodies in (first, first, second, second, first)]
        self.assertEqual(len(set(names)), 5)
        self.assertEqual(len(list(self.root.glob("*/*"))), 5)

    def test_one_folder_each_second(self) -> None:
        """Files of one second share a folder, so that one sync is enough; over time they spread."""
        bodies = self.make_bodies()
        folders = []
        for _ in range(300):
            folders.append({self.create(bodies).split("/")[0] for _ in range(2)})
            self.clock.now += 1
        self.assertEqual({len(folder) for folder in folders}, {1})
        self.assertEqual(len(set.union(*folders)), 256)

    def test_never_over_another(self) -> None:
        """When no free name can be found it is an error, and no file is overwritten."""

        class Taken(Files):
            def create(self, path: Path) -> int:
                raise FileExistsError

        bodies = BodyFiles(self.root, Taken(), self.clock.time)
        self.assertRaises(FileExistsError, bodies.create)

    def test_sweep(self) -> None:
        """Unknown files and links go, known ones stay, missing ones are told; a link's target is not touched."""
        bodies = self.make_bodies()
        kept, left = self.create(bodies), self.create(bodies)
        precious = self.root.parent / "precious"
        precious.touch()
        (self.root / "aa").mkdir(exist_ok=True)
        (self.root / "aa/link").symlink_to(precious)
        (self.root / "link").symlink_to(self.root.parent)
        self.assertEqual(bodies.sweep([kept, "bb/lost"]), (2, ["bb/lost"]))
        self.assertTrue(bodies.path(kept).exists() and precious.exists())
        self.assertFalse(bodies.path(left).exists())

    def test_nothing_to_sweep(self) -> None:
        """Before the first large message there is no folder."""
        self.assertEqual(self.make_bodies().sweep([]), (0, []))

    def test_open_stream_outlives_the_file(self) -> None:
        """A delivery that is reading goes on when the message leaves the spool."""
        bodies = self.make_bodies()
        name, descriptor = bodies.create()
        os.write(descriptor, b"text")
        os.close(descriptor)
        body = FileBody(bodies.path(name), 4)
        stream = body.open()
        self.addCleanup(stream.close)
        bodies.files.unlink(bodies.path(name))
        self.assertEqual(stream.read(), b"text")
        self.assertRaises(OSError, read_body, body)
