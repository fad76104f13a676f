"""Threshold: a measure over a window is above, or below, a limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from inferwatch_streams.configuration.durations import SECOND

if TYPE_CHECKING:
    from inferwatch_streams.rules.definition import Threshold
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.rules.tick import Tick


def evaluate(rule: Threshold, tick: Tick) -> list[Finding]:
    """Groups whose value is beyond the limit."""
    values = tick.measured(rule.measure, tick.until_now(rule.window), rule.by, rule.where)
    # NaN, which stands for no value, is neither above nor below.
    beyond = values.value > rule.limit if rule.above else values.value < rule.limit
    return [
        values.finding(rule, index, rule.limit, window=rule.window / SECOND)
        for index in values.indexes(beyond, rule.min_samples)
    ]
