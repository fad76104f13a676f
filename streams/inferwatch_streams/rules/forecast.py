"""Forecast: a measure is on its way to a limit that it must not reach."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.configuration.durations import SECOND
from inferwatch_streams.rules.series import series
from inferwatch_streams.rules.spans import Span, slot_at, whole_spans
from inferwatch_streams.statistics.forecast import time_to

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from inferwatch_streams.rules.definition import Forecast
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.rules.measure import Floats
    from inferwatch_streams.rules.tick import Tick

POINTS: Final = 24
"""Of the line through the window, about."""


def step_of(window: int) -> int:
    """Length of the spans that a window is cut into: whole slots."""
    slot = slot_at(window)
    return max(slot, round(window / POINTS / slot) * slot)


def evaluate(rule: Forecast, tick: Tick) -> list[Finding]:
    """Groups that would reach the limit in time."""
    step = step_of(rule.window)
    spans = whole_spans(tick.at, step, max(1, rule.window // step))
    if spans[-1].end < tick.at:
        spans.append(Span(spans[-1].end, tick.at))
    found = series(tick, rule.measure, spans, rule.by, rule.where)
    times = np.array([(span.start + span.end) / 2 / SECOND for span in spans])
    known = replace(found.newest, value=newest(found.values), samples=found.samples.sum(axis=1))
    findings = []
    for index in known.indexes(_may_be(found.values, known.value, rule), rule.min_samples):
        left = time_to(times, found.values[index], rule.limit, rising=rule.rising)
        if left is not None and left * SECOND <= rule.within:
            findings.append(known.finding(rule, index, rule.limit, left=left))
    return findings


def newest(values: Floats) -> Floats:
    """The newest value of each group; NaN where there is none."""
    found = np.full(len(values), np.nan)
    for column in values.T:
        found = np.where(np.isnan(column), found, column)
    return found


def _may_be(values: Floats, now: Floats, rule: Forecast) -> NDArray[np.bool_]:
    """Groups for which ``time_to`` may tell a time: there already, or moving the right way."""
    way = 1.0 if rule.rising else -1.0
    steps = np.sign(values[:, np.newaxis, :] - values[:, :, np.newaxis])
    moves = way * np.nansum(np.triu(steps, k=1), axis=(1, 2))
    allowed: NDArray[np.bool_] = (moves > 0) | (way * now >= way * rule.limit)
    return allowed
