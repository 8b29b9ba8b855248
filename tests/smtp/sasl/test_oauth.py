"""Tests for XOAUTH2 and OAUTHBEARER."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.mechanism import Malformed, Rejected, TokenClaim
from smtpgw.smtp.sasl.oauth import OAuthBearer, XOAuth2
from tests.clauses import holds
from tests.smtp.sasl.garbage import GarbageContract

TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


class OAuthBearerTests(GarbageContract, SynchronousTestCase):
    """RFC 7628."""

    samples = (f"n,a=user@example.com,\1auth=Bearer {TOKEN}\1\1".encode(),)

    def make_mechanism(self):
        """OAUTHBEARER."""
        return OAuthBearer()

    @holds("7628", "4.1", "The first example is understood.")
    def test_example(self):
        """Host and port are read over."""
        message = f"n,a=user@example.com,\1host=server.example.com\1port=587\1auth=Bearer {TOKEN}\1\1"
        self.assertEqual(OAuthBearer().begin(message.encode()), TokenClaim("user@example.com", TOKEN))

    @holds("7628", "3.1", "Without an authorization identity the token says whose it is.")
    def test_no_name(self):
        """The claim has no name then."""
        self.assertEqual(OAuthBearer().begin(b"n,,\1auth=bearer abc\1\1"), TokenClaim("", "abc"))

    @holds("7628", "3.2.3", "A refused token is told in a challenge; after its response the exchange fails.")
    def test_refused(self):
        """Whatever the client says to that."""
        for response in (b"\1", b"", b"AQ=="):
            mechanism = OAuthBearer()
            mechanism.begin(b"n,a=u,\1auth=Bearer abc\1\1")
            self.assertEqual(mechanism.claim_failed(), Challenge(b'{"status":"invalid_token"}'))
            self.assertEqual(mechanism.respond(response), Rejected("u", "token refused"))
            self.assertIsInstance(mechanism.respond(response), Malformed)

    @holds("7628", "4.3", "A client that sends no token is told what is missing.")
    def test_no_token(self):
        """Also for a token that can't be one."""
        for auth in (b"\1auth=", b"\1auth=Basic abc", b"\1auth=Bearer", b"\1auth=Bearer a b", b""):
            mechanism = OAuthBearer()
            self.assertIsInstance(mechanism.begin(b"n,a=u," + auth + b"\1\1"), Challenge, auth)
            self.assertIsInstance(mechanism.respond(b"\1"), Rejected)

    def test_malformed(self):
        """Nonsense."""
        for message in (
            b"",
            b"n,a=u,",
            b"n,a=u,\1auth=Bearer abc",
            b"n,a=u,\1auth=Bearer abc\1",
            b"n,a=u,\1auth=Bearer abc\1\1x",
            b"n,a=u,\1auth=Bearer abc\1auth=Bearer xyz\1\1",
            b"p=tls-exporter,a=u,\1auth=Bearer abc\1\1",
            b"n,a==,\1auth=Bearer abc\1\1",
            b"\1auth=Bearer abc\1\1",
            b"n,,\1" + b"".join(b"k%c=v\1" % letter for letter in b"abcdefghijklmnopqrst") + b"\1",
            b"n,,\1auth=Bearer \xff\1\1",
        ):
            self.assertIsInstance(OAuthBearer().begin(message), Malformed, message)


class XOAuth2Tests(GarbageContract, SynchronousTestCase):
    """The older form."""

    samples = (f"user=someuser@example.com\1auth=Bearer {TOKEN}\1\1".encode(),)

    def make_mechanism(self):
        """XOAUTH2."""
        return XOAuth2()

    def test_right(self):
        """Name and token."""
        self.assertEqual(XOAuth2().begin(self.samples[0]), TokenClaim("someuser@example.com", TOKEN))

    def test_refused(self):
        """The challenge says so, then it is over."""
        mechanism = XOAuth2()
        mechanism.begin(self.samples[0])
        self.assertEqual(mechanism.claim_failed(), Challenge(b'{"status":"401","schemes":"bearer"}'))
        self.assertEqual(mechanism.respond(b""), Rejected("someuser@example.com", "token refused"))

    def test_malformed(self):
        """Nonsense; there is always a name."""
        for message in (
            b"",
            b"user=",
            b"user=\1auth=Bearer abc\1\1",
            b"user=u\1auth=Bearer abc",
            b"auth=Bearer abc\1\1",
        ):
            self.assertIsInstance(XOAuth2().begin(message), Malformed, message)
