"""What a server protocol needs from whoever made it."""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from smtpgw.boundaries.auth import Authenticator
from smtpgw.boundaries.reception import Door
from smtpgw.model.notice import Notice
from smtpgw.model.reply import Reply
from smtpgw.net.server_settings import ServerSettings, extension_tables, session_rules
from smtpgw.smtp.session_rules import ExtensionTables, SessionRules


class Owner:
    """
    Base of the factory, and of what stands in when there is none.

    :ivar settings: of the listener.
    :ivar listener: its name, for logs and metrics.
    :ivar sweeps: it calls ``sweep`` of its protocols about every second. Otherwise each has a timer of its own.
    :ivar door: asked before the banner.
    :ivar authenticator: for AUTH behind TLS.
    """

    settings: ServerSettings
    listener: str = ""
    sweeps: bool = False
    door: Door | None = None
    authenticator: Authenticator | None = None
    _terms: tuple[ServerSettings, SessionRules, ExtensionTables] | None = None

    def session_terms(self, settings: ServerSettings) -> tuple[SessionRules, ExtensionTables]:
        """
        What sessions hold of the settings.

        Kept while they are the same object: to find out whether others are equal takes longer than the banner.
        """
        terms = self._terms
        if terms is None or terms[0] is not settings:
            terms = self._terms = settings, session_rules(settings), extension_tables(settings.extensions)
        return terms[1:]

    def enter(self, protocol: Any) -> Reply | None:
        """A connection was made. The reply says why it can't stay; it must ``leave`` all the same."""
        raise NotImplementedError

    def claim(self, protocol: Any, address: str) -> Reply | None:
        """
        It is known for whom the connection is; with another address than before it has changed hands.

        The reply says why it can't stay.
        """
        raise NotImplementedError

    def leave(self, protocol: Any) -> None:
        """It is gone."""
        raise NotImplementedError

    def publish(self, notice: Notice) -> None:
        """Tell whoever listens."""
        raise NotImplementedError

    def new_session_id(self) -> str:
        """Of one connection."""
        raise NotImplementedError

    def seconds(self) -> float:
        """Of a clock for deadlines."""
        raise NotImplementedError

    def call_later(self, seconds: float, function: Callable[[], None]) -> IDelayedCall:
        """For the few connections that are kept waiting, on purpose or because others have their turn."""
        raise NotImplementedError


class SoleOwner(Owner):
    """For a protocol that was made by hand or by another factory: no limits across connections, nobody listens."""

    def __init__(self, settings: ServerSettings) -> None:
        self.settings = settings

    def enter(self, protocol: Any) -> Reply | None:
        """Always."""
        return None

    def claim(self, protocol: Any, address: str) -> Reply | None:
        """Always."""
        return None

    def leave(self, protocol: Any) -> None:
        """Nothing to do."""

    def publish(self, notice: Notice) -> None:
        """To nobody."""

    def new_session_id(self) -> str:
        """There is no log that would need one."""
        return ""

    def seconds(self) -> float:
        """Time stands still; the protocol's own timer is in use."""
        return 0.0

    def call_later(self, seconds: float, function: Callable[[], None]) -> IDelayedCall:
        """By the reactor, like the protocol's own timer."""
        from twisted.internet import reactor

        clock: IReactorTime = reactor
        return clock.callLater(seconds, function)
