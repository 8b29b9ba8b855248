"""Tests for the accounts of a configuration."""

from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts.accounts import Accounts, account_key
from smtpgw.accounts.passwords import make_scram_record
from smtpgw.config.schema import UserConfig
from tests.accounts.test_passwords import ARGON2, SCRAM

USERS = (UserConfig("App@Example.com", ARGON2), UserConfig("scram", SCRAM), UserConfig("\u2168", ARGON2))


class AccountsTests(SynchronousTestCase):
    """Who is known."""

    def test_find(self):
        """Case makes no difference; what is known is called as in the configuration."""
        accounts = Accounts(USERS)
        self.assertEqual(len(accounts), 3)
        for name in ("app@example.com", "APP@example.COM"):
            found = accounts.find(name)
            assert found is not None
            self.assertEqual((found.name, found.record), ("App@Example.com", ARGON2))
        self.assertIsNotNone(accounts.find("ix"))
        self.assertIsNone(accounts.find("app"))
        self.assertTrue(accounts.has_keys)
        self.assertFalse(Accounts(USERS[:1]).has_keys)

    def test_wrong(self):
        """Two of one name, names that are none, and passwords in clear text are refused, without the password."""
        for users in (
            (UserConfig("a", SCRAM), UserConfig("A", SCRAM)),
            (UserConfig("", SCRAM),),
            (UserConfig("a\nb", SCRAM),),
            (UserConfig("a", "SCRAM-SHA-256$secret"),),
        ):
            error = self.assertRaises(ValueError, Accounts, users)
            self.assertTrue(str(error).startswith("user '"))
            self.assertNotIn("secret", str(error))
            self.assertNotIn("\n", str(error))

    def test_subjects(self):
        """A certificate's names are found in its order, once, and only those that are accounts."""
        accounts = Accounts(USERS)
        subjects = ("other", "a\nb", "SCRAM", "app@example.com", "scram")
        self.assertEqual(accounts.among(subjects), ("scram", "app@example.com"))

    def test_key(self):
        """One spelling."""
        self.assertEqual(account_key("I\u00adX"), "ix")
        self.assertRaises(ValueError, account_key, "\u00ad")


class DecoyTests(SynchronousTestCase):
    """Names that are none look as if they were some."""

    def test_keys(self):
        """Stable, different for each name, and like the real ones in all that shows."""
        accounts = Accounts(USERS)
        real = accounts.keys("scram")
        decoys = [accounts.keys(f"nobody{number}") for number in range(20)]
        self.assertEqual(decoys, [Accounts(USERS).keys(f"NOBODY{number}") for number in range(20)])
        self.assertEqual(len({decoy.salt for decoy in decoys} | {real.salt}), 21)
        for decoy in decoys:
            self.assertEqual((len(decoy.salt), decoy.iterations), (len(real.salt), real.iterations))
            self.assertEqual((len(decoy.stored_key), len(decoy.server_key)), (32, 32))

    def test_keys_without_record(self):
        """Who has only a hash looks as if there were a record."""
        self.assertNotEqual(Accounts(USERS).keys("app@example.com"), Accounts(USERS).keys("scram"))

    def test_secret(self):
        """Who does not know the records can't compute them."""
        other = (*USERS[:1], UserConfig("scram", make_scram_record("x", lambda size: b"\0" * size)))
        self.assertNotEqual(Accounts(USERS[:2]).keys("nobody").salt, Accounts(other).keys("nobody").salt)

    def test_decoy(self):
        """The same account for the same name; more than one of them is used."""
        accounts = Accounts(USERS)
        decoys = [accounts.decoy(f"nobody{number}") for number in range(30)]
        self.assertEqual(decoys, [accounts.decoy(f"nobody{number}") for number in range(30)])
        self.assertGreater(len({decoy.name for decoy in decoys}), 1)

    def test_none(self):
        """Without accounts there is nothing to look like."""
        self.assertRaises(LookupError, Accounts().decoy, "x")
        self.assertRaises(LookupError, Accounts().keys, "x")
