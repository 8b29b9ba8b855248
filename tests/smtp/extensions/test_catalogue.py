"""The list of extensions."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from smtpgw.smtp.session_rules import ExtensionTables

_MAIL = "SIZE BODY SMTPUTF8 AUTH RET ENVID REQUIRETLS BY HOLDFOR HOLDUNTIL"


class CatalogueTests(SynchronousTestCase):
    """Each extension once, and no two that claim the same word."""

    def test_distinct(self):
        """Keywords, parameters and verbs."""
        keywords = [extension.keyword for extension in EXTENSIONS]
        self.assertEqual(len(set(keywords)), len(keywords))
        tables = ExtensionTables(EXTENSIONS)
        self.assertEqual(set(tables.mail), {*_MAIL.split()})
        self.assertEqual(set(tables.verbs), {b"STARTTLS", b"AUTH", b"BDAT", b"XCLIENT"})
        self.assertEqual(set(tables.rcpt), {"NOTIFY", "ORCPT"})
