"""How unusual a share is beside its own past: errors of requests, passed of judged.

A share of few events says little, and one that was 0 a thousand times has no spread to measure by:
a distance in standard deviations of the past fails for both. Here the past gives a band of shares
that are usual, its quartiles, so that a quarter of it may be outages. The score says how unlikely
the count would be if the true share were at the edge of that band that is nearest: it is the signed
root of the binomial's deviance, which is close to a standard normal deviate also far out and for
few events (P. McCullagh and J. A. Nelder, "Generalized Linear Models", 2nd edition 1989, 2.4.3).
A service that never fails thus raises alarm at three failures of a hundred calls, and one that
fluctuates between one and two percent does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from inferwatch_streams.statistics.anomaly import LEAST_ERRORS, Anomalies
from inferwatch_streams.statistics.quantiles import known_quantiles

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_LOWER, _UPPER = 0.25, 0.75
_HALVINGS: Final = 30


def unusual_shares(
    ones: Floats, totals: Floats, now: Floats, total: Floats, *, threshold: float = 3.5
) -> Anomalies:
    """Hold shares against those of earlier windows, for many groups at once.

    Args:
        ones: Events of the kind in each earlier window, (groups, n).
        totals: All events in each; windows without events say nothing.
        now: Events of the kind in what is judged, (groups,).
        total: All events in it.
        threshold: Score at which ``lower`` and ``upper`` lie.

    Returns:
        Scores: 0 within the usual band, NaN without events or with a past of fewer than eight
        windows. ``expected`` is the median of the past shares; a share below ``lower`` or above
        ``upper``, of as many events, has a score beyond the threshold.
    """
    low, expected, high = _band(ones, totals)
    return Anomalies(
        _scores(low, high, now, total),
        expected,
        _reached(low, np.zeros_like(low), total, threshold),
        _reached(high, np.ones_like(high), total, threshold),
    )


def share_scores(ones: Floats, totals: Floats, now: Floats, total: Floats) -> Floats:
    """The scores alone: what else ``unusual_shares`` tells takes ten times as long."""
    low, _, high = _band(ones, totals)
    return _scores(low, high, now, total)


def _band(ones: Floats, totals: Floats) -> tuple[Floats, Floats, Floats]:
    """Lowest usual share, median and highest; NaN where too little is known."""
    shares = np.divide(ones, totals, out=np.full(ones.shape, np.nan), where=totals > 0)
    shares[(~np.isnan(shares)).sum(axis=1) < LEAST_ERRORS] = np.nan
    low, expected, high = known_quantiles(shares, _LOWER, 0.5, _UPPER)
    # Of so many events, a share nearer to 0 or 1 could not have been told from it.
    least = 1 / (totals.sum(axis=1) + 2)
    return np.clip(low, None, 1 - least), expected, np.clip(high, least, None)


def _scores(low: Floats, high: Floats, now: Floats, total: Floats) -> Floats:
    share = np.divide(now, total, out=np.full(now.shape, np.nan), where=total > 0)
    above = np.maximum(_deviate(share, total, high), 0.0)
    scores: Floats = above + np.minimum(_deviate(share, total, low), 0.0)
    return scores


def _deviate(share: Floats, total: Floats, true: Floats) -> Floats:
    """Signed root of the deviance of shares of so many events, where the true shares are given."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ones = np.where(share > 0, share * np.log(share / true), 0.0 * share * true)
        others = np.where(
            share < 1, (1 - share) * np.log((1 - share) / (1 - true)), 0.0 * share * true
        )
    deviates: Floats = np.sign(share - true) * np.sqrt(2 * total * np.maximum(ones + others, 0.0))
    return deviates


def _reached(inside: Floats, outside: Floats, total: Floats, threshold: float) -> Floats:
    """The share between two at which the score beside the first reaches the threshold."""
    edge, beyond = inside, outside
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        within = np.abs(_deviate(middle, total, edge)) < threshold
        inside, outside = np.where(within, middle, inside), np.where(within, outside, middle)
    return np.where(
        np.isnan(edge), np.nan, np.clip(inside, np.minimum(edge, beyond), np.maximum(edge, beyond))
    )
