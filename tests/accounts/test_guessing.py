"""Tests for what comes of guessing: the authenticator and its brake."""

# Steps of one kind are taken for granted, as the dialogue has them.
# mypy: no-check-untyped-defs

from twisted.internet.defer import CancelledError, Deferred

from smtpgw.boundaries.auth import LoggedIn, LoginRefused
from tests.accounts.rig import ELSEWHERE, HERE, PASSWORD, UsersCase


class BrakeTests(UsersCase):
    """Guessing is slow, and soon over."""

    def test_address(self):
        """Five wrong passwords to five accounts: 421, whatever is tried, the right password included."""
        told = [self.code(self.plain(f"a{number}", "x")) for number in range(5)]
        self.assertEqual(told, ["535 5.7.8"] * 5)
        self.assertEqual(self.code(self.plain()), "421 4.7.0")
        self.assertEqual(self.code(self.exchange("LOGIN").begin(None)), "421 4.7.0")
        self.assertEqual(self.plain(client=self.client(ELSEWHERE)), LoggedIn("App@Example.com"))

    def test_ipv6(self):
        """All addresses of a /64 are one."""
        for number in range(5):
            self.plain(f"a{number}", "x", self.client(f"2001:db8::{number}"))
        self.assertEqual(self.code(self.plain(client=self.client("2001:db8::ffff"))), "421 4.7.0")
        self.assertEqual(self.plain(client=self.client("2001:db8:0:1::1")), LoggedIn("App@Example.com"))

    def guess_elsewhere(self, name="app@example.com"):
        """Five wrong passwords from five addresses."""
        for number in range(5):
            self.assertEqual(self.code(self.plain(name, "x", self.client(f"198.51.100.{number}"))), "535 5.7.8")

    def test_account(self):
        """From everywhere 454, right or wrong, existing or not, at once; no cache tells which guess is right."""
        self.plain(client=self.client(HERE))
        compared = self.compared
        for name in ("app@example.com", "nobody"):
            self.guess_elsewhere(name)
            compared += 5
            for password in (PASSWORD, "wrong"):
                refused = self.plain(name, password, self.client(ELSEWHERE))
                self.assertEqual((self.code(refused), self.waited), ("454 4.7.0", 0.0))
        self.assertEqual(self.compared, compared)
        self.clock.advance(900)
        self.assertEqual(self.plain(client=self.client(ELSEWHERE)), LoggedIn("App@Example.com"))

    def test_owner(self):
        """Its owner, who has logged in from here before, still gets in."""
        self.plain(client=self.client(HERE))
        self.guess_elsewhere()
        self.assertEqual(self.plain(client=self.client(HERE)), LoggedIn("App@Example.com"))

    def test_delays(self):
        """Half a second, one, two, four, and no more than five."""
        waited = []
        self.failures = 10
        self.users_now = self.make(self.users)
        for number in range(6):
            self.plain(password=f"x{number}")
            waited.append(self.waited)
        self.assertEqual(waited, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0])

    def test_hanging_up(self):
        """Who hangs up instead of waiting has been counted."""
        for number in range(5):
            step = Deferred.fromCoroutine(self.exchange().begin(b"\0a%d\0x" % number))
            self.threads.work()
            step.cancel()
            self.failureResultOf(step, CancelledError)
        self.assertEqual(self.code(self.plain()), "421 4.7.0")

    def test_connection(self):
        """The third wrong login on a connection ends it."""
        client = self.client(session="one")
        told = [self.code(self.plain(password=f"x{number}", client=client)) for number in range(3)]
        self.assertEqual(told, ["535 5.7.8", "535 5.7.8", "421 4.7.0"])

    def test_old_password(self):
        """A telephone with an old password tries the same again and again: its whole office stays in."""
        for _ in range(50):
            self.assertEqual(self.code(self.plain(password="old")), "535 5.7.8")
        self.assertEqual(self.compared, 1)
        self.assertEqual(self.plain("scram"), LoggedIn("scram"))
        self.assertEqual(self.plain(), LoggedIn("App@Example.com"))

    def test_same_guess_at_once(self):
        """Ten times the same wrong one at once is one failure."""
        steps = [Deferred.fromCoroutine(self.exchange().begin(b"\0scram\0old")) for _ in range(10)]
        self.threads.work()
        self.clock.advance(5)
        self.assertEqual([self.code(self.successResultOf(step)) for step in steps], ["535 5.7.8"] * 10)
        self.assertEqual(self.plain(), LoggedIn("App@Example.com"))

    def test_guesses_at_once(self):
        """A hundred guesses at once are five guesses, and the rest 454."""
        told = []
        for number in range(100):
            step = self.exchange().begin(b"\0scram\0%d" % number)
            told.append(step if isinstance(step, LoginRefused) else Deferred.fromCoroutine(step))
        self.assertEqual(len(self.threads.waiting), 5)
        self.assertEqual({self.code(step) for step in told[5:]}, {"454 4.7.0"})
        self.threads.work(5)
        self.clock.advance(5)
        for step in told[:5]:
            self.assertEqual(self.code(self.successResultOf(step)), "535 5.7.8")
