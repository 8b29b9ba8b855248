"""
The receiving half of a gateway, composed: for each listener what its sessions are told, who may come in, who may log
in, and what is asked about a transaction.

The listeners are bound before the spool is open, while we may still bind low ports. Until ``open`` they serve nobody.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

from twisted.internet.defer import gatherResults
from twisted.internet.task import deferLater
from twisted.logger import Logger

from smtpgw.accounts import pool as users_pool
from smtpgw.accounts.accounts import Accounts
from smtpgw.accounts.authenticator import AccountAuthenticator
from smtpgw.accounts.brake import LoginBrake
from smtpgw.accounts.cache import LoginCache
from smtpgw.accounts.tokens import TokenCheck, load_token_check
from smtpgw.boundaries.auth import Authenticator
from smtpgw.boundaries.checks import MailCheck
from smtpgw.boundaries.world import Clock, Publish
from smtpgw.checks.sender_login import SenderLogin
from smtpgw.config.schema import Config, ListenConfig, ListenTls, Role, TlsConfig
from smtpgw.model.domains import LocalDomains
from smtpgw.model.envelope import Client, Envelope, MailFrom, Recipient
from smtpgw.model.reply import reply
from smtpgw.model.verdict import Refuse, Verdict
from smtpgw.net.connection_count import ConnectionCount
from smtpgw.net.factory import GatewayFactory
from smtpgw.net.server_settings import ServerSettings
from smtpgw.net.server_tls import SniFiles, TlsFiles
from smtpgw.net.server_tls_reload import ReloadingTls
from smtpgw.net.threads import ReactorThreads
from smtpgw.net.tls import TlsTrouble
from smtpgw.policy.submission_header import missing_fields
from smtpgw.service import catalogue
from smtpgw.service.filters import Filters
from smtpgw.service.listeners import CannotStart
from smtpgw.service.policy_checks import Policy
from smtpgw.service.reception import Counter, ListenerReception

_log = Logger(namespace="smtpgw")

_HELD_SECONDS = 7 * 86400
"""The longest that a submission may ask to be kept back (RFC 4865)."""

_LEAVE_SECONDS = 5.0
"""How long clients have to leave after they were told 421, when the gateway stops."""


class _Closed:
    """The reception of a listener that is bound before the spool is open. Nobody is served until then."""

    def mail(self, client: Client, mail: MailFrom) -> Verdict:
        """Not yet."""
        return _NOT_YET

    def rcpt(self, client: Client, mail: MailFrom, recipient: Recipient) -> Verdict:
        """Not yet."""
        return _NOT_YET

    def begin(self, client: Client, envelope: Envelope, resume: Callable[[], None]) -> Refuse:
        """Not yet."""
        return _NOT_YET


_NOT_YET = Refuse(reply(451, "4.3.0", "Not ready yet, try again later"), "start")
_CLOSED = _Closed()


class Receiving:
    """
    The half that takes mail.

    :ivar factories: of the listeners, in the order of the configuration.
    """

    def __init__(self, config: Config, reactor: Any, clock: Clock, publish: Publish) -> None:
        """:raises CannotStart: when a certificate can't be used, or the users."""
        self._config = config
        self._reactor = reactor
        self._clock = clock
        self._publish = publish
        self._threads = ReactorThreads(reactor, users_pool.THREADS)
        self._authenticator = self._make_authenticator()
        prefix, numbers = f"{int(clock.time()):x}-", count(1)
        shared = ConnectionCount()
        tls = self._make_tls(config.tls)
        self.factories = [
            GatewayFactory(
                _CLOSED,
                self._settings(listen),
                reactor,
                tls_context=tls if listen.tls is not ListenTls.OFF else None,
                publish=publish,
                listener=listen.endpoint,
                count=shared,
                new_session_id=lambda: f"{prefix}{next(numbers):x}",
                authenticator=self._authenticator if listen.auth else None,
            )
            for listen in config.listen
        ]

    def open(self, counter: Counter, domains: LocalDomains, policy: Policy, filters: Filters, delivery: Any) -> None:
        """
        Begin to serve.

        :param delivery: a user's own ``IMessageDelivery`` or ``IMessageDeliveryFactory`` in the place of ours.
        """
        self._threads.start()
        config = self._config
        default = domains.find("")
        for listen, factory in zip(config.listen, self.factories, strict=True):
            rules = policy.of_listener(listen)
            factory.door = filters.behind(rules.door)
            if delivery is not None:
                factory.reception = delivery
                continue
            access, *recipients = catalogue.rcpt_checks(config, listen, domains)
            factory.reception = ListenerReception(
                counter,
                (*rules.mail_checks, *self._own_checks(listen), *filters.mail_checks),
                (*rules.rcpt_checks(access, recipients), *filters.rcpt_checks),
                catalogue.content_checks(config),
                default.name if default is not None else "",
                filters=filters.content_filters,
                complete=self._complete if listen.role is Role.SUBMISSION else None,
            )

    async def drain(self) -> None:
        """Take no more mail; let the clients end what they have begun."""
        await gatherResults([factory.drain(_LEAVE_SECONDS) for factory in self.factories])
        self._threads.stop()

    def _settings(self, listen: ListenConfig) -> ServerSettings:
        limits, policy = self._config.limits, self._config.policy
        is_submission = listen.role is Role.SUBMISSION
        return ServerSettings(
            hostname=self._config.hostname,
            message_size=limits.message_size_octets,
            recipients=limits.recipients,
            connections=limits.connections,
            connections_per_client=limits.connections_per_client,
            messages_per_connection=limits.messages_per_connection,
            errors=limits.errors,
            refused_recipients=limits.refused_recipients,
            idle_timeout_seconds=limits.idle_timeout_seconds,
            session_timeout_seconds=limits.session_timeout_seconds,
            bare_newlines=limits.bare_newlines.value,
            tls=listen.tls.value,
            auth=listen.auth,
            requires_auth=is_submission,
            proxy_networks=listen.proxy_protocol,
            xclient_networks=listen.xclient,
            trusted_networks=listen.relay_networks,
            early_talker_seconds=policy.early_talker_seconds,
            tarpit_seconds=policy.tarpit_seconds,
            deliver_by=True,
            future_release_seconds=_HELD_SECONDS if is_submission else 0,
            now=self._clock.time,
        )

    def _make_tls(self, tls: TlsConfig) -> ReloadingTls | None:
        if tls.certificate is None:
            return None
        files = TlsFiles(
            str(tls.certificate),
            str(tls.key or tls.certificate),
            tls.minimum.value,
            str(tls.client_ca) if tls.client_ca is not None else None,
            tuple(SniFiles(one.name, str(one.certificate), str(one.key)) for one in tls.sni),
        )
        try:
            return ReloadingTls(
                files,
                self._reactor.seconds,
                lambda line: _log.info("{line}", line=line),
                lambda line: _log.warn("{line}", line=line),
            )
        except TlsTrouble as trouble:
            raise CannotStart(str(trouble)) from trouble

    def _make_authenticator(self) -> Authenticator:
        """One for all listeners: guesses count together."""
        config, seconds = self._config, self._reactor.seconds
        try:
            accounts = Accounts(config.users)
            tokens = (
                TokenCheck(load_token_check(config.auth.tokens), self._reactor)
                if config.auth.tokens is not None
                else None
            )
        except ValueError as trouble:
            raise CannotStart(str(trouble)) from trouble
        return AccountAuthenticator(
            accounts,
            tokens,
            LoginBrake(seconds, config.auth.failures, config.auth.lockout_seconds),
            LoginCache(seconds, os.urandom),
            users_pool.PasswordPool(self._threads),
            partial(deferLater, self._reactor),
            os.urandom,
        )

    def _own_checks(self, listen: ListenConfig) -> tuple[MailCheck, ...]:
        if not listen.auth:
            return ()
        return (SenderLogin({user.name: user.senders for user in self._config.users}),)

    def _complete(self, header: bytes, now: float) -> bytes:
        return missing_fields(header, now, self._config.hostname, os.urandom)
