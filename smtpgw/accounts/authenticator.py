"""
Who may log in: the accounts of the configuration, tokens, and client certificates (``Authenticator``).

Nothing here tells whether an account exists: a name that is none costs the same time, is counted the same, is shut out
the same and fails with the same words. What happens to a guess has an order that must stay:

1. Is the address, or the account, shut out? Not even the cache is asked then, or it would say which guess is right.
2. A failure is counted before its delay begins: who hangs up instead of waiting has been counted.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred

from smtpgw.accounts.accounts import Accounts
from smtpgw.accounts.brake import LoginBrake, Penalty, Shut
from smtpgw.accounts.cache import LoginCache
from smtpgw.accounts.pool import PasswordPool, PoolFull
from smtpgw.accounts.tokens import TokenCheck, TokenTrouble
from smtpgw.boundaries.auth import Challenge, ChannelBinding, LoggedIn, LoginRefused, Step
from smtpgw.model.envelope import Client
from smtpgw.model.network import client_key
from smtpgw.model.reply import reply
from smtpgw.smtp import replies
from smtpgw.smtp.sasl.catalogue import MECHANISMS, MechanismNeeds
from smtpgw.smtp.sasl.mechanism import (
    Malformed,
    PasswordClaim,
    Proven,
    Rejected,
    SaslStep,
    TokenClaim,
)
from smtpgw.smtp.sasl.scram import ScramKeys

_NONCE_OCTETS = 18

_FAILED = reply(535, "5.7.8", "Authentication failed")
_LATER = reply(454, "4.7.0", "Temporary authentication failure")
_TOO_MANY = reply(421, "4.7.0", "Too many failed logins")

Sleep = Callable[[float], Awaitable[object]]
"""Waits for so many seconds. Cancelling it ends the waiting."""


class AccountAuthenticator:
    """
    Offers what the accounts can use, and lets in whoever is right.

    Listeners share one, so that failures on all of them count together.
    """

    def __init__(
        self,
        accounts: Accounts,
        tokens: TokenCheck | None,
        brake: LoginBrake,
        cache: LoginCache,
        pool: PasswordPool,
        sleep: Sleep,
        random_octets: Callable[[int], bytes],
    ) -> None:
        """
        :param tokens: ``None``: OAuth is not offered.
        :param random_octets: as ``os.urandom``.
        """
        self.brake = brake
        self.cache = cache
        self.pool = pool
        self.sleep = sleep
        self._random_octets = random_octets
        self.replace(accounts, tokens)

    def replace(self, accounts: Accounts, tokens: TokenCheck | None) -> None:
        """Know other accounts from now on. What was counted and cached stays; a changed password is another record."""
        self.accounts = accounts
        self.tokens = tokens
        can_use = {
            "SCRAM-SHA-256-PLUS": accounts.has_keys,
            "SCRAM-SHA-256": accounts.has_keys,
            "OAUTHBEARER": tokens is not None,
            "XOAUTH2": tokens is not None,
            "PLAIN": len(accounts) > 0,
            "LOGIN": len(accounts) > 0,
        }
        self._offer = tuple(name for name in MECHANISMS if can_use.get(name))

    def mechanisms(self, client: Client) -> tuple[str, ...]:
        """Strongest first. EXTERNAL only for a certificate that names an account."""
        if client.tls is None:
            return ()
        return ("EXTERNAL", *self._offer) if self.subjects(client) else self._offer

    def begin(self, mechanism: str, client: Client, binding: ChannelBinding) -> "AccountExchange":
        """:raises KeyError: for a mechanism that there is not; it was not offered."""
        return AccountExchange(self, mechanism, client, binding)

    def nonce(self) -> str:
        """Printable, without commas."""
        return b64encode(self._random_octets(_NONCE_OCTETS)).decode("ascii")

    def subjects(self, client: Client) -> tuple[str, ...]:
        """Keys of the accounts that the client's certificate names."""
        tls = client.tls
        return self.accounts.among(tls.subjects) if tls is not None and tls.verified and tls.subjects else ()


class AccountExchange:
    """One AUTH command (``Exchange``)."""

    def __init__(
        self, authenticator: AccountAuthenticator, mechanism: str, client: Client, binding: ChannelBinding
    ) -> None:
        self._all = authenticator
        # For the whole exchange: a reload in between changes nothing.
        self._accounts = authenticator.accounts
        self._tokens = authenticator.tokens
        self._brake = authenticator.brake
        self._session = client.session_id
        self._client = client_key(client.address)
        self._name = ""
        self._penalty: Penalty | None = None
        self._waiting: Deferred[bool] | None = None
        needs = MechanismNeeds(binding, self._find_keys, authenticator.nonce(), authenticator.subjects(client))
        self._mechanism = MECHANISMS[mechanism](needs)

    def begin(self, initial: bytes | None) -> Step | Awaitable[Step]:
        """See ``Exchange``."""
        shut = self._shut("")
        return shut if shut is not None else self._answer(self._mechanism.begin(initial))

    def respond(self, response: bytes) -> Step | Awaitable[Step]:
        """See ``Exchange``."""
        # Before the mechanism sees a proof of SCRAM: what it says about that tells whether it was right.
        shut = self._shut(self._name)
        return shut if shut is not None else self._answer(self._mechanism.respond(response))

    def abort(self) -> None:
        """The password, if it still waits to be compared, need not be. Whoever awaits that sees it cancelled."""
        if self._waiting is not None:
            self._waiting.cancel()

    def _find_keys(self, name: str) -> ScramKeys:
        self._name = name.lower()
        return self._accounts.keys(name)

    def _shut(self, account: str) -> LoginRefused | None:
        shut = self._brake.shut(self._client, account)
        if shut is None:
            return None
        return LoginRefused(_TOO_MANY if shut is Shut.ADDRESS else _LATER, shut.value, self._known(account))

    def _known(self, name: str) -> str:
        """For the log: the account of that name. Empty for a name that is none, which may be a password."""
        account = self._accounts.find(name) if name else None
        return account.name if account is not None else ""

    def _answer(self, step: SaslStep) -> Step | Awaitable[Step]:
        match step:
            case Challenge():
                # The name has come with SCRAM's first message, and may be shut out.
                return (self._shut(self._name) if self._name else None) or step
            case PasswordClaim():
                return self._check_password(step)
            case TokenClaim():
                return self._shut(step.name.lower()) or self._check_token(self._tokens, step)
            case Proven():
                return self._prove(step)
            case Rejected():
                return self._shut(step.name.lower()) or self._refuse(step.name.lower(), step.cause)
            case Malformed():
                return LoginRefused(replies.BAD_BASE64, step.cause)

    # --- Passwords ---

    def _check_password(self, claim: PasswordClaim) -> Step | Awaitable[Step]:
        name = claim.name.lower()
        shut = self._shut(name)
        if shut is not None:
            return shut
        account = self._accounts.find(name)
        record = (account or self._accounts.decoy(name)).record
        cache = self._all.cache
        digest = cache.digest(name, claim.password)
        if account is not None and cache.is_right(digest, record):
            return self._let_in(account.name, name)
        if cache.is_wrong(digest, record, self._client):
            return self._refuse(name, "wrong password, the same as before", is_repeated=True)
        return self._compare(digest, record, claim.password, name, account.name if account is not None else None)

    async def _compare(self, digest: bytes, record: str, password: str, name: str, identity: str | None) -> Step:
        pool, brake, cache = self._all.pool, self._brake, self._all.cache
        is_first = not pool.is_checking(digest, record)
        if is_first:
            brake.began(self._client, name)
        try:
            self._waiting = pool.check(digest, record, password, self._client)
            is_right = await self._waiting
        except PoolFull:
            return LoginRefused(_LATER, "too many passwords wait to be compared", identity or "")
        finally:
            if is_first:
                brake.ended(self._client, name)
        if is_right and identity is not None:
            cache.keep_right(digest, record)
            return self._let_in(identity, name)
        is_repeated = cache.is_wrong(digest, record, self._client)
        cache.keep_wrong(digest, record, self._client)
        return await self._refuse(name, "wrong name or password", is_repeated=is_repeated)

    # --- Everything else ---

    async def _check_token(self, tokens: TokenCheck | None, claim: TokenClaim) -> Step:
        name = claim.name.lower()
        if tokens is None:
            return LoginRefused(_LATER, "there is no check of tokens any more", self._known(name))
        try:
            identity = await tokens.identity(claim.token, claim.name)
        except TokenTrouble as trouble:
            return LoginRefused(_LATER, str(trouble), self._known(name))
        if identity is not None:
            # The name that the check gave, not the claimed one: that may be anybody's.
            return self._let_in(identity, identity.lower())
        # Counted now, not when the client has responded: it need not.
        self._penalty = self._brake.failed(self._client, name, self._session)
        await self._all.sleep(self._penalty.delay_seconds)
        challenge = self._mechanism.claim_failed()
        return challenge if challenge is not None else self._final(name, "token refused", self._penalty)

    def _prove(self, proven: Proven) -> Step:
        name = proven.name.lower()
        account = self._accounts.find(name)
        if account is None:
            # A decoy's keys fit nothing; should they ever, it is still nobody's account.
            return LoginRefused(_FAILED, "no such account")
        return self._let_in(account.name, name)

    def _let_in(self, identity: str, name: str) -> LoggedIn:
        self._brake.succeeded(self._client, name)
        return LoggedIn(identity)

    async def _refuse(self, name: str, cause: str, *, is_repeated: bool = False) -> Step:
        penalty = self._penalty
        if penalty is None:
            if is_repeated:
                penalty = self._brake.repeated(self._client, self._session)
            else:
                penalty = self._brake.failed(self._client, name, self._session)
            await self._all.sleep(penalty.delay_seconds)
        return self._final(name, cause, penalty)

    def _final(self, name: str, cause: str, penalty: Penalty) -> LoginRefused:
        return LoginRefused(_TOO_MANY if penalty.ends_connection else _FAILED, cause, self._known(name))
