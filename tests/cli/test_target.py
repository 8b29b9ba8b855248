"""Which gateway the command talks to."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.cli.control_client import NoGateway
from smtpgw.cli.target import Target
from smtpgw.config.errors import ConfigErrors


class TargetTests(SynchronousTestCase):
    """A folder leads to a gateway."""

    def test_spool(self) -> None:
        """A folder that was named is taken, made absolute."""
        self.assertEqual(Target("there", None, {}).folder, Path("there").absolute())

    def test_configuration(self) -> None:
        """A configuration file leads to its spool."""
        path = Path(self.mktemp()).absolute()
        path.write_text('[spool]\nstore = "kept"\n', encoding="utf-8")
        self.assertEqual(Target(None, str(path), {}).folder, path.parent / "kept")

    def test_broken_configuration(self) -> None:
        """A configuration that can't be read says why, when the folder is needed and not before."""
        target = Target(None, "no such file.toml", {})
        self.assertRaises(ConfigErrors, lambda: target.folder)

    def test_default(self) -> None:
        """Without either it is the default folder, here."""
        self.assertEqual(Target(None, None, {}).folder, Path("smtpgw-spool").absolute())

    def test_nobody_there(self) -> None:
        """A folder without a gateway is told as such."""
        self.assertRaises(NoGateway, Target(self.mktemp(), None, {}).call, "stats", {})

    def test_clock(self) -> None:
        """Ages are told by the time of day."""
        self.assertGreater(Target(None, None, {}).clock.time(), 1_700_000_000)
