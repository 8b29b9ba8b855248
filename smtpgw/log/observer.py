"""Twisted's own events, and those of every ``twisted.logger.Logger`` of ours, as lines of our log."""

import re
from collections.abc import Callable

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from smtpgw.log.format import BELOW
from smtpgw.log.lines import DEBUG, ERROR, INFO, WARN, Fields, cut

_LEVELS = {
    LogLevel.debug: DEBUG,
    LogLevel.info: INFO,
    LogLevel.warn: WARN,
    LogLevel.error: ERROR,
    LogLevel.critical: ERROR,
}

_CHATTER_FORMATS = frozenset({"Starting factory {factory!r}", "Stopping factory {factory!r}"})
_CHATTER = re.compile(
    r"\S{1,200} starting on (?:\d{1,5}|'?/\S{1,200})\Z|\((?:TCP|UDP|UNIX|TLS)[^()]{0,60}Port .{0,200} Closed\)\Z|"
    r"(?:Starting|Stopping) protocol "
)
"""What Twisted says of each port and factory: a line for every name that is looked up and every connection made."""

_LONGEST_TEXT = 4000
_LONGEST_TRACEBACK = 16_000

Take = Callable[[float, int, str, Fields], None]
"""Time, level, event, fields."""


@implementer(ILogObserver)
class TwistedEvents:
    """Called by Twisted, in any thread."""

    def __init__(self, take: Take, least: int) -> None:
        """:param least: level of the least important events that are taken."""
        self._take = take
        self._least = least

    def __call__(self, event: LogEvent) -> None:
        """One event."""
        level = _LEVELS.get(event.get("log_level", LogLevel.info), INFO)
        if level < self._least:
            return
        if level == INFO and event.get("log_format") in _CHATTER_FORMATS:
            level = DEBUG
        text = formatEvent(event)
        if level == INFO and event.get("log_namespace") == "log_legacy" and _CHATTER.match(text):
            level = DEBUG
        if level < self._least:
            return
        fields: Fields = {"ns": str(event.get("log_namespace", "-")), "text": cut(text.strip(), _LONGEST_TEXT)}
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            fields["text"] = cut(text.strip() or failure.getErrorMessage(), _LONGEST_TEXT)
            fields[BELOW] = _end(failure.getTraceback(), _LONGEST_TRACEBACK)
        self._take(event["log_time"], level, "log", fields)


def _end(text: str, longest: int) -> str:
    """The last part: the error itself is at the end of a traceback."""
    return text if len(text) <= longest else "..." + text[-longest:]
