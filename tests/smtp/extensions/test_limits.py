"""LIMITS."""

# Wrong types are handed in on purpose, and boundaries replaced.
# mypy: no-check-untyped-defs

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.extension import Facts
from smtpgw.smtp.extensions.limits import Limits
from tests.clauses import holds
from tests.contracts.extension import ExtensionContract
from tests.smtp.fakes import CoreDriver


class LimitsTests(ExtensionContract, SynchronousTestCase):
    """Clients are told how much we take (RFC 9422)."""

    extension = Limits()
    offered = Facts(messages=10, recipients=100)

    def test_in_ehlo(self):
        """As the rules of the session say, whatever the driver knows."""
        self.assertIn(b"LIMITS MAILMAX=7 RCPTMAX=9\r\n", CoreDriver(messages=7, recipients=9).feed(b"EHLO c\r\n"))
        self.assertNotIn(b"LIMITS", CoreDriver(messages=7, recipients=9).feed(b"HELO c\r\n"))

    @holds("9422", "4", "LIMITS says MAILMAX and RCPTMAX, as numbers of at most six digits.")
    def test_offer(self):
        """What has no limit is not said; neither is one of more than six digits."""
        for messages, recipients, line in (
            (10, 100, "LIMITS MAILMAX=10 RCPTMAX=100"),
            (0, 999_999, "LIMITS RCPTMAX=999999"),
            (1, 1_000_000, "LIMITS MAILMAX=1"),
            (0, 0, None),
        ):
            self.assertEqual(self.extension.offer(Facts(messages=messages, recipients=recipients)), line)
