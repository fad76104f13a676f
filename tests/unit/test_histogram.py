"""Exponential histograms: exact bins, and quantiles within the error that is promised."""

import math
import random
from itertools import pairwise

import numpy as np
import pytest
from block_oracle import bin_of
from hypothesis import given, settings
from hypothesis import strategies as st

from inferwatch_streams.blocks.histogram import (
    ZERO_BIN,
    Bins,
    bin_indexes,
    bin_value,
    quantile,
)

# (b - 1) / (b + 1) for b = 2^(1/32)
BOUND = 0.01084
SECONDS = st.floats(1e-9, 1e6)


def bins_of(values: list[float]) -> list[int]:
    """Bins as the pipeline finds them."""
    return list(bin_indexes(np.array(values, np.float64)).tolist())


@settings(max_examples=400, deadline=None)
@given(st.floats(0, 1e6))
def test_bins_are_those_that_fractions_find(value: float) -> None:
    """A double's bin is exact: (2^(i/32), 2^((i+1)/32)]."""
    assert bins_of([value]) == [bin_of(value)]


@pytest.mark.parametrize("octave", [-1023, -1022, -30, -1, 0, 1, 19])
def test_bins_are_exact_at_every_bound_of_an_octave(octave: int) -> None:
    """The doubles around each bound fall on its two sides."""
    for k in range(33):
        bound = math.ldexp(2.0 ** (k / 32), octave)
        around = [math.nextafter(bound, 0.0), bound, math.nextafter(bound, math.inf)]
        assert bins_of(around) == [bin_of(value) for value in around]


def test_powers_of_two_close_their_bin() -> None:
    """2^e is the greatest value of its bin."""
    assert bins_of([1.0, math.nextafter(1.0, 2.0), 2.0, 0.5]) == [-1, 0, 31, -33]


def test_zero_has_a_bin_of_its_own() -> None:
    """Zero, with either sign, is no small value."""
    assert bins_of([0.0, -0.0]) == [ZERO_BIN, ZERO_BIN]
    assert bin_value(ZERO_BIN) == 0.0


def test_the_smallest_and_the_greatest_doubles_stay_within_sixteen_bits() -> None:
    """Subnormals share the lowest bin; the greatest double has the highest."""
    assert bins_of([5e-324, 2.0**-1060, 2.0**-1024]) == [-32767, -32767, -32767]
    assert bins_of([float(np.finfo(np.float64).max)]) == [32767]
    assert 0 < bin_value(-32767) < 1e-307
    assert 1e308 < bin_value(32767) < math.inf


@settings(max_examples=400, deadline=None)
@given(SECONDS)
def test_the_value_of_a_bin_is_within_the_promised_error(value: float) -> None:
    """Every value between a nanosecond and 1e6 seconds is estimated within 1.083 %."""
    (index,) = bins_of([value])
    assert abs(bin_value(index) - value) <= BOUND * value


def test_the_error_bound_is_reached() -> None:
    """1.083 % is not a generous figure: values at a bin's ends are that far off."""
    assert abs(bin_value(31) - 2.0) > (BOUND - 0.0001) * 2.0


@settings(max_examples=200, deadline=None)
@given(st.lists(st.one_of(st.just(0.0), SECONDS), min_size=1), st.floats(0, 1))
def test_quantiles_are_nearest_rank_within_the_error(values: list[float], q: float) -> None:
    """A quantile is the value at rank ceil(q * n) of the sorted values, within 1.1 %."""
    exact = sorted(values)[max(1, math.ceil(q * len(values))) - 1]
    found = quantile(q, [(index, 1) for index in bins_of(values)])
    assert found is not None
    assert abs(found - exact) <= BOUND * exact


def test_a_quantile_counts_a_bin_as_often_as_it_says() -> None:
    """Counts weigh, the order of the bins does not, and a bin may come in parts."""
    bins = [(0, 98), (64, 1), (32, 1)]
    assert quantile(0.98, bins) == bin_value(0)
    assert quantile(0.99, bins) == bin_value(32)
    assert quantile(1.0, bins) == bin_value(64)
    assert quantile(0.0, bins) == bin_value(0)
    assert quantile(0.98, [(0, 40), (64, 1), (0, 58), (32, 1)]) == bin_value(0)


def test_nothing_has_no_quantile() -> None:
    """Without values there is none."""
    assert quantile(0.5, []) is None


@pytest.mark.parametrize("a_slot", [3, 24, 25, 4_000])
@pytest.mark.parametrize("rows", [0, 1, 1023, 1024, 1025, 5_000, 60_000])
def test_bins_count_what_a_dictionary_counts(rows: int, a_slot: int) -> None:
    """By slot and bin, with nulls left out, growing at any number of values, few a slot or many."""
    rng = random.Random(rows)  # noqa: S311  # no secret: test data
    slots = [rng.randrange(max(1, rows // a_slot)) for _ in range(rows)]
    values = [rng.choice([0.0, rng.lognormvariate(0, 3)]) for _ in range(rows)]
    values[::7] = [rng.choice([5e-324, 1.7e308, 1.0]) for _ in values[::7]]
    valid = [rng.random() < 0.9 for _ in range(rows)]
    sparse, expected = Bins(), dict[int, dict[int, int]]()
    half = rows // 2
    for part in (slice(0, half), slice(half, rows)):
        sparse.add(
            np.array(slots[part], np.int32),
            np.array(values[part], np.float64),
            np.array(valid[part], np.bool_),
        )
    for slot, index, there in zip(slots, bins_of(values), valid, strict=True):
        if there:
            counts = expected.setdefault(slot, {})
            counts[index] = counts.get(index, 0) + 1
    # Every other slot, whether it has any values or not.
    wanted = range(0, rows + 2, 2)
    pairs = [sorted(expected.get(slot, {}).items()) for slot in wanted]
    bounds, bins, counts = sparse.collect(np.array(wanted))
    found = list(zip(bins.tolist(), counts.tolist(), strict=True))
    assert [found[begin:end] for begin, end in pairwise(bounds.tolist())] == pairs
