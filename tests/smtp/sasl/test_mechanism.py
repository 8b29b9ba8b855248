"""Tests for what mechanisms have in common."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.smtp.sasl.mechanism import Mechanism, prepared_name, prepared_password


class MechanismTests(SynchronousTestCase):
    """The base."""

    def test_base(self):
        """A mechanism says itself what it takes, and has nothing to say to a false claim."""
        self.assertRaises(NotImplementedError, Mechanism().respond, b"")
        self.assertIsNone(Mechanism().claim_failed())

    def test_names(self):
        """UTF-8, prepared, bounded, not empty."""
        self.assertEqual(prepared_name("\u2168".encode()), "IX")
        for octets in (b"", b"\xff", b"\0", b"\xc2\xad", b"n" * 256):
            self.assertIsNone(prepared_name(octets))
        self.assertEqual(prepared_password(b"p" * 1024), "p" * 1024)
        self.assertIsNone(prepared_password(b"p" * 1025))
