"""
The log of a gateway: one stream of lines for what happens to mail and for what Twisted and we have to say.

Under ``twistd`` our observer takes the place of Twisted's, and writes where ``--logfile`` and ``--nodaemon`` say. With
``--syslog`` or ``--logger``, or in an application that somebody else composes, their log stays theirs and our lines go
into it as events of :mod:`twisted.logger`. ``twist`` keeps its log for itself; our lines go to the same place.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import get_ident
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import ILogObserver, Logger
from twisted.logger import LogLevel as TwistedLevel
from twisted.python.components import Componentized

from smtpgw.config.schema import LogConfig, LogFormat, LogLevel
from smtpgw.log.format import Format, human_format, human_words, json_format
from smtpgw.log.lines import ERROR, WARN, Fields, level_of, lines_of
from smtpgw.log.observer import TwistedEvents
from smtpgw.log.output import LogOutput
from smtpgw.log.sinks import FileSink, LogSink, open_stream
from smtpgw.model.notice import Notice

_LEVELS = {LogLevel.DEBUG: 0, LogLevel.INFO: 1, LogLevel.WARN: 2, LogLevel.ERROR: 3}
_TWISTED_LEVELS = (TwistedLevel.debug, TwistedLevel.info, TwistedLevel.warn, TwistedLevel.error)
_STANDARD_OUTPUT = 1
_DAEMON_FILE = "twistd.log"
"""What twistd calls it when nobody says anything."""


class Log(Protocol):
    """Where a gateway tells what happens."""

    def publish(self, notice: Notice) -> None:
        """See :data:`smtpgw.boundaries.world.Publish`."""

    def start(self, reactor: Any) -> None:
        """The reactor runs, or is about to; called in its thread."""

    def stop(self) -> None:
        """Everything is out. What is published later is still written, line by line."""


class LineLog:
    """Writes lines itself."""

    def __init__(self, output: LogOutput, write: Format, now: Callable[[], float], level: LogLevel) -> None:
        """:param now: Unix time."""
        self._output = output
        self._format = write
        self._now = now
        self._least = _LEVELS[level]
        self._reactor: IReactorFromThreads | None = None
        self._thread = get_ident()
        self.observer = TwistedEvents(self._take, self._least)

    def publish(self, notice: Notice) -> None:
        """Write what a notice says. In the reactor's thread only."""
        if level_of(notice) < self._least:
            return
        now = self._now()
        for level, event, fields in lines_of(notice):
            self._output.write(self._format(now, level, event, fields))

    def start(self, reactor: IReactorTime) -> None:
        """Gather lines from now on."""
        self._thread = get_ident()
        if IReactorFromThreads.providedBy(reactor):
            self._reactor = reactor
        self._output.start(reactor)

    def stop(self) -> None:
        """Write what waits."""
        self._output.stop()

    def _take(self, time: float, level: int, event: str, fields: Fields) -> None:
        line = self._format(time, level, event, fields)
        if self._reactor is not None and get_ident() != self._thread:
            self._reactor.callFromThread(self._output.write, line, at_once=level >= ERROR)
        else:
            self._output.write(line, at_once=level >= ERROR)


class EventLog:
    """Passes lines on to whoever observes Twisted's log."""

    def __init__(self, level: LogLevel, logger: Logger | None = None) -> None:
        """:param logger: ours, if not given."""
        self._least = _LEVELS[level]
        self._log = logger or Logger("smtpgw")

    def publish(self, notice: Notice) -> None:
        """Emit an event for each line; its ``line`` is the text, its fields are in ``fields``."""
        if level_of(notice) < self._least:
            return
        for level, event, fields in lines_of(notice):
            self._log.emit(_TWISTED_LEVELS[level], "{line}", line=f"{event} {human_words(fields)}", fields=fields)

    def start(self, reactor: IReactorTime) -> None:
        """Nothing waits here."""

    def stop(self) -> None:
        """Nothing waits here."""


def install(
    config: LogConfig,
    parent: object,
    twistd_options: Mapping[str, Any] | None,
    now: Callable[[], float],
    environ: Mapping[str, str] = os.environ,
) -> Log:
    """
    The log of a gateway whose service is given to ``parent``; to be called from its ``setServiceParent``.

    :param parent: what ``setServiceParent`` got. An application gets our observer if its log is to be ours.
    :param twistd_options: of twistd or twist, ``options.parent`` of the plugin's; ``None`` when neither runs us.
    :param environ: for NO_COLOR and TERM.
    :raises OSError: when the file of the log can't be opened.
    """
    options: Mapping[str, Any] = {} if twistd_options is None else twistd_options
    if "nodaemon" in options and isinstance(parent, Componentized):
        if options.get("syslog") or options.get("logger"):
            return EventLog(config.level)
        log = line_log(config, _twistd_sink(options, now), now, environ)
        parent.setComponent(ILogObserver, log.observer)
        return log
    if "logFile" in options:
        return line_log(config, open_stream(options["logFile"].fileno()), now, environ)
    return EventLog(config.level)


def line_log(config: LogConfig, sink: LogSink, now: Callable[[], float], environ: Mapping[str, str]) -> LineLog:
    """A log that writes into a sink, in the format that the configuration says or that suits the sink."""
    write = _format(config.format, sink, environ)

    def lost(lines: int) -> bytes:
        return write(now(), WARN, "log.lost", {"lines": lines})

    return LineLog(LogOutput(sink, lost), write, now, config.level)


def _format(wanted: LogFormat, sink: LogSink, environ: Mapping[str, str]) -> Format:
    if wanted is LogFormat.JSON or (wanted is LogFormat.AUTO and not sink.is_terminal):
        return json_format()
    colours = sink.is_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    return human_format(colours=colours)


def _twistd_sink(options: Mapping[str, Any], now: Callable[[], float]) -> LogSink:
    """Where twistd would have written. Its file is opened now, as twistd does: a daemon changes folder and user."""
    name = options.get("logfile") or ("-" if options["nodaemon"] else _DAEMON_FILE)
    if name != "-":
        return FileSink(Path(name).absolute(), now)
    if not options["nodaemon"]:
        raise OSError("a daemon can't log to standard output; name a file with --logfile")
    return open_stream(_STANDARD_OUTPUT)
