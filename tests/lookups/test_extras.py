"""Libraries that only some need."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.lookups.extras import check_extra, load_extra


class ExtraTests(SynchronousTestCase):
    """Whoever lacks one is told how to get it."""

    def test_there(self) -> None:
        """What is installed can be loaded."""
        check_extra("sqlite3", "none")
        self.assertEqual(load_extra("sqlite3").__name__, "sqlite3")

    def test_missing(self) -> None:
        """The error is a command."""
        error = self.assertRaises(ValueError, check_extra, "no_such_library", "ldap")
        self.assertEqual(str(error), "needs the library no_such_library: pip install 'smtpgw[ldap]'")
