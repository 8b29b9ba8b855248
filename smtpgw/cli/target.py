"""Which gateway the command is about."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smtpgw.cli.control_client import ControlClient
from smtpgw.config.load import find_spool


class WallClock:
    """The time of day: the command has no reactor to ask."""

    def time(self) -> float:
        """Unix time, seconds."""
        return time.time()  # noqa: TID251 - this is the clock that others take


class Target:
    """
    The gateway whose spool is a folder.

    :ivar clock: for ages.
    """

    def __init__(self, spool: str | None, config: str | None, environ: Mapping[str, str]) -> None:
        """At most one of ``spool`` and ``config``; nothing is read before it is needed."""
        self._spool = spool
        self._config = config
        self._environ = environ
        self.clock = WallClock()

    @property
    def folder(self) -> Path:
        """
        The spool's, absolute; it need not be there.

        :raises ConfigErrors: when the configuration does not tell.
        """
        if self._spool is not None:
            return Path(self._spool).absolute()
        return find_spool(self._config, self._environ)

    def call(
        self, verb: str, arguments: dict[str, Any], content: bytes | None = None, wait_seconds: float = 60.0
    ) -> Any:
        """
        Ask the running gateway.

        :param content: becomes the argument ``content``.
        :raises NoGateway: when none runs.
        :raises CommandTrouble: when it does not do it.
        """
        with ControlClient(self.folder, wait_seconds) as client:
            return client.call(verb, arguments, content)
