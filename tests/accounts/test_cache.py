"""Tests for the memory of right and wrong passwords."""

import os

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts.cache import LoginCache


class CacheTests(SynchronousTestCase):
    """What was right or wrong a moment ago."""

    def setUp(self):
        self.clock = Clock()
        self.cache = LoginCache(self.clock.seconds, os.urandom, 300.0, 10)
        self.digest = self.cache.digest("app", "secret")

    def test_right(self):
        """For five minutes, and only for the same name, password and record."""
        self.cache.keep_right(self.digest, "record")
        self.assertTrue(self.cache.is_right(self.digest, "record"))
        self.assertFalse(self.cache.is_right(self.digest, "another"))
        for name, password in (("app", "sec"), ("apps", "secret"), ("ap", "psecret"), ("app\0", "secret"), ("", "")):
            self.assertFalse(self.cache.is_right(self.cache.digest(name, password), "record"))
        self.clock.advance(300)
        self.assertFalse(self.cache.is_right(self.digest, "record"))

    def test_wrong(self):
        """Of one client alone, and until the password changes."""
        self.cache.keep_wrong(self.digest, "record", 1)
        self.assertTrue(self.cache.is_wrong(self.digest, "record", 1))
        self.assertFalse(self.cache.is_wrong(self.digest, "record", 2))
        self.assertFalse(self.cache.is_wrong(self.digest, "another", 1))
        self.assertFalse(self.cache.is_right(self.digest, "record"))

    def test_secret(self):
        """Two processes know the same by different digests, and none holds what was typed."""
        other = LoginCache(self.clock.seconds, os.urandom)
        self.assertNotEqual(self.digest, other.digest("app", "secret"))
        self.cache.keep_right(self.digest, "record")
        self.assertNotIn("secret", repr(vars(self.cache._right)))

    def test_bounded(self):
        """Guesses don't push out what was right, and neither grows."""
        self.cache.keep_right(self.digest, "record")
        for number in range(100):
            self.cache.keep_wrong(self.cache.digest("app", str(number)), "record", 1)
        self.assertTrue(self.cache.is_right(self.digest, "record"))
        self.assertEqual(len(self.cache._wrong), 10)
