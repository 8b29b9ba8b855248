"""Scripts that know sysexits.h know how the command ended."""

import os

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.cli.exits import CommandTrouble, Exit


class ExitTests(SynchronousTestCase):
    """The numbers are the system's."""

    def test_numbers(self) -> None:
        """Each status has the number that the system gives to its name."""
        for ours, system in (
            (Exit.USAGE, os.EX_USAGE),
            (Exit.DATA, os.EX_DATAERR),
            (Exit.NO_INPUT, os.EX_NOINPUT),
            (Exit.UNAVAILABLE, os.EX_UNAVAILABLE),
            (Exit.SOFTWARE, os.EX_SOFTWARE),
            (Exit.TEMPORARY, os.EX_TEMPFAIL),
            (Exit.NO_PERMISSION, os.EX_NOPERM),
            (Exit.CONFIG, os.EX_CONFIG),
        ):
            self.assertEqual(ours, system)

    def test_trouble(self) -> None:
        """A trouble carries its line and its status."""
        trouble = CommandTrouble("no gateway", Exit.UNAVAILABLE)
        self.assertEqual((trouble.text, trouble.status, str(trouble)), ("no gateway", 69, "no gateway"))
