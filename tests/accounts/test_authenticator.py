"""Tests for who may log in."""

# Steps of one kind are taken for granted, as the dialogue has them.
# mypy: no-check-untyped-defs

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred

from smtpgw.accounts.accounts import Accounts
from smtpgw.boundaries.auth import Challenge, LoggedIn, LoginRefused
from smtpgw.config.schema import UserConfig
from smtpgw.model.envelope import TlsFacts
from tests.accounts.rig import ELSEWHERE, EXPORTED, HASHED, KEYED, PASSWORD, UsersCase
from tests.accounts.test_passwords import SCRAM
from tests.clauses import holds
from tests.smtp.sasl.garbage import MESSAGES
from tests.smtp.sasl.scram_client import ScramClient


class OfferTests(UsersCase):
    """What is offered to whom."""

    everything = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN")

    @holds("4954", "4", "No mechanism is offered in clear text.")
    def test_clear_text(self):
        """Nothing without TLS."""
        self.assertEqual(self.users_now.mechanisms(self.client(tls=None)), ())

    def test_what_there_is(self):
        """What accounts and settings can use, the strongest first."""
        self.assertEqual(self.users_now.mechanisms(self.client()), self.everything)
        for users, has_tokens, offered in (
            ((HASHED,), False, ("PLAIN", "LOGIN")),
            ((KEYED,), False, ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "PLAIN", "LOGIN")),
            ((), True, ("OAUTHBEARER", "XOAUTH2")),
            ((), False, ()),
        ):
            self.assertEqual(self.make(users, has_tokens).mechanisms(self.client()), offered)

    def test_certificate(self):
        """EXTERNAL for a checked certificate that names an account, and for no other."""
        for tls, offered in (
            (TlsFacts("TLSv1.3", "x", True, ("SCRAM",)), ("EXTERNAL", *self.everything)),
            (TlsFacts("TLSv1.3", "x", True, ("somebody@example.com",)), self.everything),
            (TlsFacts("TLSv1.3", "x", False, ("scram",)), self.everything),
            (TlsFacts("TLSv1.3", "x", True), self.everything),
        ):
            self.assertEqual(self.users_now.mechanisms(self.client(tls=tls)), offered)

    def test_replaced(self):
        """After a reload others."""
        self.users_now.replace(Accounts((HASHED,)), None)
        self.assertEqual(self.users_now.mechanisms(self.client()), ("PLAIN", "LOGIN"))


class PasswordTests(UsersCase):
    """Right and wrong passwords."""

    def test_right(self):
        """Hash or record, PLAIN or LOGIN; the account has its name from the configuration."""
        self.assertEqual(self.plain(), LoggedIn("App@Example.com"))
        self.assertEqual(self.plain("SCRAM"), LoggedIn("scram"))
        exchange = self.exchange("LOGIN", self.client(ELSEWHERE))
        exchange.begin(None)
        exchange.respond(b"scram")
        self.assertEqual(self.settle(exchange.respond(b"pencil")), LoggedIn("scram"))

    def test_wrong(self):
        """535 after half a second; a name that is none is told the same, in the same time, at the same cost."""
        told = []
        for name in ("app@example.com", "nobody@example.com", "scram"):
            self.setUp()
            told.append((self.code(self.plain(name, "wrong")), self.waited, self.compared))
        self.assertEqual(told, [("535 5.7.8", 0.5, 1)] * 3)

    def test_told_to_the_log(self):
        """Which account it was, however it was refused; never a name that is none, which may be a password."""
        for name, known in (("APP@example.com", "App@Example.com"), ("hunter2", "")):
            self.setUp()
            self.users_now.pool._most = 0
            refused = [self.plain(name, "wrong")]
            self.users_now.pool._most = 66
            refused += [self.plain(name, f"wrong{n}", self.client(f"198.51.100.{n}")) for n in range(6)]
            self.assertEqual([self.code(step) for step in refused], ["454 4.7.0"] + ["535 5.7.8"] * 5 + ["454 4.7.0"])
            self.assertEqual({step.account for step in refused}, {known})
            self.assertNotIn(name, repr(refused))
        for step in (self.scram(password="x"), self.token(b"broken", "scram"), self.token(b"bad", "scram")):
            self.assertEqual(step.account, "scram")

    def token(self, token, name):
        """How a login with a token ends."""
        exchange = self.exchange("OAUTHBEARER")
        step = self.settle(exchange.begin(b"n,a=%b,\1auth=Bearer %b\1\1" % (name.encode(), token)))
        return self.settle(exchange.respond(b"\1")) if isinstance(step, Challenge) else step

    def test_decoy_password(self):
        """The password of the account that is compared instead opens nothing."""
        for number in range(4):
            self.assertEqual(
                self.code(self.plain(f"nobody{number}", PASSWORD, self.client(f"192.0.2.{number}"))), "535 5.7.8"
            )

    def test_cached(self):
        """A program that logs in again and again is let in at once; not with another password, nor after a change."""
        self.plain()
        exchange = self.exchange()
        self.assertEqual(exchange.begin(b"\0APP@example.com\0pencil"), LoggedIn("App@Example.com"))
        self.assertEqual(self.compared, 1)
        self.assertEqual(self.code(self.plain(password="pencils")), "535 5.7.8")
        self.assertEqual(self.compared, 2)
        self.users_now.replace(Accounts((UserConfig("app@example.com", SCRAM),)), None)
        self.plain()
        self.assertEqual(self.compared, 3)
        self.users_now.replace(Accounts((KEYED,)), None)
        self.assertEqual(self.code(self.plain()), "535 5.7.8")

    def test_many_at_once(self):
        """A program that opens twenty connections at once is not shut out, and is looked at once."""
        steps = [Deferred.fromCoroutine(self.exchange().begin(b"\0scram\0pencil")) for _ in range(20)]
        self.assertEqual(len(self.threads.waiting), 1)
        self.threads.work()
        self.assertEqual([self.successResultOf(step) for step in steps], [LoggedIn("scram")] * 20)

    def test_full(self):
        """454 4.7.0 while too many wait; nobody is counted for it."""
        client = 0
        waiting = []
        while True:
            client += 1
            step = Deferred.fromCoroutine(
                self.exchange(client=self.client(f"10.0.0.{client}")).begin(b"\0a%d\0x" % client)
            )
            if step.called:
                break
            waiting.append(step)
        self.assertEqual(len(waiting), 66)
        self.assertEqual(self.code(self.successResultOf(step)), "454 4.7.0")
        self.threads.work(66)
        self.clock.advance(5)
        self.assertEqual({self.code(self.successResultOf(step)) for step in waiting}, {"535 5.7.8"})
        self.assertEqual(len(self.users_now.brake._pending), 0)

    def test_trouble(self):
        """What goes wrong in comparing is raised, and no failed login."""
        self.users_now.pool._matches = lambda record, password: 1 // 0
        step = Deferred.fromCoroutine(self.exchange().begin(b"\0scram\0x"))
        self.threads.work()
        self.failureResultOf(step, ZeroDivisionError)
        self.assertEqual(len(self.users_now.brake._tallies), 0)
        self.assertEqual(len(self.users_now.brake._pending), 0)

    def test_gone(self):
        """A client that goes while it waits is not looked at any more."""
        exchange = self.exchange()
        step = Deferred.fromCoroutine(exchange.begin(b"\0scram\0x"))
        exchange.abort()
        step.cancel()
        self.failureResultOf(step, CancelledError)
        self.threads.work()
        self.assertEqual((self.compared, len(self.users_now.brake._pending)), (0, 0))
        self.exchange().abort()

    @holds("4954", "4", "A response that makes no sense is answered 501.")
    def test_malformed(self):
        """501 5.5.2, at once, and not counted."""
        for _ in range(20):
            self.assertEqual(self.code(self.exchange().begin(b"nonsense")), "501 5.5.2")
        self.assertEqual(self.plain(), LoggedIn("App@Example.com"))


class ScramTests(UsersCase):
    """SCRAM needs no thread, and the brake holds for it, too."""

    def test_right(self):
        """In three steps, without any work of ours."""
        self.assertEqual(self.scram("SCRAM"), LoggedIn("scram"))
        self.assertEqual(self.compared, 0)

    def test_wrong(self):
        """A wrong password, an unknown name and an account without a record end in the same way."""
        for name in ("scram", "nobody", "app@example.com"):
            self.setUp()
            self.assertEqual((self.code(self.scram(name, "x")), self.waited), ("535 5.7.8", 0.5))

    def test_salt(self):
        """Whoever asks twice for a name gets the same salt, whether it exists or not."""
        for name in ("scram", "nobody"):
            salts = set()
            for _ in range(3):
                step = self.exchange("SCRAM-SHA-256").begin(f"n,,n={name},r=abc".encode())
                assert isinstance(step, Challenge)
                salts.add(step.octets.split(b",")[1])
            self.assertEqual(len(salts), 1)

    def test_shut_account(self):
        """An account that is shut out is so before its challenge."""
        for number in range(5):
            self.scram(password="x", client=self.client(f"198.51.100.{number}"))
        self.assertEqual((self.code(self.scram()), self.waited), ("454 4.7.0", 0.0))
        self.assertEqual(self.code(self.plain("scram")), "454 4.7.0")

    def test_opened_before(self):
        """Exchanges that were begun before are not looked at either: their proofs would tell."""
        peer = ScramClient("scram", PASSWORD)
        exchange = self.exchange("SCRAM-SHA-256", self.client(ELSEWHERE))
        challenge = exchange.begin(peer.first())
        for number in range(5):
            self.scram(password="x", client=self.client(f"198.51.100.{number}"))
        assert isinstance(challenge, Challenge)
        self.assertEqual(self.code(exchange.respond(peer.last(challenge.octets))), "454 4.7.0")

    def test_bound(self):
        """With the binding of the connection."""
        peer = ScramClient("scram", PASSWORD, "p=tls-exporter,,", EXPORTED)
        exchange = self.exchange("SCRAM-SHA-256-PLUS")
        step = exchange.begin(peer.first())
        assert isinstance(step, Challenge)
        exchange.respond(peer.last(step.octets))
        self.assertEqual(exchange.respond(b""), LoggedIn("scram"))

    def test_nonces(self):
        """Never the same."""
        nonces = {self.users_now.nonce() for _ in range(100)}
        self.assertEqual(len(nonces), 100)
        for nonce in nonces:
            self.assertRegex(nonce, r"\A[!-+\x2d-~]{24}\Z")


class TokenTests(UsersCase):
    """The user's check says whose a token is."""

    def bearer(self, token, user="app@example.com", client=None):
        """A login with it."""
        self.now = self.exchange("OAUTHBEARER", client)
        return self.settle(self.now.begin(f"n,a={user},\1auth=Bearer {token}\1\1".encode()))

    def test_right(self):
        """The name is the check's."""
        self.assertEqual(self.bearer("good"), LoggedIn("app@example.com"))
        self.assertEqual(self.bearer("other"), LoggedIn("scram"))
        self.assertEqual(
            self.settle(self.exchange("OAUTHBEARER").begin(b"n,,\1auth=Bearer good\1\1")), LoggedIn("owner")
        )
        self.assertEqual(self.settle(self.exchange("XOAUTH2").begin(b"user=u\1auth=Bearer good\1\1")), LoggedIn("u"))
        self.assertEqual(self.asked_tokens[0], ("good", "app@example.com"))

    def test_wrong(self):
        """A challenge that says so, after the delay; then 535, at once."""
        self.assertEqual(self.bearer("bad"), Challenge(b'{"status":"invalid_token"}'))
        self.assertEqual(self.waited, 0.5)
        self.assertEqual((self.code(self.settle(self.now.respond(b"\1"))), self.waited), ("535 5.7.8", 0.0))

    def test_counted_once(self):
        """Each is one failure, also for a client that does not respond to the challenge."""
        for number in range(5):
            self.assertIsInstance(self.bearer("bad", f"u{number}"), Challenge)
            if number % 2:
                self.settle(self.now.respond(b""))
        self.assertEqual(self.code(self.plain()), "421 4.7.0")

    def test_trouble(self):
        """The check's trouble is 454, and nobody's failure."""
        for _ in range(10):
            self.assertEqual(self.code(self.bearer("broken")), "454 4.7.0")
        self.assertEqual(self.plain(), LoggedIn("App@Example.com"))

    def test_claimed_name(self):
        """One's own token does not make one's address known to the account that one has named."""
        self.assertEqual(self.bearer("other", "app@example.com", self.client(ELSEWHERE)), LoggedIn("scram"))
        for number in range(5):
            self.plain(password="x", client=self.client(f"198.51.100.{number}"))
        self.assertEqual(self.code(self.plain(client=self.client(ELSEWHERE))), "454 4.7.0")

    def test_replaced(self):
        """An exchange that was begun before a reload ends as it began."""
        exchange = self.exchange("XOAUTH2")
        exchange.begin(None)
        self.users_now.replace(Accounts(), None)
        self.assertEqual(self.settle(exchange.respond(b"user=u\1auth=Bearer good\1\1")), LoggedIn("u"))

    def test_not_offered(self):
        """Without a check a token is trouble."""
        self.users_now = self.make(self.users, has_tokens=False)
        self.assertEqual(self.code(self.bearer("good")), "454 4.7.0")


class CertificateTests(UsersCase):
    """EXTERNAL."""

    def external(self, message, *subjects, verified=True):
        """A login with a certificate."""
        client = self.client(tls=TlsFacts("TLSv1.3", "x", verified, subjects))
        return self.settle(self.exchange("EXTERNAL", client).begin(message))

    def test_right(self):
        """The first subject that is an account, or the one that the client names."""
        self.assertEqual(self.external(b"", "x@y", "SCRAM", "app@example.com"), LoggedIn("scram"))
        self.assertEqual(self.external(b"app@example.com", "scram", "App@example.com"), LoggedIn("App@Example.com"))

    def test_guessed(self):
        """Wrong passwords from elsewhere don't shut out a certificate, which nobody guesses."""
        for number in range(5):
            self.plain("scram", "x", self.client(f"198.51.100.{number}"))
        self.assertEqual(self.code(self.plain("scram")), "454 4.7.0")
        self.assertEqual(self.external(b"", "scram"), LoggedIn("scram"))

    def test_wrong(self):
        """Nobody else, whoever it is."""
        for message, subjects in (
            (b"", ()),
            (b"", ("x@y",)),
            (b"scram", ("app@example.com",)),
            (b"x@y", ("x@y", "scram")),
        ):
            self.setUp()
            self.assertEqual(self.code(self.external(message, *subjects)), "535 5.7.8")
        self.assertEqual(self.code(self.external(b"", "scram", verified=False)), "535 5.7.8")


class GarbageTests(UsersCase):
    """Whatever is sent."""

    def test_garbage(self):
        """Every exchange with garbage ends without a login, and nothing is raised."""

        @settings(max_examples=100, deadline=None)
        @given(
            st.sampled_from(
                ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2", "PLAIN", "LOGIN", "EXTERNAL"]
            ),
            st.lists(MESSAGES, min_size=1, max_size=4),
        )
        def feed(mechanism, messages):
            self.setUp()
            exchange = self.exchange(mechanism)
            for message in messages:
                step = self.settle(exchange.respond(message))
                self.assertIsInstance(step, Challenge | LoginRefused)

        feed()

    def test_names(self):
        """A long name costs no memory, and is as unknown as a short one."""
        self.assertEqual(self.code(self.plain("n" * 255, "x")), "535 5.7.8")
        self.assertEqual(self.code(self.plain("n" * 300, "x")), "535 5.7.8")
