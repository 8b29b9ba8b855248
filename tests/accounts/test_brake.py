"""Tests for the brake on guessing."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts.brake import LoginBrake, Penalty, Shut

HERE, ELSEWHERE = "192.0.2.1", "203.0.113.9"


class BrakeCase(SynchronousTestCase):
    """Five failures, and fifteen minutes."""

    def setUp(self):
        self.clock = Clock()
        self.brake = self.make_brake()

    def make_brake(self, failures=5, lockout=900.0, **more):
        return LoginBrake(self.clock.seconds, failures, lockout, **more)

    def guess(self, times=5, client=HERE, account="app", each=0.0):
        """So many failures; each on a connection of its own."""
        for _ in range(times):
            self.brake.failed(client, account, "")
            self.clock.advance(each)


class ShutTests(BrakeCase):
    """Who is shut out, and for how long."""

    def test_address(self):
        """Five failures to five accounts: the address is shut out from all, for a quarter of an hour."""
        for number in range(5):
            self.assertIsNone(self.brake.shut(HERE, "other"))
            self.guess(1, account=f"app{number}")
        self.assertIs(self.brake.shut(HERE, ""), Shut.ADDRESS)
        self.assertIs(self.brake.shut(HERE, "other"), Shut.ADDRESS)
        self.assertIsNone(self.brake.shut(ELSEWHERE, "other"))
        self.clock.advance(899)
        self.assertIs(self.brake.shut(HERE, "other"), Shut.ADDRESS)
        self.clock.advance(1)
        self.assertIsNone(self.brake.shut(HERE, "other"))

    def test_account(self):
        """Five failures from five addresses: the account is shut out, whether it exists or not; others are not."""
        for number in range(5):
            self.assertIsNone(self.brake.shut(ELSEWHERE, "app"))
            self.guess(1, client=number)
        self.assertIs(self.brake.shut(ELSEWHERE, "app"), Shut.ACCOUNT)
        self.assertIsNone(self.brake.shut(ELSEWHERE, "other"))
        self.assertIsNone(self.brake.shut(ELSEWHERE, ""))
        self.clock.advance(900)
        self.assertIsNone(self.brake.shut(ELSEWHERE, "app"))

    def test_known(self):
        """Where the owner has logged in before, guesses from elsewhere shut nobody out."""
        self.brake.succeeded(HERE, "app")
        for number in range(50):
            self.guess(1, client=number)
        self.assertIs(self.brake.shut(ELSEWHERE, "app"), Shut.ACCOUNT)
        self.assertIsNone(self.brake.shut(HERE, "app"))
        self.clock.advance(8 * 86400)
        for number in range(5):
            self.guess(1, client=number)
        self.assertIs(self.brake.shut(HERE, "app"), Shut.ACCOUNT)

    def test_known_guesses(self):
        """From where the owner logs in, too, an address has only so many failures; and the account is not at risk."""
        self.brake.succeeded(HERE, "app")
        self.guess(5)
        self.assertIs(self.brake.shut(HERE, "app"), Shut.ADDRESS)
        self.assertIsNone(self.brake.shut(ELSEWHERE, "app"))

    def test_success(self):
        """The first success from somewhere empties the account's counter, not the address's."""
        self.guess(4)
        self.brake.succeeded(HERE, "app")
        for number in range(4):
            self.guess(1, client=number)
        self.assertIsNone(self.brake.shut(ELSEWHERE, "app"))
        self.guess(1, account="third")
        self.assertIs(self.brake.shut(HERE, "other"), Shut.ADDRESS)

    def test_success_again(self):
        """Further ones don't: nobody guesses without end because the owner logs in every minute."""
        self.brake.succeeded(HERE, "app")
        for number in range(5):
            self.guess(1, client=number)
            self.brake.succeeded(HERE, "app")
        self.assertIs(self.brake.shut(ELSEWHERE, "app"), Shut.ACCOUNT)

    def test_leak(self):
        """Failures are forgotten one by one: a typing error a day shuts out nobody."""
        self.guess(50, each=200)
        self.assertIsNone(self.brake.shut(HERE, "app"))
        self.guess(4)
        self.clock.advance(180)
        self.guess(1)
        self.assertIsNone(self.brake.shut(HERE, "app"))
        self.guess(1)
        self.assertIs(self.brake.shut(HERE, "app"), Shut.ADDRESS)

    def test_burst_with_delays(self):
        """The delays between the failures of one burst don't make a sixth of them free."""
        self.guess(5, each=5)
        self.assertIs(self.brake.shut(HERE, "app"), Shut.ADDRESS)

    def test_pending(self):
        """Guesses that are being looked at count: a hundred at once are five."""
        for _ in range(5):
            self.assertIsNone(self.brake.shut(HERE, "app"))
            self.brake.began(HERE, "app")
        self.assertIs(self.brake.shut(HERE, "other"), Shut.CROWD)
        self.assertIs(self.brake.shut(ELSEWHERE, "app"), Shut.CROWD)
        for _ in range(5):
            self.brake.ended(HERE, "app")
        self.assertIsNone(self.brake.shut(HERE, "app"))
        self.assertEqual(len(self.brake._pending), 0)

    def test_off(self):
        """With 0 nobody is shut out."""
        for failures, lockout in ((0, 900), (5, 0)):
            self.brake = self.make_brake(failures, lockout)
            self.guess(100)
            self.assertIsNone(self.brake.shut(HERE, "app"))

    def test_bounded(self):
        """Addresses and names without end cost so much memory and no more."""
        self.brake = self.make_brake(most_keys=100)
        for number in range(1000):
            self.brake.failed(number, f"app{number}", f"session{number}")
            self.brake.succeeded(number, f"other{number}")
        for table in (self.brake._tallies, self.brake._accounts, self.brake._known, self.brake._connections):
            self.assertEqual(len(table), 100)


class PenaltyTests(BrakeCase):
    """What a failure costs."""

    def delays(self, times, **more):
        """Of so many failures."""
        delays = []
        for _ in range(times):
            delays.append(self.brake.failed(more.get("client", HERE), more.get("account", "app"), "").delay_seconds)
        return delays

    def test_growing(self):
        """Half a second, then double that, up to five."""
        self.assertEqual(self.delays(7), [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0])

    def test_worse_counts(self):
        """The account's failures from elsewhere count for the delay."""
        self.delays(3)
        self.assertEqual(self.delays(1, client=ELSEWHERE), [4.0])
        self.assertEqual(self.delays(1, client="198.51.100.1", account="other"), [0.5])

    def test_connection(self):
        """The third failure on a connection is its last."""
        penalties = [self.brake.failed(number, f"app{number}", "session") for number in range(3)]
        self.assertEqual([penalty.ends_connection for penalty in penalties], [False, False, True])
        self.assertFalse(self.brake.failed(9, "app", "other").ends_connection)

    def test_repeated(self):
        """The same guess again counts for the connection alone."""
        self.assertEqual(
            [self.brake.repeated(HERE, "session") for _ in range(3)],
            [Penalty(0.5, False), Penalty(0.5, False), Penalty(0.5, True)],
        )
        self.assertEqual(self.delays(1), [0.5])

    def test_without_name(self):
        """Who names no account is counted by the address."""
        self.assertEqual(self.delays(2, account=""), [0.5, 1.0])
        self.assertEqual(len(self.brake._accounts), 0)
