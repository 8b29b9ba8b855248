"""Tests for PLAIN."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.mechanism import Malformed, PasswordClaim, Rejected
from smtpgw.smtp.sasl.plain import Plain
from tests.clauses import holds
from tests.smtp.sasl.garbage import GarbageContract


class PlainTests(GarbageContract, SynchronousTestCase):
    """Name and password, and nobody for somebody else."""

    samples = (b"user\0user\0secret",)

    def make_mechanism(self):
        """PLAIN."""
        return Plain()

    @holds("4616", "4", "The first example, without an authorization identity, logs in.")
    def test_example(self):
        """As the initial response, or after an empty challenge."""
        claim = PasswordClaim("tim", "tanstaaftanstaaf")
        self.assertEqual(Plain().begin(b"\0tim\0tanstaaftanstaaf"), claim)
        plain = Plain()
        self.assertEqual(plain.begin(None), Challenge(b""))
        self.assertEqual(plain.respond(b"\0tim\0tanstaaftanstaaf"), claim)

    @holds("4616", "2", "An authorization identity that is not the user's own is refused.")
    def test_foreign(self):
        """Kurt is not Ursel, as the second example would have it."""
        self.assertEqual(Plain().begin(b"Ursel\0Kurt\0xipj3plmq"), Rejected("Kurt", "foreign authorization identity"))
        self.assertEqual(Plain().begin(b"\xff\0Kurt\0xipj3plmq"), Rejected("Kurt", "foreign authorization identity"))

    def test_own(self):
        """One's own name is no foreign one, in any case."""
        self.assertEqual(Plain().begin(b"KURT\0Kurt\0x"), PasswordClaim("Kurt", "x"))

    @holds("4616", "2", "A message has exactly three parts.")
    def test_parts(self):
        """Two, four or none are nonsense; so is a NUL in a password."""
        for message in (b"", b"user", b"user\0secret", b"\0user\0sec\0ret", b"\0\0\0\0"):
            self.assertIsInstance(Plain().begin(message), Malformed, message)

    @holds("4616", "2", "A name or password that can't be prepared, or is empty, is not verified but fails.")
    def test_no_text(self):
        """It is refused as a wrong one."""
        for message in (
            b"\0\0secret",
            b"\0user\0",
            b"\0user\0\xff",
            b"\0us\x07er\0x",
            b"\0user\0\xc2\xad",
            b"\0user\0\x7f",
        ):
            self.assertIsInstance(Plain().begin(message), Rejected, message)

    @holds("4616", "2", "Names and passwords are prepared with SASLprep.")
    def test_prepared(self):
        """A Roman numeral nine is IX, and a no-break space a space."""
        self.assertEqual(Plain().begin("\0I\u00adX\0\u2168\u00a0x".encode()), PasswordClaim("IX", "IX x"))

    def test_long(self):
        """Names of 255 and passwords of 1024 octets, and no longer ones."""
        self.assertEqual(Plain().begin(b"\0" + b"u" * 255 + b"\0" + b"p" * 1024), PasswordClaim("u" * 255, "p" * 1024))
        for message in (b"\0" + b"u" * 256 + b"\0p", b"\0u\0" + b"p" * 1025):
            self.assertIsInstance(Plain().begin(message), Rejected)
