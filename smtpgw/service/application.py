"""The gateway as a service of twistd and twist."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.reflect import namedAny

from smtpgw.model.route import ViaSink
from smtpgw.service import log
from smtpgw.service.config_schema import Config
from smtpgw.service.gateway import Gateway
from smtpgw.service.listeners import CannotStart
from smtpgw.version import VERSION

_log = Logger(namespace="smtpgw")

_OTHER_DESCRIPTORS = 2000
"""For outgoing connections, drafts, the spool, name queries."""


def make_service(config: Config, delivery: str | None, twistd_options: Mapping[str, Any] | None) -> GatewayService:
    """
    The service, not started: no socket, thread or database is open.

    :param delivery: dotted name of a user's own delivery.
    :param twistd_options: of twistd or twist.
    """
    return GatewayService(config, delivery, twistd_options)


class GatewayService(Service):
    """Binds while privileged, serves afterwards, and drains when it is stopped."""

    name = "smtpgw"

    def __init__(self, config: Config, delivery: str | None, twistd_options: Mapping[str, Any] | None) -> None:
        self._config = config
        self._delivery = delivery
        self._options = twistd_options or {}
        self._folder = str(Path.cwd())
        self._gateway: Gateway | None = None
        self._log: log.Log | None = None

    def setServiceParent(self, parent: object) -> None:
        """The log becomes ours, before anybody writes to it."""
        try:
            self._log = log.install(self._config.log, parent, self._options, time.time)  # noqa: TID251 - the shell
        except OSError as trouble:
            self._exit(f"cannot open the log: {trouble}")
        super().setServiceParent(parent)

    def privilegedStartService(self) -> None:
        """Bind the listeners, while we may."""
        super().privilegedStartService()
        try:
            self._make().bind()
        except CannotStart as trouble:
            self._exit(str(trouble))

    def startService(self) -> None:
        """Open the spool and serve."""
        super().startService()
        _raise_descriptor_limit(self._config.limits.connections)
        gateway = self._make()
        try:
            gateway.start()
        except CannotStart as trouble:
            self._exit(str(trouble))
        if self._log is not None:
            from twisted.internet import reactor

            self._log.start(reactor)
        config = self._config
        _log.info(
            "smtpgw {version} as {hostname} on {listeners}; spool in {spool}",
            version=VERSION,
            hostname=config.hostname,
            listeners=", ".join(listen.endpoint for listen in config.listen),
            spool=str(config.spool.store),
        )

    def stopService(self) -> Deferred[None]:
        """Take no more, finish what is under way, close the spool."""
        super().stopService()
        stopping = Deferred.fromCoroutine(self._stop())
        stopping.addErrback(lambda failure: _log.failure("stopping failed", failure=failure))
        return stopping

    async def _stop(self) -> None:
        gateway, self._gateway = self._gateway, None
        if gateway is not None:
            await gateway.stop()
        _log.info("smtpgw has stopped")
        if self._log is not None:
            self._log.stop()

    def _make(self) -> Gateway:
        if self._gateway is None:
            from twisted.internet import reactor

            self._add_import_folder()
            publish = (self._log.publish,) if self._log is not None else ()
            self._gateway = Gateway(
                self._config, reactor=reactor, publish=publish, delivery=_load(self._delivery, self._exit)
            )
        return self._gateway

    def _add_import_folder(self) -> None:
        """Handlers are looked for where the gateway was started, too, after all other places: they shadow nothing."""
        sinks = [domain.deliver for domain in self._config.domains]
        wanted = any(isinstance(via, ViaSink) and via.url.startswith("python:") for via in sinks)
        if (wanted or self._delivery is not None) and self._folder not in sys.path:
            sys.path.append(self._folder)

    def _exit(self, text: str) -> NoReturn:
        """
        One line on standard error, status 1.

        A daemon's parent is told by the exception: its own standard error is gone.
        """
        line = f"smtpgw: {text}"
        _log.critical("{line}", line=line)
        if self._log is not None:
            self._log.stop()
        if self._options.get("nodaemon", True):
            print(line, file=sys.__stderr__)
            pidfile = self._options.get("pidfile")
            if pidfile and _is_ours(Path(pidfile)):
                Path(pidfile).unlink()
            raise SystemExit(1)
        raise CannotStart(text)


def _raise_descriptor_limit(connections: int) -> None:
    """As many descriptors as we may have: the usual 1,024 are fewer than the connections that are allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_DESCRIPTORS
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        _log.warn(
            "this process may have {most} descriptors; limits.connections = {connections} would need {wanted}",
            most=most,
            connections=connections,
            wanted=wanted,
        )


def _is_ours(pidfile: Path) -> bool:
    try:
        return pidfile.read_text(encoding="ascii").strip() == str(os.getpid())
    except (OSError, ValueError):
        return False


def _load(name: str | None, fail: Callable[[str], NoReturn]) -> Any:
    """A user's own delivery: an object, or a class that is made without arguments."""
    if name is None:
        return None
    try:
        found = namedAny(name)
        return found() if isinstance(found, type) else found
    except Exception as error:  # noqa: BLE001 - whatever their module raises, the user must see it
        _log.failure("--delivery {name}", name=name)
        fail(f"--delivery {name}: {type(error).__name__}: {error}")
