"""Quantiles of what is known among values some of which are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def known_quantiles(values: NDArray[np.float64], *qs: float) -> list[NDArray[np.float64]]:
    """Quantiles along the last axis of what is not NaN; NaN where nothing is.

    As ``numpy.nanquantile`` (linear between two values), which loops over rows in Python.
    """
    if not values.shape[-1]:
        return [np.full(values.shape[:-1], np.nan) for _ in qs]
    ordered = np.sort(values, axis=-1)
    last = np.maximum((~np.isnan(ordered)).sum(axis=-1, keepdims=True) - 1, 0)
    return [_between(ordered, q * last, last) for q in qs]


def _between(
    ordered: NDArray[np.float64], place: NDArray[np.float64], last: NDArray[np.int64]
) -> NDArray[np.float64]:
    below = np.floor(place).astype(np.int64)
    low = np.take_along_axis(ordered, below, axis=-1)
    high = np.take_along_axis(ordered, np.minimum(below + 1, last), axis=-1)
    found: NDArray[np.float64] = low + (high - low) * (place - below)
    return found[..., 0]
