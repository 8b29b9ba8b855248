"""Tests for the threads that compare passwords."""

from twisted.internet.defer import CancelledError, succeed
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts.pool import PasswordPool, PoolFull
from tests.accounts.slow_threads import SlowThreads


class PoolTests(SynchronousTestCase):
    """Few at a time, and not many waiting."""

    def setUp(self):
        self.threads = SlowThreads()
        self.compared = []
        self.pool = PasswordPool(self.threads, self.matches, most=4, most_per_client=3)

    def matches(self, record, password):
        """In a thread."""
        self.compared.append(password)
        if password == "broken":
            raise ValueError("broken")
        return record == password

    def check(self, password, client=1, record="secret"):
        """Begin one."""
        return self.pool.check(password.encode(), record, password, client)

    def test_answers(self):
        """Right and wrong, in time."""
        right, wrong = self.check("secret"), self.check("other")
        self.assertNoResult(right)
        self.threads.work(2)
        self.assertIs(self.successResultOf(right), True)
        self.assertIs(self.successResultOf(wrong), False)

    def test_trouble(self):
        """What goes wrong in a thread is raised, for everybody who waits."""
        both = [self.check("broken"), self.check("broken")]
        self.threads.work()
        for one in both:
            self.failureResultOf(one, ValueError)
        self.assertEqual(self.pool._unfinished, 0)

    def test_full(self):
        """Beyond the bound there is no place, until one is free."""
        for number in range(4):
            self.check(str(number), client=number)
        self.assertRaises(PoolFull, self.check, "4", 4)
        self.assertEqual(len(self.threads.waiting), 4)
        self.threads.work()
        self.check("4", 4)

    def test_per_client(self):
        """One client does not take all places."""
        for number in range(3):
            self.check(str(number))
        self.assertRaises(PoolFull, self.check, "3")
        self.check("3", client=2)
        self.threads.work(4)
        self.assertEqual(len(self.pool._per_client), 0)

    def test_same(self):
        """The same guess from a hundred connections is one comparison; another record makes it another."""
        many = [self.check("secret") for _ in range(100)]
        self.assertTrue(self.pool.is_checking(b"secret", "secret"))
        self.assertFalse(self.pool.is_checking(b"secret", "changed"))
        self.check("secret", record="changed")
        self.assertEqual(len(self.threads.waiting), 2)
        self.threads.work()
        self.assertEqual([self.successResultOf(one) for one in many], [True] * 100)
        self.assertFalse(self.pool.is_checking(b"secret", "secret"))

    def test_gone(self):
        """Nobody waits any more: it is not compared, but holds its place until a thread has seen that."""
        gone = self.check("secret")
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        again = self.check("secret")
        self.assertEqual(self.pool._unfinished, 2)
        self.threads.work()
        self.assertEqual(self.compared, [])
        self.assertNoResult(again)
        self.threads.work()
        self.assertEqual(self.compared, ["secret"])
        self.assertIs(self.successResultOf(again), True)
        self.assertEqual(self.pool._unfinished, 0)

    def test_one_of_two_gone(self):
        """The other one still hears."""
        gone, stays = self.check("secret"), self.check("secret")
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.threads.work()
        self.assertIs(self.successResultOf(stays), True)

    def test_at_once(self):
        """Threads may have answered before we wait."""

        class QuickThreads:
            """They don't wait."""

            def run(self, function, *arguments):
                return succeed(function(*arguments))

        self.pool = PasswordPool(QuickThreads(), self.matches)
        self.assertIs(self.successResultOf(self.check("secret")), True)
        self.assertEqual((self.pool._unfinished, self.pool._jobs), (0, {}))
