"""``twistd smtpgw`` and ``twist smtpgw``: the options, and the service they ask for. Never imports the reactor."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from twisted.application.service import IService
from twisted.python import usage

from smtpgw.config.errors import ConfigError, ConfigErrors
from smtpgw.config.load import StartOptions, config_from_options
from smtpgw.config.read import unchecked
from smtpgw.config.schema import DEFAULT_DELIVER, DEFAULT_INTERFACE, DEFAULT_PORT
from smtpgw.config.source import COMMAND_LINE
from smtpgw.config.targets import add_import_folder, find_delivery, target_check
from smtpgw.version import VERSION


def _port(value: str) -> int:
    if not (value.isascii() and value.isdecimal()):
        raise usage.UsageError(f"--port: {value!r} is not a number")
    if len(value) > 5 or int(value) > 65535:
        raise usage.UsageError(f"--port: {value} is not between 0 and 65535")
    return int(value)


class Options(usage.Options):
    """
    The options of docs/manual/configuration.rst.

    After parsing, ``start`` has what :func:`~smtpgw.config.load.config_from_options` takes.
    """

    synopsis = "[options]"
    longdesc = (
        "An SMTP relay and inbound gateway. Without options it listens on 127.0.0.1 port 2525 and relays mail from "
        "this machine to the hosts that DNS names; what it has taken is kept in the folder smtpgw-spool."
    )

    optParameters = [
        ["port", "p", None, f"port to listen on [default: {DEFAULT_PORT}]"],
        ["interface", None, None, f"address to listen on [default: {DEFAULT_INTERFACE}]"],
        ["config", "c", None, "configuration file; the other options win over it"],
        ["hostname", None, None, "our own name [default: the machine's]"],
        ["spool", None, None, "folder for mail on its way [default: smtpgw-spool]"],
        ["deliver", None, None, f"where the mail of --domain goes [default: {DEFAULT_DELIVER}]"],
        [
            "smarthost",
            None,
            None,
            "HOST:PORT that takes all mail to other domains; without :PORT, 25 [default: their MX hosts]",
        ],
        [
            "delivery",
            None,
            None,
            "dotted name of an IMessageDelivery or IMessageDeliveryFactory of yours that takes the place of ours",
        ],
    ]

    compData = usage.Completions(
        optActions={
            "config": usage.CompleteFiles("*.toml", descr="configuration file"),
            "spool": usage.CompleteDirs(descr="folder"),
            "interface": usage.CompleteNetInterfaces(descr="address"),
        },
        multiUse=["domain", "relay-from"],
    )

    def __init__(self) -> None:
        usage.Options.__init__(self)
        self["domain"] = []
        self["relay-from"] = []

    def parseOptions(self, options: Sequence[str] | None = None) -> None:  # noqa: N802 - Twisted's name
        """
        Under twistd a mistake is one line and status 1; some of its versions end with 0.

        :raises twisted.python.usage.UsageError: when nobody runs us, as in a test.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            print(f"smtpgw: {error}{self._meant(str(error))}; see twistd smtpgw --help", file=sys.stderr)  # noqa: T201 - there is no log yet
            raise SystemExit(1) from None

    def _meant(self, error: str) -> str:
        """The nearest option to one that isn't there."""
        wrong = re.search(r"option --(\S+) not recognized", error)
        known = [option.rstrip("=") for option in self.longOpt]
        near = get_close_matches(wrong[1], known, n=1) if wrong else []
        return f", did you mean --{near[0]}?" if near else ""

    def opt_domain(self, name: str) -> None:
        """Take mail for every address in this domain; may be repeated."""
        self["domain"].append(name)

    def opt_relay_from(self, network: str) -> None:
        """Relay for clients in this network, such as 10.0.0.0/8; may be repeated [default: loopback]."""
        self["relay-from"].append(network)

    def opt_version(self) -> None:
        """Print the version of smtpgw and exit."""
        print(f"smtpgw {VERSION}")  # noqa: T201 - this is what the option is for
        sys.exit(0)

    def postOptions(self) -> None:
        """The port becomes a number. Here, because Twisted puts words of its own before a converter's."""
        if self["port"] is not None:
            self["port"] = _port(self["port"])

    def parseArgs(self, *arguments: str) -> None:  # noqa: N802 - Twisted's name
        """Nothing but options."""
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is not an option; all of them begin with --")

    @property
    def start(self) -> StartOptions:
        """What was said."""
        return StartOptions(
            config=self["config"],
            port=self["port"],
            interface=self["interface"],
            hostname=self["hostname"],
            spool=self["spool"],
            domains=tuple(self["domain"]),
            deliver=self["deliver"],
            relay_from=tuple(self["relay-from"]),
            smarthost=self["smarthost"],
        )


def _sheds_privileges(twistd_options: Mapping[str, Any] | None) -> bool:
    """Whether another user will serve: handlers are not for root to load then, and the start loads them later."""
    options = twistd_options or {}
    return options.get("uid") is not None or options.get("gid") is not None


def makeService(options: Options) -> IService:
    """
    The gateway, not started. Opens no socket, thread or database: twistd may fork after this.

    A configuration that can't be used is told line by line on standard error, and ends the process with status 1.
    """
    folder = Path.cwd()
    errors: list[ConfigError] = []
    config = None
    try:
        check_target = unchecked if _sheds_privileges(options.parent) else target_check(folder)
        config = config_from_options(options.start, os.environ, folder, check_target=check_target)
    except ConfigErrors as wrong:
        errors += wrong.errors
    if options["delivery"] is not None:
        add_import_folder(folder)
        try:
            find_delivery(options["delivery"])
        except ValueError as trouble:
            errors.append(ConfigError(COMMAND_LINE, None, "--delivery", str(trouble)))
    if config is None or errors:
        for error in errors:
            print(error, file=sys.stderr)  # noqa: T201 - there is no log yet
        raise SystemExit(1)
    # Here, because a mistake in the configuration should not have to wait for it.
    from smtpgw.service.application import make_service  # noqa: PLC0415

    service: IService = make_service(config, delivery=options["delivery"], twistd_options=options.parent)
    return service
