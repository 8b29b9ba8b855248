"""REQUIRETLS."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extension import Facts
from smtpgw.smtp.extensions.requiretls import RequireTls
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class RequireTlsTests(ExtensionContract, SynchronousTestCase):
    """A message that must have TLS all the way (RFC 8689)."""

    extension = RequireTls()
    offered = Facts(tls_active=True)

    @holds("8689", "4.1", "REQUIRETLS is offered under TLS only; its parameter has no value, and is in the envelope.")
    def test_parameter(self):
        """Under TLS it is kept; in clear text it is an unknown one; a value is wrong."""
        driver = CoreDriver(facts=Facts(tls_active=True))
        driver.feed(b"EHLO c\r\n")
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x> REQUIRETLS=1\r\n")[:10], b"501 5.5.4 ")
        driver.feed(b"MAIL FROM:<a@x> requiretls\r\nRCPT TO:<b@x>\r\nDATA\r\n.\r\n")
        self.assertTrue(driver.reception.messages[0].envelope.parameters.requires_tls)
        driver = CoreDriver()
        self.assertNotIn(b"REQUIRETLS", driver.feed(b"EHLO c\r\n"))
        self.assertEqual(driver.feed(b"MAIL FROM:<a@x> REQUIRETLS\r\n")[:10], b"555 5.5.4 ")
