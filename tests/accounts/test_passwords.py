"""Tests for hashes and records of passwords."""

from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts import passwords as password_records
from smtpgw.accounts.passwords import (
    check_password_record,
    make_hash,
    make_scram_record,
    matches_record,
    scram_keys,
)
from smtpgw.smtp.sasl.scram import derive_keys
from tests.clauses import holds

SCRAM = (
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ=="
    "$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
)
"""Of the password ``pencil``."""

ARGON2 = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("pencil")


class CheckTests(SynchronousTestCase):
    """What a configuration may hold."""

    def test_right(self):
        """Both kinds, as other programs make them."""
        for record in (SCRAM, ARGON2, "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$" + "A" * 43):
            check_password_record(record)

    def test_wrong(self):
        """Everything else is one line that does not repeat the secret."""
        salt, keys = SCRAM.split("$")[1:]
        for record in (
            "",
            "pencil",
            "$2b$12$abcdefghijklmnopqrstuv",
            "$argon2i$v=19$m=65536,t=3,p=4$c29tZXNhbHQ$" + "A" * 43,
            ARGON2 + "\n",
            ARGON2[:-30],
            ARGON2.replace("v=19", "v=1"),
            "$argon2id$v=19$m=9999999,t=3,p=4$c29tZXNhbHQ$" + "A" * 43,
            "$argon2id$v=19$m=65536,t=999,p=4$c29tZXNhbHQ$" + "A" * 43,
            "$argon2id$v=19$m=8,t=3,p=4$c29tZXNhbHQ$" + "A" * 43,
            "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRhb$" + "A" * 43,
            f"SCRAM-SHA-1${salt}${keys}",
            SCRAM + "\n",
            SCRAM.replace("4096", "4095"),
            SCRAM.replace("4096", "99999999"),
            SCRAM.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "W22Z"),
            SCRAM.replace("W22ZaJ0SNY7soEsUEjb6gQ==", "W22Za"),
            SCRAM.replace("T4qY=", "T4qYA"),
            SCRAM.replace("2dU=", "2d=="),
        ):
            error = self.assertRaises(ValueError, check_password_record, record)
            self.assertNotIn("\n", str(error))
            if record:
                self.assertNotIn(record, str(error))

    def test_any_text(self):
        """No text does worse than ValueError."""

        @settings(max_examples=200, deadline=None)
        @given(st.integers(0, len(SCRAM)), st.text(max_size=3), st.sampled_from([SCRAM, ARGON2]))
        def check(at, text, record):
            try:
                check_password_record(record[:at] + text + record[at + 1 :])
            except ValueError:
                return
            scram_keys(record)

        check()


class MatchTests(SynchronousTestCase):
    """Right and wrong passwords."""

    def setUp(self):
        # The real costs are of no use here.
        self.patch(password_records, "_HASHER", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))

    @holds("5803", "2", "A SCRAM-SHA-256 record in the form of authPassword is read, and its keys are as computed.")
    def test_known(self):
        """The record of RFC 7677's example."""
        keys = scram_keys(SCRAM)
        assert keys is not None
        self.assertEqual(keys, derive_keys("sha256", b"pencil", keys.salt, 4096))
        self.assertIsNone(scram_keys(ARGON2))

    def test_both(self):
        """The password fits its record, and no other does."""
        for record in (SCRAM, ARGON2):
            self.assertIs(matches_record(record, "pencil"), True)
            for wrong in ("", "Pencil", "pencil "):
                self.assertIs(matches_record(record, wrong), False)

    def test_made(self):
        """What we make is accepted and fits; two of the same password are not the same."""
        octets = iter([b"a" * 16, b"b" * 16])
        made = [make_scram_record("pässwörd", lambda _: next(octets)) for _ in range(2)]
        made += [make_hash("pässwörd") for _ in range(2)]
        self.assertEqual(len(set(made)), 4)
        for record in made:
            check_password_record(record)
            self.assertTrue(matches_record(record, "pässwörd"))
            self.assertFalse(matches_record(record, "passwort"))

    def test_broken(self):
        """A hash that can't be compared is trouble, not a wrong password."""
        self.assertRaises(ValueError, matches_record, "$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ$" + "A" * 43, "x")
        self.assertRaises(ValueError, matches_record, "nothing", "x")
