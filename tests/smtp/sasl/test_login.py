"""Tests for LOGIN."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.boundaries.auth import Challenge
from smtpgw.smtp.sasl.login import Login
from smtpgw.smtp.sasl.mechanism import Malformed, PasswordClaim, Rejected
from tests.smtp.sasl.garbage import GarbageContract


class LoginTests(GarbageContract, SynchronousTestCase):
    """Name, then password."""

    samples = (b"user", b"secret")

    def make_mechanism(self):
        """LOGIN."""
        return Login()

    def test_asked(self):
        """Both are asked for."""
        login = Login()
        self.assertEqual(login.begin(None), Challenge(b"Username:"))
        self.assertEqual(login.respond(b"user"), Challenge(b"Password:"))
        self.assertEqual(login.respond("pässword".encode()), PasswordClaim("user", "pässword"))
        self.assertIsInstance(login.respond(b"more"), Malformed)

    def test_initial(self):
        """The name may come with the command."""
        login = Login()
        self.assertEqual(login.begin(b"user"), Challenge(b"Password:"))
        self.assertEqual(login.respond(b"secret"), PasswordClaim("user", "secret"))

    def test_no_text(self):
        """What is no name or password is refused at the end, as every wrong one."""
        for name, password in (
            (b"", b"x"),
            (b"u", b""),
            (b"\xff", b"x"),
            (b"a\0b", b"x"),
            (b"u", b"\0"),
            (b"u" * 256, b"x"),
        ):
            login = Login()
            self.assertEqual(login.begin(name), Challenge(b"Password:"))
            self.assertIsInstance(login.respond(password), Rejected)
