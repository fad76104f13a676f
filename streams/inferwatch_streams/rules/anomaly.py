"""Anomaly: a measure is unlike its own past, at the same time of the day or week if it has one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from inferwatch_streams.rules.series import series
from inferwatch_streams.rules.spans import whole_spans
from inferwatch_streams.statistics.anomaly import robust_seasonals

if TYPE_CHECKING:
    from inferwatch_streams.rules.definition import Anomaly
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.rules.tick import Tick

BOTH, ABOVE, BELOW = "both", "above", "below"


def evaluate(rule: Anomaly, tick: Tick) -> list[Finding]:
    """Groups whose newest whole window is further from what was expected than their past was."""
    spans = whole_spans(tick.at, rule.window, rule.history // rule.window + 1)
    found = series(tick, rule.measure, spans, rule.by, rule.where)
    judged = robust_seasonals(
        found.values[:, :-1],
        found.values[:, -1],
        period=rule.season // rule.window or None,
        threshold=rule.score,
    )
    above = (judged.score >= rule.score) & (rule.direction != BELOW)
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
        for index in known.indexes(above | below, rule.min_samples)
    ]
