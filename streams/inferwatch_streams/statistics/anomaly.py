"""How unusual a value is beside its own past, by season: medians, which outages cannot pull.

What is expected is the median of the earlier values of the same season (the same time of day, or
of the week), or of all where there is no season. What is usual is the median error that the same
expectation made in the past, so that a noisy series needs more than a quiet one, and a season that
fits badly claims no more than it can. The score is Iglewicz and Hoaglin's modified z ("How to
Detect and Handle Outliers", ASQC 1993, who call values beyond 3.5 outliers): errors in units of
1.4826 times the median absolute error, which for normal errors is the standard deviation. Half of
the past may be outages before it gives way.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ERRORS: Final = 8
"""Past errors below which nothing can be called unusual."""
LARGEST_SCORE: Final = 1e6
"""Scores end here, so that a value beside a past that never moved still has a number."""
_NORMAL: Final = 1.4826


@dataclass(frozen=True, slots=True)
class Anomaly:
    """How unusual a value is.

    Attributes:
        score: Its distance from what was expected, in robust standard deviations, with its sign;
            NaN where the past is too short, or the value is missing.
        expected: What was expected; NaN where there is no past.
        lower: Below this, scores are beyond the threshold.
        upper: Above this.
    """

    score: float
    expected: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, eq=False)
class Anomalies:
    """As ``Anomaly``, one value a group."""

    score: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def robust_seasonal(
    history: NDArray[np.float64],
    now: float,
    *,
    period: int | None,
    threshold: float = 3.5,
    least_spread: float = 0.01,
) -> Anomaly:
    """Hold a value against the values before it.

    Args:
        history: Values at equal steps, oldest first, NaN where there is none, (n,); ``now`` is the
            next.
        now: The value to judge.
        period: Steps after which a season comes again; None where there is none.
        threshold: Score at which ``lower`` and ``upper`` lie.
        least_spread: The usual error is taken for at least this share of what is expected: a
            series that hardly moves, or quantiles of histograms (1.1 %), would else raise alarm at
            the first digit that changes.
    """
    found = robust_seasonals(
        np.asarray(history, np.float64)[np.newaxis],
        np.array([now], np.float64),
        period=period,
        threshold=threshold,
        least_spread=least_spread,
    )
    return Anomaly(
        float(found.score[0]),
        float(found.expected[0]),
        float(found.lower[0]),
        float(found.upper[0]),
    )


def robust_seasonals(
    history: NDArray[np.float64],
    now: NDArray[np.float64],
    *,
    period: int | None,
    threshold: float = 3.5,
    least_spread: float = 0.01,
) -> Anomalies:
    """As ``robust_seasonal`` for many groups at once; history is (groups, n), now (groups,)."""
    expected, errors = _expected(history, period)
    usual = _NORMAL * _medians(np.abs(errors))
    usual = np.where((~np.isnan(errors)).sum(axis=1) < LEAST_ERRORS, np.nan, usual)
    usual = np.maximum(usual, least_spread * np.abs(expected))
    error = now - expected
    with np.errstate(divide="ignore", invalid="ignore"):
        score = np.where((error == 0) & (usual == 0), 0.0, error / usual)
    score = np.clip(score, -LARGEST_SCORE, LARGEST_SCORE)
    return Anomalies(score, expected, expected - threshold * usual, expected + threshold * usual)


def _expected(
    history: NDArray[np.float64], period: int | None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is expected next, (groups,), and the errors of past expectations, (groups, m)."""
    if period is None:
        expected = _medians(history)
        return expected, history - expected[:, np.newaxis]
    # Whole seasons that end with the present, a row each; the value to judge begins the next.
    groups, n = history.shape
    rows = -(-n // period)
    padded = np.full((groups, rows * period), np.nan)
    padded[:, rows * period - n :] = history
    seasons = padded.reshape(groups, rows, period)
    errors = [
        seasons[:, row] - _medians(np.moveaxis(seasons[:, :row], 1, -1)) for row in range(1, rows)
    ]
    empty = np.empty((groups, 0))
    return _medians(seasons[:, :, 0]), np.concatenate(errors, axis=1) if errors else empty


def _medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median along the last axis of what is not NaN; NaN where there is nothing."""
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    with warnings.catch_warnings():
        # "All-NaN slice encountered": that is what NaN says.
        warnings.simplefilter("ignore", RuntimeWarning)
        result: NDArray[np.float64] = np.nanmedian(values, axis=-1)
    return result
