"""When a level will reach a limit: a robust line through its past.

The slope is the median of the slopes of all pairs of points (Theil 1950; P. K. Sen, "Estimates of
the regression coefficient based on Kendall's tau", JASA 63, 1968): up to 29 % of the points may be
wrong before it gives way. A level that only fluctuates is on no way: pairs that rise have to
outnumber those that fall beyond what chance gives (H. B. Mann, "Nonparametric tests against
trend", Econometrica 13, 1945; M. G. Kendall, "Rank Correlation Methods", 1975, for ties).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_POINTS: Final = 500
"""Of more points, so many are taken, evenly: pairs grow with the square."""
_CERTAIN: Final = 1.6449
"""Standard normal quantile of 95 %, one side."""


def time_to(
    times_seconds: NDArray[np.float64],
    values: NDArray[np.float64],
    limit: float,
    *,
    rising: bool = True,
) -> float | None:
    """Seconds from the last point until the limit is reached; 0.0 where it is already.

    Args:
        times_seconds: When each value was, ascending; any origin.
        values: The level; points that are NaN or infinite are left out.
        limit: The level to reach.
        rising: Whether the limit is reached from below (used memory), or from above (free memory).

    Returns:
        None where the level is not on the way: it stands, moves off, only fluctuates, or has fewer
        than four points, which cannot tell.
    """
    usable = np.isfinite(values) & np.isfinite(times_seconds)
    times, levels = times_seconds[usable], values[usable]
    if len(times) > MOST_POINTS:
        chosen = np.linspace(0, len(times) - 1, MOST_POINTS).round().astype(np.int64)
        times, levels = times[chosen], levels[chosen]
    if not rising:
        levels, limit = -levels, -limit
    if len(levels) and levels[-1] >= limit:
        return 0.0
    slope = _certain_slope(times, levels)
    if slope is None or slope <= 0:
        return None
    level = float(np.median(levels - slope * (times - times[-1])))
    return max(0.0, (limit - level) / slope)


def _certain_slope(times: NDArray[np.float64], levels: NDArray[np.float64]) -> float | None:
    """Theil-Sen's slope where Mann-Kendall's test is certain that levels rise."""
    first, second = np.triu_indices(len(times), k=1)
    apart = times[second] - times[first]
    first, second, apart = first[apart > 0], second[apart > 0], apart[apart > 0]
    if not len(apart):
        return None
    risen = levels[second] - levels[first]
    n = len(levels)
    _, ties = np.unique(levels, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
    excess = float(np.sign(risen).sum()) - 1
    if variance <= 0 or excess < _CERTAIN * math.sqrt(variance):
        return None
    return float(np.median(risen / apart))
