"""``inferwatch rules backtest``: what rules would have fired on stored aggregates."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from inferwatch import options, tables
from inferwatch.commands.query import reached
from inferwatch.errors import CommandError
from inferwatch.stored_aggregates import first_window, stored_rows
from inferwatch_clickhouse.client import ClickHouse
from inferwatch_schemas.instants import moment_text, now_micros
from inferwatch_streams.backtest.chunks import PastWindows
from inferwatch_streams.backtest.episode import Episode
from inferwatch_streams.backtest.labels import moment_of, read_incidents
from inferwatch_streams.backtest.reach import reach
from inferwatch_streams.backtest.replay import Replay, replay
from inferwatch_streams.backtest.scoring import KnownIncident, Score, score
from inferwatch_streams.configuration.durations import SECOND, duration
from inferwatch_streams.rules.reading import default_rules, read_rules
from inferwatch_streams.signals import WINDOW_SECONDS

_SLOT = WINDOW_SECONDS * SECOND
_TIME = "2026-11-24T22:00, in UTC unless it names a zone; or how long ago, as in 2h"


@options.expanded
def backtest(  # noqa: PLR0913  # an option is a parameter
    *,
    from_: Annotated[str, typer.Option("--from", metavar="TIME", help=f"First tick: {_TIME}.")],
    to: Annotated[
        str, typer.Option("--to", metavar="TIME", help="Last tick; the present when absent.")
    ] = "0s",
    rules: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A file of rules; those that are shipped when absent."),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Incidents that were, as CSV: start, end, and any of name, rule, severity and "
            "labels that episodes must have.",
        ),
    ] = None,
    step: Annotated[
        str,
        typer.Option(metavar="TIME", help="From tick to tick, in whole windows of 10s."),
    ] = f"{WINDOW_SECONDS}s",
    grace: Annotated[
        str,
        typer.Option(
            metavar="TIME",
            help="An episode that fires so long after the end of an incident is still of it: "
            "windows look back.",
        ),
    ] = "2m",
    data: options.DataDir = None,
    clickhouse: options.ClickHouse,
) -> None:
    """Show what rules would have fired in the past, from the aggregates in ClickHouse.

    The same code as live reads the windows, evaluates the rules and takes their alerts from pending
    to resolved. With --labels it is scored: an episode matches an incident if it has its labels and
    fires between its start and end, or within --grace after; precision is the share of episodes
    that match any, recall the share of incidents that any matches, and delay what passed from the
    start until one fired.
    """
    now = now_micros()
    start, every = _moment(from_, "--from", now), _step(step)
    # Of what is to come nothing is known.
    end = min(now, _moment(to, "--to", now))
    if end < start:
        raise typer.BadParameter("It is before --from.", param_hint="--to")
    chosen = default_rules() if rules is None else read_rules(rules)
    late = _length(grace, "--grace")
    incidents = [] if labels is None else read_incidents(labels)
    incidents = [replace(each, end=each.end + late) for each in incidents]
    with reached(data, clickhouse) as settings, contextlib.closing(ClickHouse(settings)) as asked:
        first = first_window(asked)
        if first is None or first >= end:
            raise CommandError("ClickHouse has no aggregates before --to.")
        # Before it there is nothing to look at, however far back --from is.
        ticks = range(-(-max(start, first) // _SLOT) * _SLOT, end + 1, every)
        begin = max(first, ticks.start - reach(chosen)) // _SLOT * _SLOT
        past = PastWindows(stored_rows(asked, begin, end))
        seen = replay(chosen, past.at, ticks)
    _show(seen, ticks)
    if labels is not None:
        _show_score(seen.episodes, incidents, (start, end))


def _show(seen: Replay, ticks: range) -> None:
    until = ticks[-1] if ticks else ticks.start
    tables.show(
        ("rule", "severity", "labels", "fired at", "for", "peak", "threshold"),
        [_row(episode, until) for episode in seen.episodes],
    )
    typer.echo(f"{len(seen.episodes)} episodes in {seen.ticks} ticks.")
    for name, reason in seen.failures.items():
        typer.echo(f"{name} was not evaluated: {reason}", err=True)


def _row(episode: Episode, until: int) -> tuple[str, ...]:
    lasted = (episode.until(until) - episode.fired_at) // SECOND
    still = " and on" if episode.resolved_at is None else ""
    return (
        episode.rule,
        episode.severity,
        ", ".join(f"{name}={value}" for name, value in sorted(episode.labels.items())),
        moment_text(episode.fired_at),
        f"{lasted}s{still}",
        _number(episode.peak),
        _number(episode.threshold),
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


def _show_score(
    episodes: Sequence[Episode],
    incidents: list[KnownIncident],
    span: tuple[int, int],
) -> None:
    inside = [each for each in incidents if each.start <= span[1] and each.end >= span[0]]
    if len(inside) < len(incidents):
        typer.echo(
            f"{len(incidents) - len(inside)} of {len(incidents)} incidents are outside of the time "
            "that was looked at, and not counted.",
            err=True,
        )
    names = sorted({episode.rule for episode in episodes})
    rows = [_score_row("all", score(episodes, inside))]
    rows += [
        _score_row(name, score([each for each in episodes if each.rule == name], inside))
        for name in names
    ]
    typer.echo()
    tables.show(
        ("rules", "true", "false", "found", "missed", "precision", "recall", "median delay"), rows
    )
    missed = score(episodes, inside).missed
    if missed:
        typer.echo(f"Missed: {', '.join(missed)}.")


def _score_row(name: str, found: Score) -> tuple[str, ...]:
    delay = found.median_delay
    return (
        name,
        str(found.true_episodes),
        str(found.false_episodes),
        str(len(found.delays)),
        str(len(found.missed)),
        f"{found.precision:.3f}",
        f"{found.recall:.3f}",
        "" if delay is None else f"{delay / SECOND:.0f}s",
    )


def _moment(text: str, option: str, now: int) -> int:
    with contextlib.suppress(ValueError):
        return now - duration(text)
    try:
        return moment_of(text)
    except ValueError as error:
        raise typer.BadParameter(
            f"{text!r} is no time; write as in {_TIME}.", param_hint=option
        ) from error


def _length(text: str, option: str) -> int:
    try:
        return duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def _step(text: str) -> int:
    step = _length(text, "--step")
    if not step or step % _SLOT:
        raise typer.BadParameter(
            f"{text} is no multiple of {WINDOW_SECONDS}s.", param_hint="--step"
        )
    return step
