"""The settings of a listener."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.net.server_settings import ServerSettings, extension_tables, session_rules, stock_extensions
from smtpgw.smtp.extensions.catalogue import EXTENSIONS
from tests.clauses import holds


class SettingsTests(SynchronousTestCase):
    """What sessions hold is made once, and is what was set."""

    @holds("5321", "4.5.3.2.7", "The server's limit for an idle client is five minutes by default.")
    def test_defaults(self):
        """Those of the manual."""
        settings = ServerSettings(hostname="mx.example")
        self.assertEqual(
            (
                settings.message_size,
                settings.recipients,
                settings.connections,
                settings.connections_per_client,
                settings.messages_per_connection,
                settings.errors,
                settings.idle_timeout_seconds,
                settings.session_timeout_seconds,
                settings.bare_newlines,
            ),
            (26214400, 1000, 5000, 50, 1000, 20, 300, 3600, "reject"),
        )

    def test_rules(self):
        """Each setting arrives."""
        settings = ServerSettings(
            hostname="mx.example",
            message_size=1,
            recipients=2,
            messages_per_connection=3,
            errors=4,
            bare_newlines="normalize",
            tls="required",
        )
        rules = session_rules(settings)
        self.assertEqual((rules.hostname, rules.banner), ("mx.example", "mx.example ESMTP smtpgw"))
        self.assertEqual((rules.message_size, rules.recipients, rules.messages, rules.errors), (1, 2, 3, 4))
        self.assertTrue(rules.normalizes and rules.requires_tls)
        self.assertFalse(session_rules(ServerSettings(hostname="mx")).normalizes)
        self.assertIs(session_rules(settings), rules)

    def test_extensions(self):
        """On behalf of a stock delivery nothing is promised that it does not hear of; tables are shared."""
        kept = stock_extensions(EXTENSIONS)
        self.assertEqual(
            {e.keyword for e in EXTENSIONS} - {e.keyword for e in kept},
            {"SMTPUTF8", "DSN", "REQUIRETLS", "DELIVERBY", "FUTURERELEASE"},
        )
        self.assertIs(extension_tables(kept), extension_tables(kept))
