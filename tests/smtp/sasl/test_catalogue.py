"""Tests for the list of mechanisms."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.catalogue import MECHANISMS, MechanismNeeds
from smtpgw.smtp.sasl.mechanism import Malformed, Mechanism, Rejected
from tests.smtp.sasl.test_scram import EXPORTED, NONCE, binding, find_keys

NEEDS = MechanismNeeds(binding, find_keys, NONCE, ("app",))


class CatalogueTests(SynchronousTestCase):
    """Every mechanism can be made."""

    def test_order(self):
        """Those that show no secret come before those that do."""
        self.assertEqual(
            list(MECHANISMS),
            ["EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN"],
        )

    def test_make(self):
        """Each waits for its client."""
        for name, make in MECHANISMS.items():
            mechanism = make(NEEDS)
            self.assertIsInstance(mechanism, Mechanism)
            self.assertIsInstance(mechanism.begin(None), Challenge, name)

    def test_binding(self):
        """Only the -PLUS mechanism binds, and the other knows that it could have been had."""
        self.assertEqual(len(EXPORTED), 32)
        bound = b"p=tls-exporter,,n=user,r=abc"
        self.assertIsInstance(MECHANISMS["SCRAM-SHA-256-PLUS"](NEEDS).begin(bound), Challenge)
        self.assertIsInstance(MECHANISMS["SCRAM-SHA-256"](NEEDS).begin(bound), Malformed)
        self.assertIsInstance(MECHANISMS["SCRAM-SHA-256"](NEEDS).begin(b"y,,n=user,r=abc"), Rejected)
