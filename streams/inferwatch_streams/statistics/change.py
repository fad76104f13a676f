"""Whether durations, scores or sizes are others than before: a test on two histograms.

The test is the log-rank test: bin by bin, of the events that are at least so large, it holds how
many of ``now`` stop there against how many would if both were alike. It needs no assumption about
the shape of the distribution, weighs the upper tail, where latency regresses, and is exact about
ties, of which histograms are made. Sources: N. Mantel, "Evaluation of survival data and two new
rank order statistics", Cancer Chemotherapy Reports 50 (1966); R. Peto and J. Peto,
"Asymptotically efficient rank invariant test procedures", JRSS A 135 (1972).

With many events even a change that nobody minds is certain, and events of one burst are not
independent of each other: hold the effect, not only the p-value, against a limit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Shift:
    """How one histogram differs from an earlier one.

    Attributes:
        statistic: Standard normal where both are of one distribution; above 0 where values grew.
        p_value: Of both sides: how likely so large a statistic is where nothing changed.
        effect: The quantile now over the quantile before: 1.2 is a fifth more. Infinite where it
            was 0, NaN where one of the two has no events.
    """

    statistic: float
    p_value: float
    effect: float


@dataclass(frozen=True, slots=True, eq=False)
class Shifts:
    """As ``Shift``, one value a group."""

    statistic: NDArray[np.float64]
    p_value: NDArray[np.float64]
    effect: NDArray[np.float64]


def histogram_shift(
    before: NDArray[np.int64], now: NDArray[np.int64], values: NDArray[np.float64], q: float = 0.5
) -> Shift:
    """Compare two histograms of the same bins.

    Args:
        before: Events of each bin, (bins,).
        now: The same of what is judged.
        values: What stands for each bin, ascending.
        q: Which quantile the effect is of, 0 to 1.
    """
    shifts = histogram_shifts(before[np.newaxis], now[np.newaxis], values, q)
    return Shift(float(shifts.statistic[0]), float(shifts.p_value[0]), float(shifts.effect[0]))


def histogram_shifts(
    before: NDArray[np.int64], now: NDArray[np.int64], values: NDArray[np.float64], q: float = 0.5
) -> Shifts:
    """As ``histogram_shift`` for many groups at once; counts are (groups, bins)."""
    ends_now = now.astype(np.float64)
    ends = ends_now + before
    at_risk_now, at_risk = _from_here_on(ends_now), _from_here_on(ends)
    # Of a bin that none reach, or only one event, nothing can be said.
    share = at_risk_now / np.maximum(at_risk, 1.0)
    fewer = ends * share - ends_now
    variance = ends * share * (1 - share) * (at_risk - ends) / np.maximum(at_risk - 1.0, 1.0)
    spread = np.sqrt(variance.sum(axis=1))
    statistic = np.divide(fewer.sum(axis=1), spread, out=np.zeros_like(spread), where=spread > 0)
    p_value = np.array([math.erfc(abs(z) / math.sqrt(2)) for z in statistic])
    return Shifts(
        statistic, p_value, _ratios(quantiles(before, values, q), quantiles(now, values, q))
    )


def quantiles(
    counts: NDArray[np.int64], values: NDArray[np.float64], q: float
) -> NDArray[np.float64]:
    """Nearest-rank quantile of each group, as ``blocks.histogram.quantile``; NaN without events.

    Args:
        counts: Events of each group and bin, (groups, bins).
        values: What stands for each bin, ascending.
        q: Between 0 and 1.
    """
    if not len(values):
        return np.full(len(counts), np.nan)
    below = counts.cumsum(axis=1)
    ranks = np.maximum(1, np.ceil(q * below[:, -1]))
    chosen = np.minimum((below < ranks[:, np.newaxis]).sum(axis=1), len(values) - 1)
    return np.where(below[:, -1] > 0, values[chosen], np.nan)


def on_common_bins(
    one: tuple[NDArray[np.int64], NDArray[np.float64]],
    other: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Two sets of histograms, each of counts (groups, bins) and values, brought to the same bins.

    Returns:
        Counts of the first, counts of the second, and values, ascending.
    """
    values = np.union1d(one[1], other[1])
    spread = []
    for counts, own in (one, other):
        widened = np.zeros((len(counts), len(values)), np.int64)
        widened[:, np.searchsorted(values, own)] = counts
        spread.append(widened)
    return spread[0], spread[1], values


def _from_here_on(ends: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.flip(np.flip(ends, axis=1).cumsum(axis=1), axis=1)


def _ratios(before: NDArray[np.float64], now: NDArray[np.float64]) -> NDArray[np.float64]:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((before == 0) & (now == 0), 1.0, now / before)
