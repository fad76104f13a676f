"""The test of a change between two histograms, beside brute force and plain definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from inferwatch_streams.blocks.histogram import quantile
from inferwatch_streams.statistics.change import (
    histogram_shift,
    histogram_shifts,
    on_common_bins,
    quantiles,
)

COUNTS = st.lists(st.integers(0, 40), min_size=5, max_size=5)


def counted(values: list[int], bins: int) -> NDArray[np.int64]:
    """Counts of whole numbers from 1 on."""
    counts: NDArray[np.int64] = np.bincount(values, minlength=bins + 1)[1 : bins + 1]
    return counts


def test_the_log_rank_statistic_is_that_of_its_definition() -> None:
    """Freireich's remission times (1963, those not censored), by the hypergeometric at each."""
    placebo = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
    treated = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    difference = variance = 0.0
    for time in sorted({*placebo, *treated}):
        at_risk = sum(t >= time for t in placebo + treated)
        at_risk_treated = sum(t >= time for t in treated)
        ends = (placebo + treated).count(time)
        share = at_risk_treated / at_risk
        difference += ends * share - treated.count(time)
        if at_risk > 1:
            variance += ends * share * (1 - share) * (at_risk - ends) / (at_risk - 1)
    shift = histogram_shift(counted(placebo, 23), counted(treated, 23), np.arange(1.0, 24.0))
    assert shift.statistic == pytest.approx(difference / math.sqrt(variance))
    assert shift.statistic > 0
    assert shift.effect == 10 / 8


def test_p_values_are_those_of_all_permutations() -> None:
    """The normal approximation agrees with the exact distribution of a small sample."""
    before, now = [1, 2, 2, 3, 5, 6], [4, 6, 7, 7, 8, 8]
    pooled = before + now

    def statistic(chosen: set[int]) -> float:
        rest = [pooled[i] for i in range(len(pooled)) if i not in chosen]
        now = [pooled[i] for i in chosen]
        return histogram_shift(counted(rest, 8), counted(now, 8), np.arange(1.0, 9.0)).statistic

    drawn = [statistic(set(c)) for c in itertools.combinations(range(12), 6)]
    observed = histogram_shift(counted(before, 8), counted(now, 8), np.arange(1.0, 9.0))
    exact = np.mean(np.abs(drawn) >= abs(observed.statistic) - 1e-9)
    assert observed.p_value == pytest.approx(exact, abs=0.01)
    assert np.mean(np.abs(drawn) >= 1.96) == pytest.approx(0.05, abs=0.02)


def test_false_alarms_are_as_many_as_promised_also_where_nearly_all_events_tie() -> None:
    """Of pairs from one distribution, about a hundredth have a p-value below 0.01."""
    random = np.random.default_rng(5)
    for shares in ([0.9, 0.1], [0.05] * 20, [0.5, 0.3, 0.1, 0.05, 0.03, 0.02]):
        before, now = (random.multinomial(n, shares, size=4000) for n in (900, 150))
        p_values = histogram_shifts(before, now, np.arange(1.0, len(shares) + 1)).p_value
        assert 0.005 < np.mean(p_values < 0.01) < 0.017, shares


def test_a_regression_of_the_slowest_twentieth_is_seen() -> None:
    """A tail twice as heavy is found where medians are equal."""
    before, now = np.array([[950, 50]]), np.array([[900, 100]])
    shifts = histogram_shifts(before, now, np.array([1.0, 4.0]), q=0.95)
    assert shifts.p_value[0] < 1e-4
    assert shifts.effect[0] == 4.0


@given(before=COUNTS, now=COUNTS)
def test_exchanging_both_turns_the_sign(before: list[int], now: list[int]) -> None:
    """The test is symmetric, and its p-value a probability."""
    values = np.arange(5.0)
    one = histogram_shift(np.array(before), np.array(now), values)
    other = histogram_shift(np.array(now), np.array(before), values)
    assert one.statistic == pytest.approx(-other.statistic)
    assert 0 <= one.p_value <= 1
    assert one.p_value == pytest.approx(other.p_value)


@given(counts=COUNTS, times=st.integers(1, 3))
def test_the_same_shape_is_no_change(counts: list[int], times: int) -> None:
    """A histogram and a multiple of it do not differ."""
    shift = histogram_shift(np.array(counts), times * np.array(counts), np.arange(5.0))
    assert shift.statistic == pytest.approx(0, abs=1e-6)
    assert shift.p_value == pytest.approx(1, abs=1e-6)
    assert math.isnan(shift.effect) == (sum(counts) == 0)
    if sum(counts):
        assert shift.effect == 1.0


@pytest.mark.parametrize(
    ("before", "now", "effect"),
    [([0, 0], [0, 3], math.nan), ([4, 0], [0, 0], math.nan), ([3, 0], [0, 3], math.inf)],
)
def test_what_is_empty_or_zero_has_an_effect_that_says_so(
    before: list[int], now: list[int], effect: float
) -> None:
    """Without events nothing is claimed, and from zero any growth is infinite."""
    shift = histogram_shift(np.array(before), np.array(now), np.array([0.0, 1.0]))
    assert shift.effect == effect or (math.isnan(shift.effect) and math.isnan(effect))
    if math.isnan(effect):
        assert (shift.statistic, shift.p_value) == (0.0, 1.0)


def test_no_bins_are_no_change() -> None:
    """Groups whose histograms have no bins at all are answered, too."""
    none = np.zeros((2, 0), np.int64)
    shifts = histogram_shifts(none, none, np.array([]))
    assert shifts.p_value.tolist() == [1.0, 1.0]
    assert np.isnan(shifts.effect).all()


@given(counts=COUNTS, q=st.floats(0, 1))
def test_quantiles_are_those_of_the_histograms(counts: list[int], q: float) -> None:
    """They are the nearest-rank quantiles of the aggregation, where its bins' values are used."""
    values = np.array(
        [0.0, *(2.0 ** (np.arange(4) / 32) * 2 * 2 ** (1 / 32) / (1 + 2 ** (1 / 32)))]
    )
    expected = quantile(q, zip([-32768, 0, 1, 2, 3], counts, strict=True))
    (found,) = quantiles(np.array([counts]), values, q)
    assert found == pytest.approx(math.nan if expected is None else expected, nan_ok=True)


@given(
    one=st.dictionaries(st.integers(0, 9), st.integers(0, 9)),
    other=st.dictionaries(st.integers(0, 9), st.integers(0, 9)),
)
def test_common_bins_keep_every_count(one: dict[int, int], other: dict[int, int]) -> None:
    """Bringing two histograms to the same bins loses and moves nothing."""
    sides = [
        (np.array([[s[v] for v in sorted(s)]], np.int64), np.array(sorted(s), np.float64))
        for s in (one, other)
    ]
    first, second, values = on_common_bins(sides[0], sides[1])
    for kept, counts in ((first, one), (second, other)):
        assert {v: c for v, c in zip(values, kept[0], strict=True) if c} == {
            v: c for v, c in counts.items() if c
        }
