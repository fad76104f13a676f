"""Change: the distribution of a measure is another than before, or than another version's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.configuration.durations import SECOND
from inferwatch_streams.rules.finding import Finding
from inferwatch_streams.rules.tick import labels_of
from inferwatch_streams.statistics.change import (
    histogram_shifts,
    on_common_bins,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from inferwatch_streams.rules.definition import Change
    from inferwatch_streams.rules.distributions import Distributions
    from inferwatch_streams.rules.measure import Floats
    from inferwatch_streams.rules.selections import Groups, Indexes
    from inferwatch_streams.rules.tick import Tick


def evaluate(rule: Change, tick: Tick) -> list[Finding]:
    """Groups whose value changed by more than a factor, where the test is sure that it did."""
    now = tick.distributions(rule.measure, tick.until_now(rule.window), rule.by, rule.where)
    before = _before(rule, tick, now)
    others = _compared(rule, tick, now, before)
    least = max(rule.min_samples, 1)
    meant = (others >= 0) & (now.samples >= least)
    pairs = np.flatnonzero(meant) if now.chosen is None else now.chosen[meant[now.chosen]]
    pairs = pairs[before.samples[others[pairs]] >= least]
    old = others[pairs]
    factor = _factors(before.value[old], now.value[pairs])
    moved = (factor >= rule.increase) & (now.value[pairs] >= rule.at_least)
    moved |= factor <= rule.decrease
    pairs, old, factor = pairs[moved], old[moved], factor[moved]
    if not len(pairs):
        return []
    shifts = histogram_shifts(
        *on_common_bins((before.counts[old], before.bins), (now.counts[pairs], now.bins))
    )
    # Values may have grown while the quantile fell, where the two are of different shapes.
    sure = (shifts.p_value <= rule.p_value) & ((shifts.statistic > 0) == (factor > 1))
    return [
        _finding(rule, (now, int(pairs[k])), (before, int(old[k])), float(shifts.p_value[k]))
        for k in np.flatnonzero(sure)
    ]


def _before(rule: Change, tick: Tick, now: Distributions) -> Distributions:
    """What is compared with."""
    if rule.against.dimension is not None and rule.against.value is not None:
        return now
    span = tick.earlier(rule.against.past, rule.window)
    return tick.distributions(rule.measure, span, rule.by, rule.where)


def _compared(rule: Change, tick: Tick, now: Distributions, before: Distributions) -> Indexes:
    """Which group each one is compared with; -1 for none."""
    against = rule.against
    if against.dimension is None:
        return tick.selections.positions(now.groups, before.groups)
    at = rule.by.index(against.dimension)
    if against.value is not None:
        return tick.selections.found(
            ("beside", at, against.value),
            (now.groups,),
            lambda: np.fromiter(_beside(now.groups, at, against.value or ""), np.intp),
        )
    return _predecessors(now, before, at, max(rule.min_samples, 1))


def _beside(groups: Groups, at: int, value: str) -> Iterable[int]:
    """Where the group stands that differs in one dimension, in which it has a given value."""
    standing = {group: index for index, group in enumerate(groups)}
    for group in groups:
        other = (*group[:at], value, *group[at + 1 :])
        yield -1 if other == group else standing.get(other, -1)


def _predecessors(now: Distributions, before: Distributions, at: int, least: int) -> Indexes:
    """The group whose place each one took; -1 for none.

    That is the one that had most events there before, where the group itself had few, and that has
    fewer than the group now: two that serve side by side replace each other in nothing.
    """
    present = dict(zip(now.groups, now.samples.tolist(), strict=True))
    past = dict(zip(before.groups, before.samples.tolist(), strict=True))
    leaders: dict[tuple[str, ...], tuple[int, int, tuple[str, ...]]] = {}
    for index, (group, samples) in enumerate(past.items()):
        place = (*group[:at], *group[at + 1 :])
        leaders[place] = max(leaders.get(place, (0, 0, ())), (samples, -index, group))

    def predecessor(group: tuple[str, ...]) -> int:
        samples, index, leader = leaders.get((*group[:at], *group[at + 1 :]), (0, 0, ()))
        new = past.get(group, 0) < least <= samples
        return -index if new and present.get(leader, 0) < present[group] else -1

    return np.fromiter(map(predecessor, now.groups), np.intp)


def _factors(before: Floats, now: Floats) -> Floats:
    """How many times as much; where both are 0, as much."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((before == 0) & (now == 0), 1.0, now / before)


def _finding(
    rule: Change, new: tuple[Distributions, int], old: tuple[Distributions, int], p_value: float
) -> Finding:
    (now, index), (before, other) = new, old
    value, was = float(now.value[index]), float(before.value[other])
    factor = rule.increase if value > was else rule.decrease
    at = None if rule.against.dimension is None else rule.by.index(rule.against.dimension)
    return Finding(
        labels=labels_of(rule, rule.by, now.groups[index]),
        value=value,
        threshold=was * factor,
        samples=int(now.samples[index]),
        details={
            "window": rule.window / SECOND,
            "before": was,
            # JSON has no infinity.
            "factor": value / was if was else None,
            "p_value": p_value,
            "samples_before": int(before.samples[other]),
            "other": None if at is None else before.groups[other][at],
        },
    )
