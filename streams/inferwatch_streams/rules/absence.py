"""Absence: a group stopped talking, or one that is named never came."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_streams.configuration.durations import SECOND
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.measure import SIGNALS
from inferwatch_streams.rules.measures import events
from inferwatch_streams.rules.spans import SLOT
from inferwatch_streams.rules.tick import labels_of

if TYPE_CHECKING:
    from inferwatch_streams.rules.definition import Absence
    from inferwatch_streams.rules.tick import Tick


def named_group(rule: Absence) -> tuple[str, ...] | None:
    """The one group that ``where`` names by a value for each dimension; None if it does not."""
    named = {matcher.name: matcher.value for matcher in rule.where if matcher.operator == "="}
    if any(name not in named for name in rule.by):
        return None
    return tuple(named[name] for name in rule.by)


def evaluate(rule: Absence, tick: Tick) -> list[Finding]:
    """Groups that have been silent for so long, and are not given up."""
    seen = tick.last_seen(rule.signal, rule.by, rule.where)
    named = named_group(rule)
    # The newest window may have had its last event at its end.
    silent = tick.at - seen.starts - SLOT
    mute = silent >= rule.silent_for
    if named is None:
        mute &= silent <= rule.past
    indexes = seen.chosen[mute[seen.chosen]].tolist()
    events_of = _events(rule, tick) if indexes and rule.min_samples else None
    found = []
    for index in indexes:
        group = seen.groups[index]
        samples = None if events_of is None else events_of.get(group, 0)
        if samples is None or samples >= rule.min_samples:
            found.append(_finding(rule, group, silent[index] / SECOND, samples))
    if named is not None and not len(seen.chosen) and _known_for(rule.silent_for, tick):
        found.append(_finding(rule, named, None, None))
    return found


def _known_for(length: int, tick: Tick) -> bool:
    """Whether anything at all is known of so long ago: of a new pipeline nobody is missing yet."""
    return any(tick.earlier_events(signal, tick.at - length).samples.any() for signal in SIGNALS)


def _events(rule: Absence, tick: Tick) -> dict[tuple[str, ...], int]:
    """How many events each group had in the past that is looked at."""
    span = tick.until_now(rule.past)
    values = tick.values(events(rule.signal), span, rule.by, rule.where)
    return dict(zip(values.groups, values.samples.astype(int).tolist(), strict=True))


def _finding(
    rule: Absence, group: tuple[str, ...], silent: float | None, samples: int | None
) -> Finding:
    return Finding(
        labels=labels_of(rule, rule.by, group),
        value=None if silent is None else float(silent),
        threshold=rule.silent_for / SECOND,
        samples=samples,
        details={"silent_for": rule.silent_for / SECOND},
    )
