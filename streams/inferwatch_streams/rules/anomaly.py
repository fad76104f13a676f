"""Anomaly: a measure is unlike its own past, at the same time of the day or week if it has one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.rules.series import series
from inferwatch_streams.rules.spans import whole_spans
from inferwatch_streams.statistics.anomaly import robust_seasonals
from inferwatch_streams.statistics.shares import unusual_shares

if TYPE_CHECKING:
    from inferwatch_streams.rules.definition import Anomaly
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.rules.series import Series
    from inferwatch_streams.rules.tick import Tick
    from inferwatch_streams.statistics.anomaly import Anomalies

BOTH, ABOVE, BELOW = "both", "above", "below"


def evaluate(rule: Anomaly, tick: Tick) -> list[Finding]:
    """Groups whose newest whole window is further from what was expected than their past was."""
    spans = whole_spans(tick.at, rule.window, rule.history // rule.window + 1)
    found = series(tick, rule.measure, spans, rule.by, rule.where)
    judged = _judged(rule, found)
    away = np.abs(found.newest.value - judged.expected)
    changed = away >= rule.least_change * np.abs(judged.expected)
    above = (judged.score >= rule.score) & (found.newest.value >= rule.at_least)
    above &= rule.direction != BELOW
    below = (judged.score <= -rule.score) & (rule.direction != ABOVE)
    # A group that fell silent has no events now: what it had counts, too.
    usual = np.maximum(found.newest.samples, np.median(found.samples[:, :-1], axis=1))
    known = replace(found.newest, samples=usual)
    return [
        known.finding(
            rule,
            index,
            float(judged.upper[index] if judged.score[index] > 0 else judged.lower[index]),
            expected=float(judged.expected[index]),
            lower=float(judged.lower[index]),
            upper=float(judged.upper[index]),
            score=float(judged.score[index]),
        )
        for index in known.indexes((above | below) & changed, rule.min_samples)
    ]


def _judged(rule: Anomaly, found: Series) -> Anomalies:
    measure = MEASURES[rule.measure]
    period = rule.season // rule.window or None
    if measure.distribution is not None and measure.quantile is None and period is None:
        # A share that was 0 for hours has no spread: it is judged by how many events it is of.
        ones = np.nan_to_num(found.values * found.samples)
        return unusual_shares(
            ones[:, :-1],
            found.samples[:, :-1],
            ones[:, -1],
            found.samples[:, -1],
            threshold=rule.score,
        )
    return robust_seasonals(
        found.values[:, :-1], found.values[:, -1], period=period, threshold=rule.score
    )
