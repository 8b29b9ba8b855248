"""The tables of a session."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extensions.auth import Auth
from smtpgw.smtp.extensions.size import Size
from smtpgw.smtp.session_rules import ExtensionTables


class ExtensionTablesTests(SynchronousTestCase):
    """Who answers for what is clear before the first client comes."""

    def test_claims(self):
        """Two that read the same parameter or bring the same verb are an error."""
        self.assertRaises(ValueError, ExtensionTables, (Size(), Size()))
        self.assertRaises(ValueError, ExtensionTables, (Auth(), Auth()))
