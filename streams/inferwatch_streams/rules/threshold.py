"""Threshold: a measure over a window is above, or below, a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.configuration.durations import SECOND
from inferwatch_streams.rules.measures import MEASURES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.rules.definition import Threshold
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.rules.tick import Tick, Values


def evaluate(rule: Threshold, tick: Tick) -> list[Finding]:
    """Groups whose value is beyond the limit."""
    values = tick.measured(rule.measure, tick.until_now(rule.window), rule.by, rule.where)
    # NaN, which stands for no value, is neither above nor below.
    beyond = values.value > rule.limit if rule.above else values.value < rule.limit
    if not rule.above and MEASURES[rule.measure].grows and beyond.any():
        beyond = beyond & _filled(rule, tick, values)
    return [
        values.finding(rule, index, rule.limit, window=rule.window / SECOND)
        for index in values.indexes(beyond, rule.min_samples)
    ]


def _filled(rule: Threshold, tick: Tick, values: Values) -> NDArray[np.bool_]:
    """Groups that talked before the window: what is new has less in it than it will have."""
    earlier = tick.earlier_events(
        MEASURES[rule.measure].signal, tick.until_now(rule.window).start, rule.by, rule.where
    )
    positions = tick.selections.positions(values.groups, earlier.groups)
    # What is not there has position -1, the last.
    filled: NDArray[np.bool_] = np.append(earlier.samples, 0.0)[positions] > 0
    return filled
