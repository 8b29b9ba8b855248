"""``smtpgw stats``: the counters of a running gateway."""

from collections.abc import Iterator, Mapping

import click

from smtpgw.cli.output import PAUSED, json_option, print_json, print_pairs, time_text
from smtpgw.cli.target import Target
from smtpgw.config.durations import duration_text


@click.command()
@json_option
@click.pass_obj
def stats(target: Target, as_json: bool) -> None:
    """Print what the running gateway has counted since it started."""
    found = target.call("stats", {})
    if as_json:
        print_json(found)
        return
    found = dict(found)
    if found.pop("paused", False):
        click.echo(PAUSED)
    started_at = found.pop("started_at", None)
    pairs: list[tuple[str, object]] = []
    if started_at is not None:
        pairs.append(("running since", f"{time_text(started_at)} ({duration_text(target.clock.time() - started_at)})"))
    print_pairs([*pairs, *_flat(_grouped(found))])


def _grouped(counters: Mapping[str, object]) -> dict[str, object]:
    """Those of the same first word together, so that the refusals of each stage stand below their sum."""
    words = [name.partition("_")[0] for name in counters]
    return dict(sorted(counters.items(), key=lambda item: words.index(item[0].partition("_")[0])))


def _flat(counters: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in counters.items():
        label = f"{prefix}{name}".replace("_", " ")
        if isinstance(value, Mapping):
            yield from _flat(value, f"{label}: ")
        else:
            yield label, f"{value:g}" if isinstance(value, float) else value
