"""An authenticator on a clock, and its clients."""

# Steps of one kind are taken for granted, as the dialogue has them.
# mypy: no-check-untyped-defs

import os

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase

from smtpgw.accounts.accounts import Accounts
from smtpgw.accounts.authenticator import AccountAuthenticator
from smtpgw.accounts.brake import LoginBrake
from smtpgw.accounts.cache import LoginCache
from smtpgw.accounts.passwords import matches_record
from smtpgw.accounts.pool import PasswordPool
from smtpgw.accounts.tokens import TokenCheck
from smtpgw.boundaries.auth import Challenge, LoggedIn, LoginRefused
from smtpgw.config.schema import UserConfig
from smtpgw.model.envelope import Client, TlsFacts
from tests.accounts.slow_threads import SlowThreads
from tests.accounts.test_passwords import ARGON2, SCRAM
from tests.smtp.sasl.scram_client import ScramClient

TLS = TlsFacts("TLSv1.3", "x")
HERE, ELSEWHERE = "192.0.2.1", "203.0.113.9"
HASHED = UserConfig("App@Example.com", ARGON2)
KEYED = UserConfig("scram", SCRAM)
PASSWORD = "pencil"
EXPORTED = b"e" * 32


def binding(kind):
    """Of TLS 1.3."""
    return EXPORTED if kind == "tls-exporter" else None


class UsersCase(SynchronousTestCase):
    """An authenticator whose threads and clock wait."""

    users: "tuple[UserConfig, ...]" = (HASHED, KEYED)
    failures = 5

    def setUp(self):
        self.clock = Clock()
        self.threads = SlowThreads()
        self.compared = 0
        self.sessions = 0
        self.asked_tokens = []
        self.users_now = self.make(self.users)

    def make(self, users, has_tokens=True):
        """An authenticator."""

        def matches(record, password):
            self.compared += 1
            return matches_record(record, password)

        return AccountAuthenticator(
            Accounts(users),
            TokenCheck(self.check_token, self.clock) if has_tokens else None,
            LoginBrake(self.clock.seconds, self.failures, 900.0),
            LoginCache(self.clock.seconds, os.urandom),
            PasswordPool(self.threads, matches),
            lambda seconds: deferLater(self.clock, seconds),
            os.urandom,
        )

    async def check_token(self, token, user):
        """The user's."""
        self.asked_tokens.append((token, user))
        if token == "broken":
            raise RuntimeError
        return {"good": user or "owner", "other": "scram"}.get(token)

    def client(self, address=HERE, tls=TLS, session=None):
        """On a new connection."""
        self.sessions += 1
        return Client(address, tls=tls, session_id=session if session is not None else f"s{self.sessions}")

    def exchange(self, mechanism="PLAIN", client=None):
        """Begin AUTH."""
        return self.users_now.begin(mechanism, client or self.client(), binding)

    def settle(self, step):
        """What is said at last; ``waited`` is for how long."""
        self.waited = 0.0
        if isinstance(step, Challenge | LoggedIn | LoginRefused):
            return step
        deferred = Deferred.fromCoroutine(step)
        while self.threads.waiting:
            self.threads.work()
        while not deferred.called:
            self.waited += 0.5
            self.clock.advance(0.5)
        return self.successResultOf(deferred)

    def plain(self, name="app@example.com", password=PASSWORD, client=None):
        """A login."""
        message = f"\0{name}\0{password}".encode()
        return self.settle(self.exchange("PLAIN", client).begin(message))

    def code(self, step):
        """What the client reads."""
        return f"{step.reply.code} {step.reply.status}" if isinstance(step, LoginRefused) else step

    def scram(self, name="scram", password=PASSWORD, client=None):
        """How a SCRAM login ends."""
        peer = ScramClient(name, password)
        exchange = self.exchange("SCRAM-SHA-256", client)
        step = self.settle(exchange.begin(peer.first()))
        if isinstance(step, Challenge):
            step = self.settle(exchange.respond(peer.last(step.octets)))
        if isinstance(step, Challenge):
            self.assertEqual(step.octets, peer.verifier)
            step = self.settle(exchange.respond(b""))
        return step
