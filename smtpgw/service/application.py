"""The gateway as a service of twistd and twist."""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from smtpgw.config.schema import Config
from smtpgw.config.targets import add_import_folder, make_delivery
from smtpgw.log import service_log as log
from smtpgw.lookups.python import PythonPlace
from smtpgw.model.route import ViaSink
from smtpgw.service.gateway import Gateway
from smtpgw.service.listeners import CannotStart
from smtpgw.version import VERSION

_log = Logger(namespace="smtpgw")

_OTHER_DESCRIPTORS = 2000
"""For outgoing connections, drafts, the spool, name queries."""

_STANDARD_ERROR = 2

_STATUS_FAILED = b"1 smtpgw cannot start"
"""To twistd's parent process, which prints what follows the number; the reason is on the terminal by then."""


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
        self._folder = Path.cwd()
        self._gateway: Gateway | None = None
        self._log: log.Log | None = None
        self._terminal: int | None = None

    def setServiceParent(self, parent: object) -> None:
        """The log becomes ours, before anybody writes to it."""
        try:
            self._log = log.install(self._config.log, parent, self._options, time.time)  # noqa: TID251 - the shell
        except OSError as trouble:
            self._exit(f"cannot open the log: {trouble}")
        if not self._options.get("nodaemon", True):
            # The daemon gets /dev/null instead. Until it serves, it keeps a way to say why it does not.
            with suppress(OSError):
                self._terminal = os.dup(_STANDARD_ERROR)
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
        self._leave_terminal()
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
            try:
                delivery = None if self._delivery is None else make_delivery(self._delivery)
            except ValueError as trouble:
                if trouble.__cause__ is not None:
                    _log.failure("--delivery {name}", Failure(trouble.__cause__), name=self._delivery)
                self._exit(f"--delivery: {trouble}")
            self._gateway = Gateway(self._config, reactor=reactor, publish=publish, delivery=delivery)
        return self._gateway

    def _add_import_folder(self) -> None:
        """Handlers are looked for where the gateway was started, too, after all other places: they shadow nothing."""
        config = self._config
        wanted = config.auth.tokens is not None or any(
            isinstance(domain.recipients, PythonPlace)
            or (isinstance(domain.deliver, ViaSink) and domain.deliver.url.startswith("python:"))
            for domain in config.domains
        )
        if wanted or self._delivery is not None:
            add_import_folder(self._folder)

    def _exit(self, text: str) -> NoReturn:
        """
        One line on standard error, status 1.

        The parent of a daemon waits for word of it, and then ends with a line of its own. Were it told by an exception,
        as Twisted expects, that line would be the cut-off repr of ours, and the log would get a traceback.
        """
        line = f"smtpgw: {text}"
        _log.critical("{line}", line=line)
        if self._log is not None:
            self._log.stop()
        status_pipe = self._options.get("statusPipe")
        if status_pipe is None:
            print(line, file=sys.__stderr__)
        else:
            self._say_on_terminal(line)
            with suppress(OSError):
                os.write(status_pipe, _STATUS_FAILED)
                os.close(status_pipe)
        self._leave_terminal()
        pidfile = self._options.get("pidfile")
        if pidfile and _is_ours(Path(pidfile)):
            Path(pidfile).unlink()
        raise SystemExit(1)

    def _say_on_terminal(self, line: str) -> None:
        if self._terminal is not None:
            with suppress(OSError):
                os.write(self._terminal, f"{line}\n".encode("utf-8", "backslashreplace"))

    def _leave_terminal(self) -> None:
        terminal, self._terminal = self._terminal, None
        if terminal is not None:
            os.close(terminal)


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
