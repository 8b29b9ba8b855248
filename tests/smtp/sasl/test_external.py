"""Tests for EXTERNAL."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.external import External
from smtpgw.smtp.sasl.mechanism import Malformed, Proven, Rejected
from tests.clauses import holds
from tests.smtp.sasl.garbage import GarbageContract


class ExternalTests(GarbageContract, SynchronousTestCase):
    """The certificate says who it is."""

    samples = (b"other",)

    def make_mechanism(self):
        """With a subject that garbage does not name, and without leave to choose."""
        return External(())

    @holds("4422", "A.1", "An empty response leaves to us who the client is.")
    def test_ours(self):
        """The first subject."""
        external = External(("app@example.com", "host.example.com"))
        self.assertEqual(external.begin(None), Challenge(b""))
        self.assertEqual(external.respond(b""), Proven("app@example.com"))
        self.assertEqual(External(("a", "b")).begin(b""), Proven("a"))

    @holds("4422", "A.1", "A response names whom the client wants to be, which its certificate must name.")
    def test_theirs(self):
        """Any of them, in any case."""
        self.assertEqual(External(("a@x", "b@x")).begin(b"B@X"), Proven("b@x"))
        self.assertEqual(External(("a@x", "b@x")).begin(b"c@x"), Rejected("c@x", "the certificate names somebody else"))
        self.assertIsInstance(External(("a",)).begin(b"\xff"), Rejected)
        self.assertIsInstance(External(("a",)).begin(b"a\0"), Malformed)

    def test_nobody(self):
        """Without subjects nobody."""
        self.assertIsInstance(External(()).begin(b""), Rejected)
