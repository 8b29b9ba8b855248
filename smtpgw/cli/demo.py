"""
``smtpgw demo``: an Internet on loopback, the gateway relaying through it, and what becomes of each message, live.

The gateway is the real one, with its spool in a temporary folder; its outbound port, name server and networks are
those of :mod:`smtpgw.testing.internet`. Nothing leaves this machine. Twisted's reactor is imported inside the command,
so that the other commands start without it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import Struct
from rich.console import Console
from rich.live import Live

from smtpgw.cli.demo_view import DemoView, Expected
from smtpgw.model.notice import Notice

if TYPE_CHECKING:
    from smtpgw.testing.internet import Internet

_FRAME_SECONDS = 0.1
_AUTHOR = "alice@sender.example"
_EX_UNAVAILABLE = 69
_INTERRUPTED = "interrupted"
_EXIT_INTERRUPTED = 130

_CONFIG = """
hostname = "gateway.example"
[spool]
store = "{folder}/spool"
min_free = 0
[[listen]]
endpoint = "tcp:0:interface=127.0.0.1"
role = "mx"
tls = "off"
[[domain]]
name = "sender.example"
recipients = "*"
deliver = "maildir:{folder}/mail/{{domain}}/{{local}}"
[delivery]
port = {port}
retry = {retry}
connect_timeout = "5s"
command_timeout = "30s"
forbidden_networks = []
[dns]
servers = ["{dns_server}"]
"""


class Pace(Struct, frozen=True):
    """
    How long things take.

    :ivar greylist_seconds: of the host that greylists.
    :ivar reply_seconds: of the host that is slow.
    :ivar retry: seconds, as in the configuration.
    """

    greylist_seconds: float
    reply_seconds: float
    retry: tuple[float, ...]


USUAL = Pace(20.0, 1.0, (5.0, 10.0, 10.0))
FAST = Pace(2.0, 0.1, (1.0, 1.0, 2.0))


class DemoTrouble(Exception):
    """The demo could not be run; the text is for the user."""


@click.command()
@click.option("--fast", is_flag=True, help="Greylist for 2 seconds instead of 20, and hurry otherwise.")
@click.option("--seconds", type=click.FloatRange(min=1.0), default=90.0, show_default=True, help="Give up after.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON, and nothing else.")
@click.option("--keep", is_flag=True, help="Keep the folder with the spool and the mailboxes, and print its name.")
def demo(fast: bool, seconds: float, as_json: bool, keep: bool) -> None:
    """
    Relay mail through a small Internet on this machine, and watch it.

    Five destinations: one takes mail over TLS, one greylists, one has a first MX host that is dead, one refuses, and
    one is slow. A terminal of fewer than 96 columns or 24 lines gets one line for each message. Exit status 0 when
    every message ended as it should.
    """
    from twisted.internet import reactor

    folder = Path(tempfile.mkdtemp(prefix="smtpgw-demo-"))
    pace = FAST if fast else USUAL
    view = DemoView(expectations(pace))
    console = _Console(quiet=as_json)
    try:
        trouble = _run_reactor(reactor, Demo(reactor, view, pace, folder, seconds, console))
    finally:
        if not keep:
            _remove(folder)
    if console.is_broken:
        sys.exit(0)
    if as_json:
        rows = [row.as_json() for row in view.rows.values()]
        click.echo(json.dumps({"ok": trouble is None and view.is_as_expected, "messages": rows}, indent=2))
    elif keep:
        click.echo(f"Spool and mailboxes are in {folder}")
    if trouble is not None:
        click.echo(f"smtpgw demo: {trouble}", err=True)
        sys.exit(_EXIT_INTERRUPTED if trouble is _INTERRUPTED else _EX_UNAVAILABLE)
    sys.exit(0 if view.is_as_expected else 1)


class _Console(Console):
    """:ivar is_broken: whoever read our output has enough."""

    is_broken = False

    def on_broken_pipe(self) -> None:
        """The usual one ends the program, which within the reactor is a traceback."""
        self.is_broken = self.quiet = True
        # What is left in buffers must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def expectations(pace: Pace) -> list[Expected]:
    """The recipients of the demo, and how each must end."""
    return [
        Expected("bob@good.example", "takes mail over STARTTLS", "relayed", ("mx.good.example",), needs_tls=True),
        Expected(
            "carol@grey.example", f"greylists for {pace.greylist_seconds:g} seconds", "relayed", ("mx.grey.example",)
        ),
        Expected(
            "dave@backup.example",
            "first MX host is dead",
            "relayed",
            ("mx1.backup.example", "mx2.backup.example"),
        ),
        Expected("erin@strict.example", "refuses the recipient", "bounced", ("mx.strict.example",)),
        Expected("frank@slow.example", f"{pace.reply_seconds:g} s for each reply", "relayed", ("mx.slow.example",)),
        Expected(_AUTHOR, "mailbox: the bounce", "delivered"),
    ]


class Demo:
    """One run. What the view is told comes from the gateway's notices alone."""

    def __init__(
        self, reactor: Any, view: DemoView, pace: Pace, folder: Path, seconds: float, console: Console
    ) -> None:
        """:param seconds: the longest that it may take."""
        self._reactor = reactor
        self._view = view
        self._pace = pace
        self._folder = folder
        self._seconds = seconds
        self._console = console
        self._finished: Callable[[], None] = lambda: None

    async def run(self) -> None:
        """
        Start everything, hand the messages in, wait, stop everything.

        :raises DemoTrouble: when it can't be run here. Cancelling stops everything, too.
        """
        from smtpgw.service.listeners import CannotStart  # noqa: PLC0415 - brings Twisted

        internet = self._internet()
        try:
            await internet.start()
            await self._run_gateway(internet)
        except (CannotStart, OSError) as trouble:
            raise DemoTrouble(str(trouble)) from trouble
        finally:
            await internet.stop()

    def _internet(self) -> Internet:
        from smtpgw.testing.internet import DEAD, Internet  # noqa: PLC0415
        from smtpgw.testing.personality import GOOD, REFUSES, Personality, greylisting  # noqa: PLC0415

        internet = Internet(self._reactor)
        internet.add_domain("good.example", {"mx.good.example": GOOD})
        internet.add_domain("grey.example", {"mx.grey.example": greylisting(self._pace.greylist_seconds)})
        internet.add_domain("backup.example", {"mx1.backup.example": DEAD, "mx2.backup.example": GOOD})
        internet.add_domain("strict.example", {"mx.strict.example": REFUSES})
        slow = Personality(label="slow", delay_seconds=self._pace.reply_seconds)
        internet.add_domain("slow.example", {"mx.slow.example": slow})
        return internet

    async def _run_gateway(self, internet: Internet) -> None:
        from smtpgw.config.load import config_from_text  # noqa: PLC0415
        from smtpgw.service.gateway import Gateway  # noqa: PLC0415

        text = _CONFIG.format(
            folder=self._folder,
            port=internet.port,
            retry=json.dumps(self._pace.retry),
            dns_server=internet.dns_server,
        )
        gateway = Gateway(config_from_text(text, "demo"), reactor=self._reactor, publish=(self._notice,))
        gateway.start()
        try:
            await self._watch(gateway.port(0))
        finally:
            await gateway.stop()

    async def _watch(self, port: int) -> None:
        from twisted.internet.defer import Deferred  # noqa: PLC0415
        from twisted.internet.task import LoopingCall  # noqa: PLC0415

        over: Deferred[None] = Deferred()
        self._finished = lambda: None if over.called else over.callback(None)
        time_limit = self._reactor.callLater(self._seconds, self._finished)
        live = Live(console=self._console, auto_refresh=False, transient=False) if self._console.is_terminal else None
        frames = LoopingCall(self._draw, live, port)
        frames.clock = self._reactor
        try:
            if live is not None:
                live.start()
                frames.start(_FRAME_SECONDS)
            await self._hand_in(port)
            await over
        finally:
            if time_limit.active():
                time_limit.cancel()
            if live is not None:
                frames.stop()
                self._draw(live, port)
                live.stop()

    def _draw(self, live: Live, port: int) -> None:
        title = f"smtpgw demo: a gateway on 127.0.0.1:{port}, an Internet on 127.0.0.2 and up"
        live.update(self._view.render(self._reactor.seconds(), title, *self._console.size), refresh=True)

    async def _hand_in(self, port: int) -> None:
        from smtpgw.testing.submission import SubmissionRefused, submit  # noqa: PLC0415

        for recipient in self._view.rows:
            if recipient == _AUTHOR:
                continue
            content = f"From: {_AUTHOR}\r\nTo: {recipient}\r\nSubject: A message of the demo\r\n\r\nHello.\r\n"
            try:
                await submit(self._reactor, "127.0.0.1", port, _AUTHOR, [recipient], content.encode("ascii"))
            except SubmissionRefused as refused:
                raise DemoTrouble(f"the gateway did not take the message to {recipient}: {refused}") from refused

    def _notice(self, notice: Notice) -> None:
        for line in self._view.apply(notice, self._reactor.seconds()):
            if not self._console.is_terminal:
                self._console.print(line, markup=False, highlight=False, soft_wrap=True)
        if self._view.is_over or getattr(self._console, "is_broken", False):
            self._finished()


def _run_reactor(reactor: Any, run: Demo) -> str | None:
    """Run to the end, or until interrupted. :returns: the trouble."""
    from twisted.internet.defer import CancelledError, Deferred  # noqa: PLC0415
    from twisted.python.failure import Failure  # noqa: PLC0415

    troubles: list[str] = []

    def ended(result: Failure | None) -> None:
        if isinstance(result, Failure):
            if isinstance(result.value, CancelledError):
                troubles.append(_INTERRUPTED)
            elif isinstance(result.value, DemoTrouble):
                troubles.append(result.getErrorMessage())
            else:
                troubles.append(f"unexpected trouble: {result.getTraceback()}")

    def begin() -> None:
        running: Deferred[None] = Deferred.fromCoroutine(run.run())
        running.addBoth(ended)

        def stop(_: object = None) -> Deferred[None]:
            running.cancel()
            return running

        trigger = reactor.addSystemEventTrigger("before", "shutdown", stop)

        def finish(_: object) -> None:
            if reactor.running and not reactor._stopped:
                reactor.removeSystemEventTrigger(trigger)
                reactor.stop()

        running.addCallback(finish)

    reactor.callWhenRunning(begin)
    reactor.run()
    return troubles[0] if troubles else None


def _remove(folder: Path) -> None:
    import shutil  # noqa: PLC0415

    shutil.rmtree(folder, ignore_errors=True)
