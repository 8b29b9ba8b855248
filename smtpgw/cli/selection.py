"""Which messages a verb is about: ids and conditions, all of which must hold."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click
from msgspec import Struct

from smtpgw.config.durations import parse_duration
from smtpgw.model.queue_id import parse_queue_id, queue_id_text

F = TypeVar("F", bound=Callable[..., Any])

STATES = ("queued", "held")


class _QueueId(click.ParamType):  # type: ignore[type-arg] # generic only in newer versions
    name = "ID"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return parse_queue_id(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class _Duration(click.ParamType):  # type: ignore[type-arg] # likewise
    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


QUEUE_ID = _QueueId()


class Selection(Struct, frozen=True):
    """
    What the options said. Patterns may have ``*`` and ``?`` in them.

    :ivar site: pattern of the recipient's domain.
    :ivar reason: part of the last reason.
    """

    ids: tuple[int, ...] = ()
    reverse_path: str | None = None
    recipient: str | None = None
    site: str | None = None
    state: str | None = None
    older_than_seconds: float | None = None
    reason: str | None = None

    @property
    def is_everything(self) -> bool:
        """Whether nothing was said."""
        return self == Selection()

    def arguments(self) -> dict[str, Any]:
        """As the control socket takes it: what was said, ids as text."""
        said = {name: getattr(self, name) for name in self.__struct_fields__[1:]}
        found: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
        if self.ids:
            found["ids"] = [queue_id_text(queue_id) for queue_id in self.ids]
        return found


def selector(function: F) -> F:
    """Give a verb the ids and options of a SELECTOR; it gets them as ``selection``."""

    @wraps(function)  # with the options that click has noted on it already
    def collected(*arguments: Any, **options: Any) -> Any:
        selection = Selection(
            ids=options.pop("ids"),
            reverse_path=options.pop("reverse_path"),
            recipient=options.pop("recipient"),
            site=options.pop("site"),
            state=options.pop("state"),
            older_than_seconds=options.pop("older"),
            reason=options.pop("reason"),
        )
        return function(*arguments, selection=selection, **options)

    for decorate in (
        click.option("--reason", metavar="TEXT", help="Part of the last reason."),
        click.option("--older", type=_Duration(), help="Received at least so long ago: 90s, 5m, 4h, 2d."),
        click.option("--state", type=click.Choice(STATES)),
        click.option("--site", metavar="PATTERN", help="The recipient's domain; * and ? stand for anything."),
        click.option("--to", "recipient", metavar="PATTERN", help="The recipient's address."),
        click.option("--from", "reverse_path", metavar="PATTERN", help="The reverse path; <> is the null one."),
        click.argument("ids", nargs=-1, type=QUEUE_ID, metavar="[ID]..."),
    ):
        collected = decorate(collected)
    return collected  # type: ignore[return-value] # the same verb with other options
