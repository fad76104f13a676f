"""Burn rate: an error budget, or a budget of money, is used up too fast over two windows."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.configuration.durations import SECOND
from inferwatch_streams.rules.measure import Floats, Measure, share_above
from inferwatch_streams.rules.measures import MEASURES
from inferwatch_streams.statistics.burn_rate import burn_of_share, burn_of_spending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inferwatch_streams.rules.definition import BurnRate
    from inferwatch_streams.rules.finding import Finding
    from inferwatch_streams.rules.tick import Tick, Values
    from inferwatch_streams.statistics.burn_rate import BurnPair
    from inferwatch_streams.windows.reading import Totals

AVAILABILITY, MONEY = "availability", "money"
BOUNDED: Final = ("latency", "first_token")
"""Those whose good events keep to a bound."""
SLIS: Final[Mapping[str, str]] = {
    AVAILABILITY: "error_rate",
    "latency": "latency_p50",
    "first_token": "first_token_p50",
    "quality": "pass_rate",
    "quality_score": "quality_score",
    MONEY: "cost_usd_per_hour",
}
"""Service level indicators, each with a measure that is made of the same totals."""


@lru_cache(maxsize=4096)
def indicator(sli: str, bound: int) -> Measure:
    """The measure of a service level: the share of bad events, or what is spent an hour.

    Args:
        sli: A key of ``SLIS``.
        bound: What a good event of ``BOUNDED`` keeps to, in microseconds.
    """
    near = MEASURES[SLIS[sli]]
    if sli in {AVAILABILITY, MONEY}:
        return near

    def bad(totals: Totals, seconds: float) -> Floats:
        if sli in BOUNDED:
            return share_above(totals.histograms[near.fields[0]], bound / SECOND)
        return 1.0 - near.value(totals, seconds)

    return replace(near, name=f"bad {sli} {bound}", value=bad, unit="ratio")


def evaluate(rule: BurnRate, tick: Tick) -> list[Finding]:
    """Groups whose budget burns faster than a pair's factor over both its windows."""
    worst: dict[tuple[str, ...], tuple[float, Finding]] = {}
    for pair in rule.pairs:
        for group, finding in _burning(rule, pair, tick):
            # Of several pairs, the one that is exceeded most is told.
            excess = (finding.value or 0.0) / pair.factor
            if group not in worst or excess > worst[group][0]:
                worst[group] = excess, finding
    return [finding for _, finding in worst.values()]


def _burning(rule: BurnRate, pair: BurnPair, tick: Tick) -> list[tuple[tuple[str, ...], Finding]]:
    long, short = _burn(rule, pair.long, tick), _burn(rule, pair.short, tick)
    positions = tick.selections.positions(long.groups, short.groups)
    # What is not there has position -1, the last.
    short_burn = np.append(short.value, np.nan)[positions]
    both = (long.value > pair.factor) & (short_burn > pair.factor)
    return [
        (
            long.groups[index],
            long.finding(
                rule,
                index,
                pair.factor,
                long=pair.long / SECOND,
                short=pair.short / SECOND,
                long_burn=float(long.value[index]),
                short_burn=float(short_burn[index]),
            ),
        )
        for index in long.indexes(both, rule.min_samples)
    ]


def _burn(rule: BurnRate, window: int, tick: Tick) -> Values:
    measure = indicator(rule.sli, rule.bound)
    values = tick.values(measure, tick.until_now(window), rule.by, rule.where)
    if rule.sli == MONEY:
        return replace(values, value=burn_of_spending(values.value, rule.budget_usd, rule.period))
    return replace(values, value=burn_of_share(values.value, rule.objective))
