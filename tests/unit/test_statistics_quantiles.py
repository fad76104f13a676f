"""Quantiles of what is known, beside numpy's."""

import math
import warnings

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.statistics.quantiles import known_quantiles

ROWS = st.integers(0, 9).flatmap(
    lambda n: st.lists(
        st.lists(st.one_of(st.floats(-1e6, 1e6), st.just(math.nan)), min_size=n, max_size=n),
        min_size=1,
        max_size=4,
    )
)


@settings(max_examples=50)
@given(rows=ROWS, q=st.floats(0, 1))
def test_quantiles_are_those_of_numpy(rows: list[list[float]], q: float) -> None:
    """With values missing, and with none."""
    values = np.array(rows, np.float64)
    with warnings.catch_warnings():
        # Of nothing, numpy warns and answers NaN.
        warnings.simplefilter("ignore", RuntimeWarning)
        expected = np.nanquantile(values, q, axis=-1) if values.size else np.full(len(rows), np.nan)
    (found,) = known_quantiles(values, q)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
