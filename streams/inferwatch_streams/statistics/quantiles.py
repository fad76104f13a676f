"""Quantiles of what is known among values some of which are missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def known_quantile(values: NDArray[np.float64], q: float) -> NDArray[np.float64]:
    """Quantile along the last axis of what is not NaN; NaN where nothing is.

    As ``numpy.nanquantile`` (linear between two values), which loops over rows in Python.
    """
    if not values.shape[-1]:
        return np.full(values.shape[:-1], np.nan)
    ordered = np.sort(values, axis=-1)
    last = (~np.isnan(ordered)).sum(axis=-1, keepdims=True) - 1
    place = q * np.maximum(last, 0)
    below = np.floor(place).astype(np.int64)
    above = np.minimum(below + 1, np.maximum(last, 0))
    low = np.take_along_axis(ordered, below, axis=-1)
    high = np.take_along_axis(ordered, above, axis=-1)
    found: NDArray[np.float64] = low + (high - low) * (place - below)
    return found[..., 0]
